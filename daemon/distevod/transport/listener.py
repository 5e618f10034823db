"""The inbox: one ROUTER at which others arrive, and the links that they make.

libzmq tells of a connection's end by the number of its file descriptor, which may be another connection's by then.
So that is taken as a hint only. The proof is an empty message to the connection's routing id: with ROUTER_MANDATORY
it fails with EHOSTUNREACH if the connection is gone, and only then.
"""

from __future__ import annotations

import asyncio
import errno

import zmq

from distevod.transport import in_flight, tcp
from distevod.transport.arrivals import MAX_GREETING_BYTES, MAX_UNFINISHED_BYTES, Arrivals
from distevod.transport.errors import ListenError, TransportError, in_words
from distevod.transport.keys import KeyPair
from distevod.transport.monitor import Monitor, handshake_failure
from distevod.transport.options import LINGER_MS, listening
from distevod.transport.reader import Reader
from distevod.transport.wire import FRAME_OVERHEAD_BYTES, WATCH_SECONDS, Wire, Wires

_MENDS_ITSELF = {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.ENODEV}
"""Why an address cannot be bound now, and may be later."""
HINTED_PROBES = (0.0, 0.002, 0.02, 0.1, 0.5, 2.0)
"""Waits before each look at a connection that may be gone: libzmq tells of an end a moment before it can be seen."""
FIRST_PROBES = (0.1, 1.0)
"""The same for a new connection: its end may have been told before its first message was read."""
LAST_WORDS_SECONDS = 1.0
"""What a connection said before it was gone is read first, but not for longer."""
BLOCKED_SECONDS = 0.05
"""How often links that block are tried, besides whenever libzmq tells of news."""
_OWN_ID_BYTES, _OWN_ID_BEGIN = 5, b"\0"
"""Of the routing ids that libzmq makes itself; others were chosen by whoever connects."""


class AcceptedWire(Wire):
    """A link that the other end dialled."""

    def __init__(self, listener: Listener, wires: Wires, key: str, routing_id: bytes, fd: int) -> None:
        super().__init__(wires, key)
        self._listener, self.routing_id, self.fd = listener, routing_id, fd
        self.ends = tcp.ends(fd)
        self.is_gone = False
        self.probe: asyncio.TimerHandle | None = None

    def write(self, frame: bytes) -> bool:
        return self._listener.write(self, frame)

    def hang_up(self) -> None:
        self._listener.hang_up(self)


