"""Reading a ZeroMQ socket on the asyncio loop.

The file descriptor of a ZeroMQ socket is edge-triggered: it tells of news once, and any call on the socket, sends too,
may take the news in. So a reader reads until there is nothing more, and whoever sends wakes it. After some frames or
milliseconds it lets the loop have a turn: a peer that floods us delays neither timers nor other peers.

What could not be sent is tried again when there was news, and only then: each try wakes the reader, and would follow
itself for as long as a peer takes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import zmq

TURN_FRAMES = 64
TURN_SECONDS = 0.005


class Reader:
    """Calls `take` for as long as it returns True. It takes in one message, and returns False if there was none."""

    def __init__(self, socket: zmq.Socket[bytes], take: Callable[[], bool]) -> None:
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._fd = int(socket.getsockopt(zmq.FD))
        self._next: asyncio.Handle | None = None
        self._is_closed = self._has_news = False
        self._loop.add_reader(self._fd, self._readable)
        self.wake()

    def wake(self) -> None:
        """Look soon whether something has come."""
        if self._next is None and not self._is_closed:
            self._next = self._loop.call_soon(self._turn)

    def sent(self) -> None:
        """Something was sent, which may have taken in that there is room for more, on this link or another."""
        self._has_news = True

    def news(self) -> bool:
        """Whether libzmq has told of something, or something was read or sent, since this was asked last."""
        found, self._has_news = self._has_news, False
        return found

    def close(self) -> None:
        """Read no more. To be called before the socket is closed."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._fd)
            if self._next is not None:
                self._next.cancel()

    def _readable(self) -> None:
        self._has_news = True
        if self._next is None:  # else a turn is coming anyway
            self._turn()

    def _turn(self) -> None:
        self._next = None
        is_over = False
        try:
            end = time.monotonic() + TURN_SECONDS
            for _ in range(TURN_FRAMES):
                if self._is_closed or not self._take():
                    is_over = True
                    return
                self._has_news = True
                if time.monotonic() > end:
                    return
        finally:
            if not is_over:  # more may be there, also after an exception, which the loop reports
                self.wake()
