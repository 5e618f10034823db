"""What waits when a peer does not read, and what is dropped."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import zmq

from distevo.codec import encode
from distevo.events import LinkOpened
from distevo.messages import Forward, Head, Heartbeat, Migrants, PopulationKind, PopulationState
from distevod.transport import KeyPair, listener, options, send_queue
from distevod.transport.send_queue import SendQueue
from tests.transport.side import Side, hello, numbered, until
from tests.transport.test_wire_hostile import linked


def heartbeat(number: int) -> Heartbeat:
    """A heartbeat."""
    return Heartbeat(incarnation=number, progress=0, interval=1.0)


def migrants(source: int, number: int) -> Migrants:
    """A batch along the edge from `source` to 0."""
    return Migrants(run="run", task="task", source=source, target=0, number=number, grant=1)


class Pipe:
    """Takes as many frames as it has room for."""

    def __init__(self) -> None:
        self.room = 0
        self.frames: list[bytes] = []
        self.counts: Counter[str] = Counter()
        self.queue = SendQueue(self.write, self.counts)

    def write(self, frame: bytes) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        self.frames.append(frame)
        return True

    def put(self, *heads: Head) -> None:
        for head in heads:
            self.queue.put(head, encode(head))

    def rest(self) -> list[bytes]:
        """What comes out when there is room again."""
        self.room = 10**6
        assert self.queue.drain()
        assert self.queue._bytes == len(self.queue) == 0
        return self.frames


def frames(*heads: Head) -> list[bytes]:
    """The frames of these messages."""
    return [encode(head) for head in heads]


def test_order_is_kept() -> None:
    pipe = Pipe()
    pipe.room = 2
    pipe.put(*map(numbered, range(5)))
    pipe.room = 1
    assert not pipe.queue.drain()
    pipe.put(numbered(5))
    assert pipe.rest() == frames(*map(numbered, range(6)))
    assert not pipe.counts


def test_only_the_newest_heartbeat_waits_and_of_each_edge_the_newest_batch() -> None:
    pipe = Pipe()
    pipe.put(heartbeat(1), migrants(1, 1), numbered(1), heartbeat(2), migrants(2, 1), migrants(1, 2), heartbeat(3))
    assert pipe.rest() == frames(heartbeat(3), migrants(1, 2), numbered(1), migrants(2, 1))
    assert pipe.counts == {"dropped_replaced": 3}


def test_a_full_queue_drops_heartbeats_first_then_batches_then_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_queue, "MAX_FRAMES", 4)
    pipe = Pipe()
    pipe.put(migrants(1, 1), numbered(1), heartbeat(1), numbered(2))
    pipe.put(numbered(3))
    assert [*pipe.queue._waiting.values()] == frames(migrants(1, 1), numbered(1), numbered(2), numbered(3))
    pipe.put(numbered(4), numbered(5), heartbeat(2))
    assert pipe.rest() == frames(*map(numbered, range(1, 5)))
    assert pipe.counts == {"dropped_queue_full": 4}


def test_what_is_relayed_for_others_takes_the_place_of_nothing_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_queue, "MAX_FRAMES", 5)
    pipe = Pipe()
    relayed = [Forward(to="b", origin="c", boot=f"{number:x}") for number in range(9)]
    inner = encode(numbered(0))
    pipe.put(heartbeat(1), migrants(1, 1))
    for head in relayed:
        pipe.queue.put(head, encode(head, inner))
    assert pipe.counts == {"dropped_queue_full": 6}
    pipe.put(numbered(1), numbered(2), heartbeat(2), numbered(3))
    for head in relayed:
        pipe.queue.put(head, encode(head, inner))
    assert pipe.rest() == frames(heartbeat(2), migrants(1, 1), numbered(1), numbered(2), numbered(3))


def test_bytes_are_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(encode(numbered(1)))
    monkeypatch.setattr(send_queue, "MAX_BYTES", 3 * size + 10)
    pipe = Pipe()
    pipe.put(*map(numbered, range(1, 6)))
    assert pipe.queue._bytes == 3 * size
    assert pipe.rest() == frames(*map(numbered, range(1, 4)))
    pipe.room = 0
    pipe.put(heartbeat(1), numbered(1), numbered(2))
    pipe.queue.put(heartbeat(2), bytes(2 * size))  # finds no room
    assert pipe.rest()[3:] == frames(numbered(1), numbered(2))


@contextlib.asynccontextmanager
async def deaf(side: Side, *, is_dialled: bool) -> AsyncIterator[tuple["zmq.Socket[bytes]", int]]:
    """A peer that reads only when told to, and the side's link with it, dialled by the side or by the peer."""
    if not is_dialled:
        async with linked(side) as found:
            yield found
        return
    keys = KeyPair.make()
    with zmq.Context() as context, options.listening(context, keys) as router:
        router.setsockopt(zmq.LINGER, 0)
        router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 0)
        port = router.bind_to_random_port("tcp://127.0.0.1")
        side.dial(side, f"tcp://127.0.0.1:{port}", key=keys.public)
        yield router, (await side.wait(LinkOpened)).link


