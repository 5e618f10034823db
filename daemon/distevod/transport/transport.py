"""The transport: carries out Dial, HangUp and Send, and tells of links and of what comes over them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection

import zmq

from distevo.codec import encode
from distevo.errors import LocalProtocolError
from distevo.events import Event
from distevo.instructions import Dial, HangUp, Send
from distevo.messages import Welcome
from distevod.logs import fields
from distevod.threads import in_daemon_thread
from distevod.transport import in_flight, tcp
from distevod.transport.dialler import Dialler
from distevod.transport.gate import Gate
from distevod.transport.keys import KeyPair
from distevod.transport.listener import Listener
from distevod.transport.options import LINGER_MS, MAX_SOCKETS
from distevod.transport.wire import Wires

TERM_SECONDS = 5.0
"""What the end of libzmq may take at most; it needs `LINGER_MS`."""

log = logging.getLogger("distevod.transport")


class Transport:
    """The links of one daemon. It decides nothing; all of it runs on one asyncio loop."""

    def __init__(
        self,
        keys: KeyPair,
        deliver: Callable[[Event], None],
        *,
        listen: str | None,
        socks_proxy: str | None = None,
    ) -> None:
        """`deliver` takes LinkOpened, DialFailed, LinkClosed, Received and Malformed, never from within a call of
        `carry_out`. `listen`: tcp://HOST:PORT, where `*` is every address and port 0 a free one; None to be dialled
        by nobody. `socks_proxy`: HOST:PORT."""
        self.endpoint: str | None = None
        """Where others can dial, once started: as bound, with the port that was taken."""
        self._keys, self._deliver_to, self._listen, self._socks_proxy = keys, deliver, listen, socks_proxy
        self._wires = Wires(self._deliver)
        self._gate = Gate(self._wires.counts)
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._listener: Listener | None = None
        self._dialler: Dialler | None = None
        self._is_closing = False

    def start(self) -> None:
        """Bind, and be ready, on the running loop. Raises TransportError when the address cannot be bound."""
        in_flight.begin()
        # One of its own: the handler of ZAP is found by a name within a context.
        self._context = zmq.Context(io_threads=1)
        self._context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
        self._gate.open(self._context)
        self._dialler = Dialler(self._context, self._keys, self._wires, self._socks_proxy)
        if self._listen is not None:
            self._listener = Listener(self._context, self._keys, self._wires)
            try:
                self.endpoint = self._listener.bind(self._listen)
            except BaseException:
                self._close_sockets()
                self._context.term()
                raise

    def admit(self, denied: Collection[str]) -> None:
        """Let all public keys connect but these; before the first call nobody may. Links that are there stay.

        What is said by those whom nobody knows is for the node to judge.
        """
        self._gate.admit(denied)

    def latency(self, link: int) -> float | None:
        """Seconds that the network takes there and back, as TCP has measured it; None if that is not known."""
        wire = self._wires.by_number.get(link)
        return tcp.round_trip(wire.fd, wire.ends) if wire is not None and wire.ends is not None else None

    def carry_out(self, instruction: Dial | HangUp | Send) -> None:
        """Begin what the node wants. Never waits, and never raises for what the network does."""
        match instruction:
            case Send(link, head, payload):
                wire = self._wires.by_number.get(link)
                if wire is None:
                    self._wires.counts["dropped_no_link"] += 1
                    return
                try:
                    frame = encode(head, payload)
                except LocalProtocolError as error:
                    self._wires.counts["dropped_not_encodable"] += 1
                    log.error("a message that cannot be sent", extra=fields(link=link, error=str(error)))
                else:
                    wire.is_welcomed |= isinstance(head, Welcome)
                    wire.queue.put(head, frame)
            case HangUp(link):
                wire = self._wires.by_number.pop(link, None)
                if wire is not None:
                    self._wires.counts["links_hung_up"] += 1
                    wire.hang_up()
            case Dial() if self._dialler is not None and not self._is_closing:
                self._dialler.dial(instruction)

    def counts(self) -> dict[str, int]:
        """What happened so far, by name, and `links_open`."""
        return {**self._wires.counts, "links_open": len(self._wires.by_number)}

    async def close(self) -> None:
        """End all links, tell of nothing more. What was sent has `LINGER_MS` to leave."""
        if self._is_closing or self._context is None or self._dialler is None:
            return
        self._is_closing = True
        await self._dialler.stop()
        end = time.monotonic() + LINGER_MS / 1000
        while time.monotonic() < end and self._is_sending():
            await asyncio.sleep(0.01)
        self._close_sockets()
        try:
            async with asyncio.timeout(TERM_SECONDS):
                await in_daemon_thread(self._context.term)
        except TimeoutError:
            log.error("libzmq does not end; it is left to itself")
        await self._dialler.close_tunnels()

    def _is_sending(self) -> bool:
        return any(each is not None and each.is_sending for each in (self._listener, self._dialler))

    def _close_sockets(self) -> None:
        if self._dialler is not None:
            self._dialler.close()
        if self._listener is not None:
            self._listener.close()
        self._gate.close()

    def _deliver(self, event: Event) -> None:
        if not self._is_closing:
            self._deliver_to(event)
