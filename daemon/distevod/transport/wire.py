"""What all links have in common, whoever dialled: a number, a key, a queue, and the ways in which they end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from itertools import count

from distevo.codec import decode
from distevo.errors import RemoteProtocolError
from distevo.events import Event, LinkClosed, LinkOpened, Malformed, Received
from distevo.messages import Code
from distevod.transport import tcp
from distevod.transport.complaints import Complaints
from distevod.transport.in_flight import InFlight
from distevod.transport.send_queue import SendQueue

WATCH_SECONDS = 1.0
"""How often it is looked whether a message on some link does not end."""
FRAME_OVERHEAD_BYTES = 42
"""CURVE's and ZMTP's, at most."""
HEARTBEAT_BYTES = 100
"""Bytes per second that another implementation's ZMTP heartbeats may take; ours sends none."""


class Wires:
    """The links of one transport, and what they need of it."""

    def __init__(self, deliver: Callable[[Event], None]) -> None:
        self.deliver = deliver
        self.counts: Counter[str] = Counter()
        self.complaints = Complaints()
        self.by_number: dict[int, Wire] = {}
        self._numbers = count(1)

    def opened(self, wire: Wire, dialled: str | None) -> None:
        """Give the wire a number and say that it is there."""
        wire.number = next(self._numbers)
        self.by_number[wire.number] = wire
        self.counts["links_dialled" if dialled else "links_accepted"] += 1
        self.deliver(LinkOpened(wire.number, wire.key, dialled))

    def closed(self, wire: Wire, reason: str) -> None:
        """Say that the wire is gone, unless it was hung up."""
        if self.by_number.pop(wire.number, None) is not None:
            self.counts["links_lost"] += 1
            self.deliver(LinkClosed(wire.number, reason))


class Wire(ABC):
    """One link."""

    def __init__(self, wires: Wires, key: str) -> None:
        self.number = 0
        self.key = key
        self.fd = -1
        """The connection's descriptor, as libzmq says, and its ends: None as long as that is not known."""
        self.ends: tcp.Ends | None = None
        self.is_welcomed = False
        """Whether a WELCOME was sent on it."""
        self.opened_at = time.monotonic()
        self.bytes_read = self.bytes_come = 0
        """In whole messages, with what CURVE and ZMTP add at most; and over the connection, when last looked at."""
        self.queue = SendQueue(self.write, wires.counts)
        self.in_flight = InFlight()
        self._wires = wires

    @property
    def unfinished_bytes(self) -> float:
        """How much had come at the last look, and is in no message that was read since."""
        return self.bytes_come - self.bytes_read - HEARTBEAT_BYTES * (time.monotonic() - self.opened_at)

    def look(self) -> None:
        """See how much has come."""
        if self.ends is not None:
            self.bytes_come = tcp.received_bytes(self.fd, self.ends)

    def received(self, frame: bytes) -> None:
        """A frame came."""
        wires = self._wires
        if self.number not in wires.by_number:
            wires.counts["dropped_hung_up"] += 1
            return
        counts = wires.counts
        counts["frames_in"] += 1
        counts["bytes_in"] += len(frame)
        try:
            head, payload = decode(frame)
        except RemoteProtocolError as error:
            counts["malformed"] += 1
            wires.deliver(Malformed(self.number, error.code, str(error)))
        else:
            wires.deliver(Received(self.number, head, payload))

    def received_parts(self) -> None:
        """A message of several frames came."""
        if self.number in self._wires.by_number:
            self._wires.counts["malformed"] += 1
            self._wires.deliver(Malformed(self.number, Code.MALFORMED, "a message of more than one frame"))

    @abstractmethod
    def write(self, frame: bytes) -> bool:
        """Hand a frame to libzmq; False if it takes none now. What is gone takes everything."""

    @abstractmethod
    def hang_up(self) -> None:
        """End the link once what was sent on it has left, or some time has passed."""