async def read(socket: "zmq.Socket[bytes]", last: bytes) -> list[bytes]:
    """All frames up to this one, without the probes and routing ids."""
    found: list[bytes] = []

    def is_over() -> bool:
        while socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:  # type: ignore[operator]
            *_, frame = socket.recv_multipart(zmq.NOBLOCK)
            if frame:
                found.append(frame)
        return last in found

    await until(is_over, "the last frame")
    return found


@pytest.mark.parametrize("is_dialled", [True, False])
def test_a_send_at_the_moment_in_which_a_message_comes_hides_it_from_nobody(
    monkeypatch: pytest.MonkeyPatch, is_dialled: bool
) -> None:
    """Any call takes the news from a ZeroMQ socket's descriptor, so that the loop hears nothing of it."""
    # What else would make it look soon, though nobody told it of news.
    monkeypatch.setattr(listener, "FIRST_PROBES", (600.0,))
    monkeypatch.setattr(listener, "WATCH_SECONDS", 600.0)

    async def main() -> None:
        async with Side() as a, deaf(a, is_dialled=is_dialled) as (socket, link):
            envelope = socket.recv_multipart()[:-1] if is_dialled else []
            for number in range(3):
                socket.send_multipart([*envelope, encode(numbered(number))])
                time.sleep(0.05)  # the message comes while the loop is busy,
                a.send(link, hello())  # and this is the first that is done after that
                await until(lambda: len(a.heads()) > number, "the message")  # noqa: B023

    asyncio.run(main())


@pytest.mark.parametrize("is_dialled", [True, False])
def test_a_peer_that_does_not_read_holds_nobody_up_and_gets_the_rest_when_it_does(is_dialled: bool) -> None:
    large, many = (PopulationState(kind=PopulationKind.FINAL), bytes(200_000)), 2 * options.SEND_FRAMES

    async def main() -> None:
        async with Side() as a, Side(None) as c, deaf(a, is_dialled=is_dialled) as (socket, link):
            here, there = await c.link(a)
            queue = a.transport._wires.by_number[link].queue
            before = time.monotonic()
            for _ in range(many):  # fills what libzmq and TCP hold
                a.send(link, *large)
            first, number = heartbeat(0), 0
            a.send(link, first)
            while a.count("dropped_queue_full") == 0:
                a.send(link, numbered(number))
                number += 1
            a.send(link, heartbeat(1))  # finds the queue full
            assert number <= send_queue.MAX_FRAMES
            assert len(queue) == send_queue.MAX_FRAMES
            assert time.monotonic() - before < 20  # as it would never be if one waited
            c.send(here, hello())
            a.send(there, hello())
            await until(lambda: a.heads() and c.heads(), "the others to go on")
            frames = await read(socket, encode(numbered(number - 1)))
            assert frames == [encode(*large)] * many + [encode(numbered(each)) for each in range(number)]
            assert not queue
            a.send(link, heartbeat(2))
            assert await read(socket, encode(heartbeat(2))) == [encode(heartbeat(2))]
            assert not a.closed()

    asyncio.run(main())
