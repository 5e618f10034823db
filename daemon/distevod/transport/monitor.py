"""What libzmq tells of the connections of one socket."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable
from struct import Struct

import zmq

from distevod.transport.reader import Reader

_EVENT = Struct("=HI")
_numbers = itertools.count()
_WATCHED = (
    # No ACCEPT_FAILED: when file descriptors run out it comes without end, faster than anybody can read.
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_CONNECTED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_PROTOCOL_ERRORS: dict[int, str] = {
    zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC: "a key is wrong",
    zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH: "the other end does not use CURVE",
}


class Monitor:
    """Calls `on_event(event, value)` for each event; `value` is a file descriptor, an errno, or a code."""

    def __init__(self, socket: zmq.Socket[bytes], on_event: Callable[[int, int], None]) -> None:
        self._socket, self._on_event = socket, on_event
        address = f"inproc://monitor-{next(_numbers)}"
        socket.monitor(address, int(_WATCHED))
        self._events = socket.context.socket(zmq.PAIR)
        self._events.setsockopt(zmq.LINGER, 0)
        # Unbounded, since libzmq's one thread for all connections would wait for room.
        self._events.setsockopt(zmq.RCVHWM, 0)
        self._events.connect(address)
        self._reader = Reader(self._events, self._take)

    def drain(self) -> None:
        """Take in all that has happened so far, before something that came later is judged."""
        while self._take():
            pass

    def close(self) -> None:
        """Watch no more. To be called before the socket is closed."""
        if not self._events.closed:
            self._reader.close()
            # In this order: an event for which nobody is there would hold libzmq's thread up for ever.
            self._socket.disable_monitor()
            self._events.close()

    def _take(self) -> bool:
        if self._events.closed:
            return False
        try:
            event, _endpoint = self._events.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._on_event(*_EVENT.unpack(event))
        return True


def handshake_failure(event: int, value: int) -> tuple[str, str] | None:
    """What kind of failure of a handshake an event is, and the reason in words; None if it is none."""
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return "denied", f"the key was not let in ({value})"
    if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
        return "protocol", _PROTOCOL_ERRORS.get(value, f"the other end broke the protocol ({value:#x})")
    if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL and value == errno.EFAULT:
        return "no_gate", "the handler of ZAP is gone; nobody can connect"
    if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return "broken_off", f"it broke off: {os.strerror(value) if value else 'the other end closed'}"
    return None
