"""What libzmq has taken on one link and not let go of yet, in bytes: it counts frames only."""

from __future__ import annotations

import zmq

LARGE_BYTES = 256 << 10
"""Frames from this size on are counted, and not copied."""
MAX_LARGE_BYTES = 64 << 20
"""Most bytes of them within libzmq, unless it is one alone."""


def begin() -> None:
    """Let pyzmq start the thread that hears of frames which libzmq lets go of: it takes descriptors, of which there may
    be none left when the first large frame is sent, and for want of which libzmq ends the process. Once is enough."""
    zmq.Frame(bytes(LARGE_BYTES), track=True, copy=False)


class InFlight:
    """The large frames of one link that are within libzmq."""

    def __init__(self) -> None:
        self._large: list[tuple[zmq.MessageTracker, int]] = []

    def parcel(self, frame: bytes) -> bytes | zmq.Frame:
        """A frame as it is given to `send`. Raises zmq.Again where it would be too much, as libzmq does.

        To be made before its routing id is sent: of a message that has been begun nothing may fail.
        """
        if len(frame) < LARGE_BYTES:
            return frame
        self._large = [(tracker, size) for tracker, size in self._large if not tracker.done]
        if self._large and sum(size for _, size in self._large) + len(frame) > MAX_LARGE_BYTES:
            raise zmq.Again
        parcel = zmq.Frame(frame, track=True, copy=False)
        # If libzmq does not take it, it is let go of with the parcel.
        self._large.append((parcel.tracker, len(frame)))
        return parcel


def send(socket: zmq.Socket[bytes], parcel: bytes | zmq.Frame) -> None:
    """Hand a parcel to libzmq, without waiting. Raises zmq.Again if it takes none."""
    socket.send(parcel, zmq.NOBLOCK, copy=isinstance(parcel, bytes))
