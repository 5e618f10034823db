"""A link that this side dialled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import zmq

from distevod.transport import in_flight
from distevod.transport.arrivals import MAX_UNFINISHED_BYTES
from distevod.transport.attempt import Attempt
from distevod.transport.options import LINGER_MS
from distevod.transport.reader import Reader
from distevod.transport.wire import FRAME_OVERHEAD_BYTES, WATCH_SECONDS, Wire, Wires

BLOCKED_SECONDS = 0.05
"""How often a link that blocks is tried, besides whenever libzmq tells of news."""
LAST_WORDS_SECONDS = 0.2
"""How long the end of a lost connection is waited for, should libzmq not tell when all that came before is there."""


class DialledWire(Wire):
    """One socket, one connection, one link."""

    def __init__(self, wires: Wires, key: str, attempt: Attempt, on_closed: Callable[[DialledWire], None]) -> None:
        super().__init__(wires, key)
        self._attempt, self._socket, self._on_closed = attempt, attempt.socket, on_closed
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_hung_up = self._has_caught_up = False
        self.fd, self.ends = attempt.fd, attempt.ends
        self._watcher = self._loop.call_later(WATCH_SECONDS, self._watch)
        self._reader = Reader(self._socket, self._take)
        attempt.on_lost = self._lost
        if attempt.is_lost:
            self._lost()

    def write(self, frame: bytes) -> bool:
        if self._attempt.is_lost or self._socket.closed:
            self._wires.counts["dropped_gone"] += 1
            return True
        self._reader.wake()  # a send, also one that blocks, may take in that something has come
        try:
            in_flight.send(self._socket, self.in_flight.parcel(frame))
        except zmq.Again:
            if self._timer is None:
                self._timer = self._loop.call_later(BLOCKED_SECONDS, self._drain)
            return False
        self._wires.counts["frames_out"] += 1
        self._wires.counts["bytes_out"] += len(frame)
        return True

    def hang_up(self) -> None:
        self._is_hung_up = True
        if self.queue:
            self._loop.call_later(LINGER_MS / 1000, self.close)
        else:
            self.close()

    def close(self) -> None:
        """End the connection; what libzmq has taken may still leave."""
        if not self._socket.closed:
            self._watcher.cancel()
            if self._timer is not None:
                self._timer.cancel()
            self.queue.clear()
            self._reader.close()
            self._attempt.close()
            self._on_closed(self)

    def _take(self) -> bool:
        try:
            frame = self._socket.recv(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            self._has_caught_up = True
            if self.queue and self._reader.news():
                self._drain()
            if self._attempt.is_complete:
                self._finish()
            return False
        self.bytes_read += len(frame) + FRAME_OVERHEAD_BYTES
        if frame.more:
            while frame.more:
                frame = self._socket.recv(zmq.NOBLOCK, copy=False)
                self.bytes_read += len(frame) + FRAME_OVERHEAD_BYTES
            self.received_parts()
        elif data := frame.bytes:
            self.received(data)
        return True

    def _watch(self) -> None:
        """End a connection on which a message does not end: as at the inbox, libzmq gathers its parts without a limit.
        (Not one through a proxy, of which the kernel does not say what has come.)"""
        self._reader.wake()
        has_caught_up, self._has_caught_up = self._has_caught_up, False
        if has_caught_up and self.unfinished_bytes > MAX_UNFINISHED_BYTES:
            self._wires.complaints.warn("a message does not end; its connection is cut", address=str(self.ends))
            self._wires.counts["connections_cut"] += 1
            self._finish()
            return
        self.look()
        self._watcher = self._loop.call_later(WATCH_SECONDS, self._watch)

    def _drain(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.queue.drain() and self._is_hung_up:
            self.close()

    def _lost(self) -> None:
        self._reader.wake()
        self._loop.call_later(LAST_WORDS_SECONDS, self._finish)

    def _finish(self) -> None:
        if not self._socket.closed:
            self._socket.setsockopt(zmq.LINGER, 0)  # nobody is there to whom anything could leave
            self.close()
            self._wires.closed(self, "the connection closed")
