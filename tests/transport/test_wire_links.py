"""Links between transports: they open, carry messages, close when they should, and leave nothing behind."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from distevo.codec import MAX_PAYLOAD_BYTES, encode
from distevo.events import Event, LinkClosed, LinkOpened, Received
from distevo.messages import PopulationKind, PopulationState
from distevod.transport import KeyPair, TransportError, options
from distevod.transport.listener import Listener
from tests.transport.side import Side, hello, numbered, until


def listener(side: Side) -> Listener:
    """The inbox of a side."""
    found = side.transport._listener
    assert found is not None
    return found


def is_empty(side: Side) -> bool:
    """Whether the inbox remembers no connection."""
    inbox = listener(side)
    kept = (inbox._by_id, inbox._by_fd, inbox._gone, inbox._blocked, inbox._arrivals, inbox._arrivals._silent)
    return not any(len(each) for each in kept) and not side.transport._wires.by_number


@contextlib.contextmanager
def peer(side: Side, links: int = 1, does: str = "idle") -> Iterator["subprocess.Popen[str]"]:
    """A process that has `links` links with this side."""
    with process_of(side.endpoint, side.keys.public, str(links), does) as process:
        yield process


@contextlib.contextmanager
def process_of(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A peer's process."""
    command = [sys.executable, "-m", "tests.transport.peer", *arguments]
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            yield process
        finally:
            process.kill()


async def closed_within(side: Side, links: int, seconds: float) -> None:
    """Wait for this many closed links, and see that each was open and closed once."""
    await until(lambda: len(side.closed()) >= links, f"{links} links to be closed", seconds)
    opened = [event.link for event in side.of(LinkOpened)]
    assert sorted(side.closed()) == sorted(opened)
    assert len(set(opened)) == len(opened)


def test_both_ends_learn_of_a_link_and_whose_key_it_has() -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            here, there = await b.link(a)
            assert b.events == [LinkOpened(here, a.keys.public, "other")]
            assert a.events == [LinkOpened(there, b.keys.public, None)]
            assert a.transport.counts()["links_open"] == b.transport.counts()["links_open"] == 1

    asyncio.run(main())


def test_messages_pass_in_order_both_ways_and_only_over_their_link() -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b, Side(None) as c:
            to_a, to_b = await b.link(a)
            c_to_a, to_c = await c.link(a)
            for number in range(500):
                b.send(to_a, numbered(number))
                a.send(to_b, numbered(1000 + number))
            a.send(to_c, hello("c"))
            await until(lambda: len(a.heads()) == len(b.heads()) == 500 and c.heads(), "all messages")
            assert a.heads(to_b) == [numbered(number) for number in range(500)]
            assert b.heads(to_a) == [numbered(1000 + number) for number in range(500)]
            assert c.heads(c_to_a) == [hello("c")]

    asyncio.run(main())


def test_the_largest_payload_passes() -> None:
    payload = os.urandom(MAX_PAYLOAD_BYTES)

    async def main() -> None:
        async with Side() as a, Side(None) as b:
            link, _ = await b.link(a)
            b.send(link, PopulationState(kind=PopulationKind.FINAL), payload)
            assert (await a.wait(Received)).payload == payload

    asyncio.run(main())


