"""Threads for calls that may never return: neither a stop nor the end of the interpreter waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_daemon_thread(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What a blocking call returns or raises; when the awaiting task is cancelled, the call is left to itself.

    `asyncio.to_thread` would keep the process until the call has returned. Raises BlockingIOError where the platform
    has no thread left: to a limit of processes a thread is one, and of these that is the error.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T) -> None:
        if not answer.done():
            answer.set_result(result)

    def give_up(error: BaseException) -> None:
        if not answer.done():
            answer.set_exception(error)

    def work() -> None:
        # Closed: the loop has ended meanwhile, and nobody waits any more.
        try:
            result = function(*arguments, **named)
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(give_up, error)
        else:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result)

    thread = threading.Thread(target=work, name=function.__name__, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    return await answer
