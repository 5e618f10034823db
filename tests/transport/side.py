"""One end of links in tests: a transport over real sockets that writes down what it tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self, TypeVar

from distevo.events import DialFailed, Event, LinkClosed, LinkOpened, Received
from distevo.instructions import Dial, HangUp, Send
from distevo.messages import Head, Hello, MigrantsAck
from distevod.transport import KeyPair, Transport

SECONDS = 10.0
E = TypeVar("E", bound=Event)


async def until(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Wait until `condition()` is true. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        await asyncio.sleep(0.005)


def hello(member: str = "a") -> Hello:
    """A greeting."""
    return Hello(versions=[1], cluster="", member=member, boot="1", incarnation=0, heartbeat_interval=1.0)


def numbered(number: int) -> MigrantsAck:
    """A message that shows its place in a row."""
    return MigrantsAck(run="run", task="task", source=0, target=1, number=number, grant=1)


class Side:
    """A transport on the running loop, started and closed by `async with`."""

    def __init__(
        self,
        listen: str | None = "tcp://127.0.0.1:0",
        *,
        socks_proxy: str | None = None,
        admit: Collection[str] | None = (),
    ) -> None:
        self.keys = KeyPair.make()
        self.events: list[Event] = []
        self.transport = Transport(self.keys, self.heard, listen=listen, socks_proxy=socks_proxy)
        self._admit = admit

    def heard(self, event: Event) -> None:
        """What the transport tells."""
        self.events.append(event)

    async def __aenter__(self) -> Self:
        self.transport.start()
        if self._admit is not None:
            self.transport.admit(self._admit)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.transport.close()

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        assert self.transport.endpoint is not None
        return self.transport.endpoint

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.endpoint.rsplit(":", 1)[1])

    def of(self, kind: type[E]) -> list[E]:
        """The events of a kind, so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def heads(self, link: int | None = None) -> list[Head]:
        """What was received, on all links or one."""
        return [event.head for event in self.of(Received) if link in {None, event.link}]

    def count(self, name: str) -> int:
        """One of the transport's counts."""
        return self.transport.counts().get(name, 0)

    async def wait(self, kind: type[E], number: int = 1, seconds: float = SECONDS) -> E:
        """The event of this kind with this number, counted from 1, once it is there."""
        await until(lambda: len(self.of(kind)) >= number, f"{kind.__name__} number {number}", seconds)
        return self.of(kind)[number - 1]

    def dial(self, other: Side, *endpoints: str, key: str = "") -> None:
        """Begin to dial another."""
        self.transport.carry_out(Dial("other", endpoints or (other.endpoint,), key or other.keys.public))

    async def link(self, other: Side) -> tuple[int, int]:
        """Dial another and wait until both know; the link's number here and there."""
        here, there = len(self.of(LinkOpened)), len(other.of(LinkOpened))
        self.dial(other)
        failed = len(self.of(DialFailed))
        await until(lambda: len(self.of(LinkOpened)) > here or len(self.of(DialFailed)) > failed, "the dial", SECONDS)
        assert len(self.of(LinkOpened)) > here, self.of(DialFailed)[-1].reason
        opened = await self.wait(LinkOpened, here + 1)
        return opened.link, (await other.wait(LinkOpened, there + 1)).link

    def send(self, link: int, head: Head, payload: bytes = b"") -> None:
        """Send a message."""
        self.transport.carry_out(Send(link, head, payload))

    def hang_up(self, link: int) -> None:
        """End a link."""
        self.transport.carry_out(HangUp(link))

    async def failure(self, number: int = 1) -> str:
        """Why a dial came to nothing."""
        return (await self.wait(DialFailed, number)).reason

    def closed(self) -> list[int]:
        """The numbers of the links that were lost, so far."""
        return [event.link for event in self.of(LinkClosed)]
