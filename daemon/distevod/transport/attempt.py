"""A connection in the making: a socket of its own, and why nothing comes of it if so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import zmq

from distevod.transport import tcp
from distevod.transport.monitor import Monitor, handshake_failure
from distevod.transport.options import CONNECT_MS, HANDSHAKE_MS

NO_CONNECTION = "no connection"
WRONG_KEY = "the handshake was broken off: it has another key than the plan shows, or does not let us in"
NOT_LET_IN = "no answer to the handshake: it hangs, or does not let us in"
NO_MEMBER = "the connection was closed at once: it is no member, or does not let us in"


class Attempt:
    """A connection in the making."""

    def __init__(self, socket: zmq.Socket[bytes], address: str) -> None:
        """Raises zmq.ZMQError, the socket closed, when libzmq cannot even begin."""
        self.socket = socket
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Empty when the handshake is done, else why it is not."""
        self.on_lost: Callable[[], None] | None = None
        self.is_lost = False
        self.is_complete = False
        """Lost, and all that came before is there to be read."""
        self.fd = -1
        self.ends: tcp.Ends | None = None
        """The descriptor and the ends of the TCP connection, once it is there."""
        self._begun = time.monotonic()
        try:
            self.monitor = Monitor(socket, self._noticed)
        except zmq.ZMQError:
            socket.close()
            raise
        try:
            socket.connect(address)
        except zmq.ZMQError:
            self.close()
            raise

    def close(self) -> None:
        """End it; what was sent leaves first."""
        self.monitor.close()
        self.socket.close()

    def _noticed(self, event: int, value: int) -> None:
        if event == zmq.EVENT_CONNECTED:
            self.fd, self.ends = value, tcp.ends(value)
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._settle("")
        elif event == zmq.EVENT_CLOSED:
            is_late = time.monotonic() > self._begun + 0.9 * CONNECT_MS / 1000
            self._settle("time-out" if is_late else NO_CONNECTION)
        elif event == zmq.EVENT_DISCONNECTED:
            self._settle(NO_MEMBER)
            self.is_lost = True
            if self.on_lost is not None:
                self.on_lost()
        elif event == zmq.EVENT_CONNECT_RETRIED and self.is_lost:
            self.is_complete = True
            if self.on_lost is not None:
                self.on_lost()
        elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            # A member ends it at the first message if that is for another key; whom it does not let in it leaves
            # waiting, mostly.
            is_late = time.monotonic() > self._begun + HANDSHAKE_MS / 2000
            self._settle(NOT_LET_IN if is_late else WRONG_KEY)
        elif (failure := handshake_failure(event, value)) is not None:
            self._settle(failure[1])

    def _settle(self, outcome: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)
