"""The connections at the inbox as libzmq's monitor tells of them, and an end for those that nobody should keep.

Descriptors are used again, but the monitor tells in order: once all it has told is taken in, what stands here under a
descriptor is the connection that has it now.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Callable

from distevo.codec import MAX_FRAME_BYTES, MAX_HEAD_BYTES
from distevod.transport import tcp
from distevod.transport.complaints import Complaints
from distevod.transport.options import HANDSHAKE_MS

SILENT_SECONDS = 1.0 + HANDSHAKE_MS / 1000
"""A connection over which no message has come by then is cut. Members send an empty one with the handshake."""
MAX_SILENT = 512
"""Connections that have said nothing yet, those in their handshake included; with more, one of the address that has
most of them is cut, its oldest: who opens many keeps out nobody else."""
MAX_CONNECTIONS = 4096
"""With more, or with half as many as this process may have files, the newest is cut."""
SWEEP_SECONDS = 1.0
MAX_UNFINISHED_BYTES = MAX_FRAME_BYTES + 16 * 2**20
"""Of a message that has not come whole: the largest frame, and what buffers of the system may hold. libzmq has a
limit for frames only, and collects the parts of one message without end."""
MAX_GREETING_BYTES = 2 * MAX_HEAD_BYTES
"""The same of whoever was not welcomed yet, who may be anybody, and many: a HELLO has no payload."""


class Arrivals:
    """All connections that are there, and which of them have said nothing yet."""

    def __init__(self, drain: Callable[[], None], counts: Counter[str], complaints: Complaints) -> None:
        """`drain` takes in all that the monitor has told."""
        self._drain, self._counts, self._complaints = drain, counts, complaints
        self._loop = asyncio.get_running_loop()
        self._there: set[int] = set()
        self._silent: dict[int, tuple[tcp.Ends | None, float]] = {}
        """By descriptor: which connection, and since when; the oldest first."""
        self._silent_of: Counter[object] = Counter()
        """How many of these each address has."""
        self._most = min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, fd: int) -> bool:
        return fd in self._there

    def __len__(self) -> int:
        return len(self._there)

    def accepted(self, fd: int) -> None:
        """A TCP connection was accepted."""
        self._counts["connections_accepted"] += 1
        self._there.add(fd)
        self.silent(fd)
        if len(self._there) > self._most:
            self._cut(fd, "there are too many connections; the newest is cut")
        elif len(self._silent) > MAX_SILENT:
            (busiest, _), *_ = self._silent_of.most_common(1)
            oldest = next(fd for fd, (ends, _) in self._silent.items() if _host(ends) == busiest)
            self._cut(oldest, "too many connections have said nothing yet; the oldest of an address is cut")

    def silent(self, fd: int) -> None:
        """From now on it has some time to say something."""
        self._forget(fd)
        ends = tcp.ends(fd)
        self._silent[fd] = ends, time.monotonic()
        self._silent_of[_host(ends)] += 1
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def spoke(self, fd: int) -> None:
        """A message came over it."""
        self._forget(fd)

    def ended(self, fd: int) -> None:
        """It is gone."""
        self._there.discard(fd)
        if self._forget(fd):
            # Most of these failed in the handshake, of which libzmq does not always tell.
            self._counts["connections_ended_silent"] += 1

    def close(self) -> None:
        """Cut nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self) -> None:
        self._timer = None
        self._drain()
        now = time.monotonic()
        for fd, (ends, since) in list(self._silent.items()):
            if now >= since + SILENT_SECONDS:
                self._cut(fd, "a connection has said nothing for too long; it is cut")
            elif ends is not None and tcp.received_bytes(fd, ends) > MAX_GREETING_BYTES:
                self._cut(fd, "a connection's first message does not end; it is cut")
        if self._silent:
            self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _forget(self, fd: int) -> bool:
        """It is no longer one of the silent; whether it was."""
        ends, since = self._silent.pop(fd, (None, 0.0))
        if not since:
            return False
        self._silent_of[_host(ends)] -= 1
        if not self._silent_of[_host(ends)]:
            del self._silent_of[_host(ends)]
        return True

    def _cut(self, fd: int, why: str) -> None:
        ends, _ = self._silent[fd]
        self._forget(fd)
        if ends is not None and tcp.cut(fd, ends):
            self._counts["connections_cut"] += 1
            self._complaints.warn(why, address=str(ends))


def _host(ends: tcp.Ends | None) -> object:
    return ends.there[0] if ends is not None else None