@pytest.fixture
def hints_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inbox hears of ends where libzmq tells of them, and not as it looks at what is new."""
    monkeypatch.setattr("distevod.transport.listener.FIRST_PROBES", (600.0,))


@pytest.mark.usefixtures("hints_alone")
def test_a_dialler_that_hangs_up_is_missed_at_once_and_its_last_message_came_first() -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            here, there = await b.link(a)
            b.send(here, hello("last"))
            b.hang_up(here)
            await closed_within(a, 1, 2.0)
            assert a.events[1:] == [Received(there, hello("last")), LinkClosed(there, "the connection closed")]
            await until(lambda: is_empty(a), "the inbox to be empty")
            b.send(here, hello())
            b.hang_up(here)
            await until(lambda: b.count("dropped_no_link") == 1, "the message to be dropped")
            assert not b.closed()

    asyncio.run(main())


def test_an_inbox_hangs_up_after_its_last_message_and_hears_no_more() -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            here, there = await b.link(a)
            a.send(there, hello("last"))
            a.hang_up(there)
            b.send(here, hello("too late"))
            await closed_within(b, 1, 5.0)
            assert b.heads() == [hello("last")]
            await until(lambda: is_empty(a), "the inbox to be empty")
            assert a.count("dropped_hung_up") == 1
            assert len(a.events) == 1  # that it was there, and nothing since

    asyncio.run(main())


@pytest.mark.usefixtures("hints_alone")
def test_a_killed_peer_is_missed_at_once() -> None:
    async def main() -> None:
        async with Side() as a:
            with peer(a, links=5) as process:
                await a.wait(LinkOpened, 5)
                process.kill()
                await closed_within(a, 5, 2.0)
                await until(lambda: is_empty(a), "the inbox to be empty")

    asyncio.run(main())


def test_no_socket_sends_heartbeats_of_zmtps_own() -> None:
    """With them libzmq aborts a process that reads nothing for a while, if a peer sends much and dies meanwhile."""
    keys = KeyPair.make()
    with zmq.Context() as context:
        for socket in (
            options.listening(context, keys),
            options.dialling(context, keys, keys.public, "tcp://127.0.0.1:1"),
        ):
            assert socket.getsockopt(zmq.HEARTBEAT_IVL) == 0
            socket.close()


def test_an_end_of_a_listening_side_is_seen_by_who_dialled() -> None:
    async def main() -> None:
        async with Side(None) as b:
            async with Side() as a:
                here, there = await b.link(a)
                a.send(there, hello("goodbye"))
            await closed_within(b, 1, 5.0)
            assert b.heads(here) == [hello("goodbye")]
            assert not a.closed()

    asyncio.run(main())


def test_what_is_sent_before_close_arrives() -> None:
    async def main() -> None:
        async with Side() as a:
            async with Side(None) as b:
                here, _ = await b.link(a)
                for number in range(100):  # more than libzmq takes at once
                    b.send(here, numbered(number))
            await closed_within(a, 1, 5.0)
            assert a.heads() == [numbered(number) for number in range(100)]

    asyncio.run(main())


@pytest.mark.parametrize("is_ours", [True, False])
def test_what_is_sent_before_a_hang_up_and_close_arrives(is_ours: bool) -> None:
    async def main() -> None:
        listen = "tcp://127.0.0.1:0"
        async with Side(None if is_ours else listen) as a, Side(listen if is_ours else None) as b:
            to_b, to_a = await a.link(b) if is_ours else (await b.link(a))[::-1]
            for number in range(100):
                a.send(to_b, numbered(number))
            a.hang_up(to_b)
            await a.transport.close()
            await closed_within(b, 1, 5.0)
            assert b.heads(to_a) == [numbered(number) for number in range(100)]

    asyncio.run(main())


def test_many_connections_come_and_go_and_a_lasting_one_stays() -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as lasting, Side(None) as b:
            _, stays = await lasting.link(a)
            for batch in range(1, 11):
                for _ in range(30):
                    b.dial(a)
                await b.wait(LinkOpened, 30 * batch)
                for event in b.of(LinkOpened)[-30:]:
                    b.send(event.link, hello())
                    b.hang_up(event.link)
            await until(lambda: len(a.closed()) >= 300, "all to be closed")
            assert Counter(a.closed()) == Counter(event.link for event in a.of(LinkOpened) if event.link != stays)
            assert len(a.heads()) == 300
            await lasting.transport.close()
            await until(lambda: is_empty(a), "the inbox to be empty")
            assert not b.transport._dialler._open if b.transport._dialler else False

    asyncio.run(main())


def test_descriptors_that_are_used_again_at_once_confuse_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that say some words and are gone, each in the descriptor of the last; the loop is slow meanwhile."""
    rounds, words = 80, 5
    monkeypatch.setattr("distevod.transport.listener.LAST_WORDS_SECONDS", 30.0)  # however busy this machine is
    keys = KeyPair.make()
    word = encode(hello())

    class Slow(Side):
        def heard(self, event: Event) -> None:
            super().heard(event)
            time.sleep(0.002)  # so that libzmq is ahead of us

    async def main() -> None:
        async with Slow() as a, Side(None) as lasting:
            _, stays = await lasting.link(a)

            def come_and_go() -> None:
                with zmq.Context() as context:
                    for number in range(rounds):
                        with options.dialling(context, keys, a.keys.public, a.endpoint) as socket:
                            if number % 2:
                                socket.setsockopt(zmq.PROBE_ROUTER, 0)
                            socket.setsockopt(zmq.IMMEDIATE, 1)  # so that `send` waits for the connection
                            socket.connect(a.endpoint)
                            for _ in range(words):
                                socket.send(word)

            await asyncio.to_thread(come_and_go)
            await until(lambda: len(a.closed()) >= rounds, "all to be closed")
            order = [(type(event), event.link) for event in a.events if getattr(event, "link", stays) != stays]
            for link in {event.link for event in a.of(LinkOpened)} - {stays}:
                mine = [kind for kind, number in order if number == link]
                assert mine == [LinkOpened, *[Received] * words, LinkClosed]
            await lasting.transport.close()
            await until(lambda: is_empty(a), "the inbox to be empty")

    asyncio.run(main())


