"""Lanes: threads that wait for the store, apart by how long that may take and by who must not wait behind whom; and one
that compresses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from distevo.instructions import CreateObject, DeleteObject, ListObjects, ReadObject, ReplaceObject, StoreInstruction
from distevod.store.base import is_mutable

LEASE_THREADS = 2
"""For the mutable object alone: one write is in flight at a time, and reads beside it."""
READ_THREADS = 8
LOOK_THREADS = 8
"""People's requests that read many objects, at a time; each of them reads several at once."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Lanes:
    """Executors: a lease is renewed however slowly a checkpoint goes out.

    `reads` is for what people ask, too, if that is a single object; what reads all of a kind has `looks`, so that the
    node and submissions never wait for it. `encoding` is for results, however many writes wait: one at a time, since
    the cores are the workers'.
    """

    def __init__(self, uploads: int) -> None:
        """`uploads`: objects that are written at a time, beside the mutable one."""
        self._lease = ThreadPoolExecutor(LEASE_THREADS, thread_name_prefix="lease")
        self.reads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="reads")
        self.looks = ThreadPoolExecutor(LOOK_THREADS, thread_name_prefix="looks")
        self.uploads = ThreadPoolExecutor(uploads, thread_name_prefix="uploads")
        self.encoding = ThreadPoolExecutor(1, thread_name_prefix="encoding")

    def of(self, instruction: StoreInstruction) -> Executor:
        """Where an instruction waits."""
        match instruction:
            case ReplaceObject():
                return self._lease
            case CreateObject(name=name):
                return self._lease if is_mutable(name) else self.uploads
            case ReadObject(name=name):
                return self._lease if is_mutable(name) else self.reads
            case ListObjects() | DeleteObject():
                return self.reads

    def close(self) -> None:
        """Begin nothing more; what has begun is not waited for."""
        for executor in (self._lease, self.reads, self.looks, self.uploads, self.encoding):
            executor.shutdown(wait=False, cancel_futures=True)


async def in_lane(lane: Executor, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """What a blocking call returns or raises, in a thread of this lane."""
    return await asyncio.get_running_loop().run_in_executor(lane, function, *arguments)
