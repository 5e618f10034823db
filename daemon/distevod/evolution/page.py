"""The page: memory shared by a worker and its daemon that names the program under evaluation.

A worker that hangs, runs out of memory or crashes in C cannot say what it was doing. So it writes that down
before it begins, which costs a fraction of a microsecond, and the daemon reads it afterwards. A counter that does
not move tells the daemon of a worker that hangs.

    counter u64 | island u32 | state u8 | length u32 | genome
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from typing import NamedTuple

from distevo.program import MAX_GENOME_BYTES

_HEAD = struct.Struct("<QIBxxxI")
_HEAD_BYTES, _STATE_AT = _HEAD.size, 12
_pack = _HEAD.pack
PAGE_BYTES = _HEAD_BYTES + MAX_GENOME_BYTES
"""Memory that nobody has written to takes none up, so the longest genome costs the others nothing."""

IDLE, BUSY, EVALUATING = 0, 1, 2


class Reading(NamedTuple):
    """What the page says: two equal readings are a worker that has not moved in between."""

    counter: int
    island: int
    """The number that the daemon gave the island."""
    state: int
    genome: bytes | None
    """The program under evaluation, if there is one."""


class Page:
    """One shared page; made by the daemon, opened by the worker through its file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, PAGE_BYTES)
        self._counter = 0
        self._island = 0
        self._is_copy = False

    @classmethod
    def create(cls) -> Page:
        """A new page, in memory only. Raises OSError."""
        try:
            descriptor = os.memfd_create("distevo-worker", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError:  # A kernel that stands in for Linux may have no seals.
            descriptor = os.memfd_create("distevo-worker")
        try:
            os.ftruncate(descriptor, PAGE_BYTES)
            # A problem that shortens whatever is open would end the daemon by SIGBUS, at its next look at the page.
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
            return cls(descriptor)
        except OSError:
            os.close(descriptor)
            raise

    def end_copies(self) -> None:
        """From now on a process that is forked here ends when it would write to this page, or speak for the worker.

        It is one that a problem has forked, and that comes back to what evolves. Else there were two workers, which say
        different things on one socket, and each goes on with what the other was given.
        """

        def copied() -> None:
            self._is_copy = True

        os.register_at_fork(after_in_child=copied)

    def end_copy(self) -> None:
        """End this process if it is such a copy."""
        if self._is_copy:
            os._exit(1)

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self.descriptor)

    def busy(self, island: int) -> None:
        """The worker works on this island, outside any evaluation."""
        if self._is_copy:
            os._exit(1)
        self._island = island
        self._counter += 1
        _HEAD.pack_into(self._memory, 0, self._counter, island, BUSY, 0)

    def step(self) -> None:
        """Still at it, outside any evaluation."""
        self.busy(self._island)

    def idle(self) -> None:
        """The worker waits for the daemon."""
        self._memory[_STATE_AT] = IDLE

    def begin(self, genome: bytes) -> None:
        """The evaluation of this program begins."""
        if self._is_copy:
            os._exit(1)
        self._counter = counter = self._counter + 1
        length = len(genome)
        self._memory[: _HEAD_BYTES + length] = _pack(counter, self._island, EVALUATING, length) + genome

    def end(self) -> None:
        """The evaluation is over."""
        if self._is_copy:
            os._exit(1)
        self._memory[_STATE_AT] = BUSY

    def read(self) -> Reading:
        """What the worker last wrote."""
        counter, island, state, length = _HEAD.unpack_from(self._memory)
        genome = self._memory[_HEAD_BYTES : _HEAD_BYTES + length] if state == EVALUATING else None
        return Reading(counter, island, state, genome)