def test_nothing_is_left_open_when_a_transport_is_closed() -> None:
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def once() -> None:
        async with Side() as a, Side(None) as b:
            await b.link(a)
            b.dial(a, "tcp://192.0.2.1:9")  # in the making when it is closed
            b.dial(a, key=b.keys.public)

    asyncio.run(once())
    before = files()
    for _ in range(3):
        asyncio.run(once())
    assert files() == before


def test_the_node_is_never_called_from_within_its_own_instruction() -> None:
    class Watched(Side):
        is_busy = False

        def heard(self, event: Event) -> None:
            assert not self.is_busy
            super().heard(event)
            if isinstance(event, LinkOpened):
                self.is_busy = True
                self.send(event.link, hello())
                self.hang_up(event.link)
                self.dial(self, "tcp://127.0.0.1:1", key="no key")
                self.send(event.link, hello())
                self.is_busy = False

    async def main() -> None:
        async with Watched() as a, Watched(None) as b:
            await b.link(a)
            await a.failure()
            await b.failure()

    asyncio.run(main())


def test_an_address_in_use_is_a_clear_error() -> None:
    async def main() -> None:
        async with Side() as a:
            with pytest.raises(
                TransportError, match=f"cannot listen at {re.escape(a.endpoint)}: Address already in use"
            ):
                async with Side(a.endpoint):
                    pass
            with pytest.raises(TransportError, match=r"cannot listen at tcp://192\.0\.2\.1:0: Cannot assign"):
                async with Side("tcp://192.0.2.1:0"):
                    pass

    asyncio.run(main())


def test_a_message_that_cannot_be_encoded_is_dropped_and_counted() -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            link, _ = await b.link(a)
            b.send(link, hello(), b"HELLO has no payload")
            b.send(link, hello("second"))
            await a.wait(Received)
            assert a.heads() == [hello("second")]
            assert b.count("dropped_not_encodable") == 1

    asyncio.run(main())


def test_latency_is_known_at_both_ends_of_a_link_that_is_used_and_of_no_other() -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            near, far = await b.link(a)
            b.send(near, hello())
            await until(a.heads, "the message")
            a.send(far, hello())
            await until(b.heads, "the answer")
            for side, link in ((a, far), (b, near)):
                latency = side.transport.latency(link)
                assert latency is not None
                assert 0 < latency < 1
            b.hang_up(near)
            await a.wait(LinkClosed)
            assert (a.transport.latency(far), b.transport.latency(near)) == (None, None)

    asyncio.run(main())