class Listener:
    """The ROUTER and its links."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: KeyPair, wires: Wires) -> None:
        self._wires, self._counts = wires, wires.counts
        self._loop = asyncio.get_running_loop()
        self._socket = listening(context, keys)
        self._by_id: dict[bytes, AcceptedWire] = {}
        """By routing id, until the connection is gone; those that were hung up too."""
        self._by_fd: dict[int, set[AcceptedWire]] = {}
        """More than one only for the moment in which some are gone and not proved to be."""
        self._blocked: set[AcceptedWire] = set()
        self._gone: set[AcceptedWire] = set()
        """Proved to be gone; what they said last may not have been read."""
        self._has_caught_up = False
        """Whether all that had come was read, at some time since the last watch."""
        self._watcher: asyncio.TimerHandle | None = None
        self._drainer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._monitor = Monitor(self._socket, self._noticed)
        self._arrivals = Arrivals(self._monitor.drain, wires.counts, wires.complaints)
        self._reader = Reader(self._socket, self._take)

    def bind(self, address: str) -> str:
        """Listen; returns the address with the port that was really taken. Raises ListenError if it cannot be
        now, TransportError if it never can."""
        # Only where it is meant: with IPv6 a plain address comes back in a form that no other machine can dial.
        self._socket.setsockopt(zmq.IPV6, int("*" in address or "[" in address))
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            kind = ListenError if error.errno in _MENDS_ITSELF else TransportError
            raise kind(f"cannot listen at {address}: {in_words(error)}") from error
        return self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    @property
    def is_sending(self) -> bool:
        """Whether anything waits to be sent, on links that were hung up too."""
        return any(wire.queue for wire in self._by_id.values())

    def write(self, wire: AcceptedWire, frame: bytes) -> bool:
        """See Wire.write."""
        if wire.is_gone:
            self._counts["dropped_gone"] += 1
            return True
        try:
            self._send(wire, frame)
        except zmq.Again:
            self._blocked.add(wire)
            if self._drainer is None:
                self._drainer = self._loop.call_later(BLOCKED_SECONDS, self._drain)
            return False
        except zmq.ZMQError as error:
            self._prove(wire, error)
            self._counts["dropped_gone"] += 1
        else:
            self._reader.sent()
            self._counts["frames_out"] += 1
            self._counts["bytes_out"] += len(frame)
        return True

    def hang_up(self, wire: AcceptedWire) -> None:
        """See Wire.hang_up. libzmq cannot do it, so the connection beneath is cut after a while."""
        self._loop.call_later(LINGER_MS / 1000, self._cut, wire)

    def close(self) -> None:
        """Stop at once, except that what libzmq has taken may still leave."""
        self._is_closed = True
        for timer in (self._watcher, self._drainer, *(wire.probe for wire in self._by_id.values())):
            if timer is not None:
                timer.cancel()
        self._arrivals.close()
        self._monitor.close()
        self._reader.close()
        self._socket.close()

    # --- messages --------------------------------------------------------------------------------

    def _take(self) -> bool:
        socket = self._socket
        try:
            routing_id = socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            self._caught_up()
            return False
        frame = socket.recv(zmq.NOBLOCK, copy=False)
        key = str(frame.get("User-Id"))
        wire = self._by_id.get(routing_id)
        if wire is None or wire.key != key:
            wire = self._connected(routing_id, key, frame)
        if frame.more:
            size = self._skip(frame)
            if wire is not None:
                wire.bytes_read += size
                wire.received_parts()
        elif wire is not None:
            data = frame.bytes
            wire.bytes_read += len(data) + FRAME_OVERHEAD_BYTES
            if data:
                wire.received(data)
        return True

    def _skip(self, frame: zmq.Frame) -> int:
        """Read the other parts of a message; returns the bytes of all."""
        size = len(frame) + FRAME_OVERHEAD_BYTES
        while frame.more:
            frame = self._socket.recv(zmq.NOBLOCK, copy=False)
            size += len(frame) + FRAME_OVERHEAD_BYTES
        return size

    def _connected(self, routing_id: bytes, key: str, frame: zmq.Frame) -> AcceptedWire | None:
        """The first message of a connection is here."""
        if len(routing_id) != _OWN_ID_BYTES or not routing_id.startswith(_OWN_ID_BEGIN):
            self._counts["dropped_routing_id"] += 1
            self._wires.complaints.warn("a peer has chosen a routing id; it is not listened to", key=key)
            return None
        old = self._by_id.get(routing_id)
        if old is not None:  # libzmq gives an id to one at a time
            self._finish(old)
        self._monitor.drain()
        fd = int(frame.get(zmq.SRCFD))
        wire = self._by_id[routing_id] = AcceptedWire(self, self._wires, key, routing_id, fd)
        self._by_fd.setdefault(fd, set()).add(wire)
        self._arrivals.spoke(fd)
        self._suspect(wire, FIRST_PROBES if fd in self._arrivals else HINTED_PROBES)
        if self._watcher is None:
            self._watcher = self._loop.call_later(WATCH_SECONDS, self._watch)
        self._wires.opened(wire, None)
        return wire

    def _caught_up(self) -> None:
        """All that has come was read."""
        self._has_caught_up = True
        for wire in list(self._gone):
            self._finish(wire)
        if self._blocked and self._reader.news():  # last, since it may prove more of them to be gone
            self._drain()

    def _send(self, wire: AcceptedWire, frame: bytes) -> None:
        """Raises zmq.Again when libzmq takes no more for that connection."""
        self._reader.wake()  # a send, also one that blocks, may take in that something has come
        parcel = wire.in_flight.parcel(frame)
        self._socket.send(wire.routing_id, zmq.SNDMORE | zmq.NOBLOCK)
        in_flight.send(self._socket, parcel)

    def _drain(self) -> None:
        """Send what had to wait."""
        if self._drainer is not None:
            self._drainer.cancel()
            self._drainer = None
        blocked, self._blocked = self._blocked, set()
        for wire in blocked:
            wire.queue.drain()  # adds it to the blocked ones again, if it blocks again

    # --- connections -----------------------------------------------------------------------------

    def _noticed(self, event: int, value: int) -> None:
        """The monitor tells something."""
        if event == zmq.EVENT_ACCEPTED:
            self._arrivals.accepted(value)
        elif event == zmq.EVENT_DISCONNECTED:
            self._arrivals.ended(value)
            for wire in self._by_fd.get(value, ()):
                self._suspect(wire, HINTED_PROBES)
        elif (failure := handshake_failure(event, value)) is not None:
            kind, reason = failure
            self._counts[f"handshakes_failed_{kind}"] += 1
            self._wires.complaints.warn("a handshake failed at the inbox", reason=reason)

    def _watch(self) -> None:
        """Cut connections that send one message without end."""
        self._reader.wake()
        has_caught_up, self._has_caught_up = self._has_caught_up, False
        for wire in list(self._by_id.values()):
            if wire.is_gone or wire.ends is None:
                continue
            # What had come at the last look and is whole has been read meanwhile.
            if has_caught_up and wire.unfinished_bytes > (
                MAX_UNFINISHED_BYTES if wire.is_welcomed else MAX_GREETING_BYTES
            ):
                self._wires.complaints.warn("a message does not end; its connection is cut", address=str(wire.ends))
                self._cut(wire)
            wire.look()
        self._watcher = self._loop.call_later(WATCH_SECONDS, self._watch) if self._by_id else None

    def _suspect(self, wire: AcceptedWire, waits: tuple[float, ...]) -> None:
        """Look after each of these waits whether the connection is gone."""
        if wire.probe is not None:
            wire.probe.cancel()
        wire.probe = self._loop.call_later(waits[0], self._probe, wire, waits[1:])

    def _probe(self, wire: AcceptedWire, waits: tuple[float, ...]) -> None:
        wire.probe = None
        if not self._is_there(wire):
            return
        if waits:
            self._suspect(wire, waits)

    def _is_there(self, wire: AcceptedWire) -> bool:
        """Send an empty message, which means nothing to the other end and everything here."""
        if wire.is_gone or self._is_closed:
            return False
        self._socket.getsockopt(zmq.EVENTS)  # makes libzmq take in what its thread has told
        try:
            self._send(wire, b"")
        except zmq.Again:
            return True
        except zmq.ZMQError as error:
            self._prove(wire, error)
            return False
        self._reader.sent()
        return True

    def _prove(self, wire: AcceptedWire, error: zmq.ZMQError) -> None:
        """The connection is gone; what it said last comes first."""
        if error.errno != errno.EHOSTUNREACH:
            raise error
        wire.is_gone = True
        self._gone.add(wire)
        self._reader.wake()
        self._loop.call_later(LAST_WORDS_SECONDS, self._finish, wire)

    def _finish(self, wire: AcceptedWire) -> None:
        """Forget a connection that is gone."""
        if self._by_id.get(wire.routing_id) is not wire or self._is_closed:
            return
        wire.is_gone = True
        del self._by_id[wire.routing_id]
        self._gone.discard(wire)
        self._blocked.discard(wire)
        wire.queue.clear()
        if wire.probe is not None:
            wire.probe.cancel()
        others = self._by_fd[wire.fd]
        others.discard(wire)
        if not others:
            del self._by_fd[wire.fd]
            if wire.fd in self._arrivals:
                # Another connection has the descriptor, and was taken for having spoken.
                self._arrivals.silent(wire.fd)
        self._wires.closed(wire, "the connection closed")

    def _cut(self, wire: AcceptedWire) -> None:
        """End the connection beneath a link that was hung up."""
        # If it is there now it was there when `ends` was looked up, so that is its own and nobody else's.
        if self._is_there(wire) and wire.ends is not None and tcp.cut(wire.fd, wire.ends):
            self._counts["connections_cut"] += 1
