"""What libzmq has taken on one link and not let go of yet, in bytes: it counts frames only."""

from __future__ import annotations

import zmq

LARGE_BYTES = 256 << 10
"""Frames from this size on are counted, which takes a thread of pyzmq from the first of them on; and not copied."""
MAX_LARGE_BYTES = 64 << 20
"""Most bytes of them within libzmq, unless it is one alone."""


class InFlight:
    """The large frames of one link that are within libzmq."""

    def __init__(self) -> None:
        self._large: list[tuple[zmq.MessageTracker, int]] = []

    def check(self, frame: bytes) -> None:
        """Raises zmq.Again where a frame would be too much, as libzmq does for one too many."""
        if len(frame) < LARGE_BYTES:
            return
        self._large = [(tracker, size) for tracker, size in self._large if not tracker.done]
        if self._large and sum(size for _, size in self._large) + len(frame) > MAX_LARGE_BYTES:
            raise zmq.Again

    def send(self, socket: zmq.Socket[bytes], frame: bytes) -> None:
        """Hand a frame that was checked to libzmq, without waiting. Raises zmq.Again if it takes none."""
        if len(frame) < LARGE_BYTES:
            socket.send(frame, zmq.NOBLOCK)
        else:
            self._large.append((socket.send(frame, zmq.NOBLOCK, copy=False, track=True), len(frame)))
