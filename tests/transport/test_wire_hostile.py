"""Whoever can reach the port and means no good: counted, cut where it matters, and nobody else is the worse for it."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
import zmq

from distevo.codec import MAX_FRAME_BYTES, encode
from distevo.events import LinkClosed, LinkOpened, Malformed, Received
from distevo.instructions import Dial
from distevo.messages import Code, Welcome
from distevod.transport import KeyPair, arrivals, dialled, listener, options
from tests.transport.servers import aborted, tcp_server
from tests.transport.side import Side, hello, until

WORD = encode(hello())
WELCOME = Welcome(version=1, cluster="", member="a", boot="0", incarnation=0, heartbeat_interval=10.0)


@contextlib.contextmanager
def stranger(
    side: Side, endpoint: str = "", *, curve: bool = True, **chosen: int | str | bytes
) -> Iterator["zmq.Socket[bytes]"]:
    """A DEALER that is no transport, connected to a side, with further options by name."""
    with zmq.Context() as context:
        if curve:
            dealer = options.dialling(context, KeyPair.make(), side.keys.public, side.endpoint)
        else:
            dealer = context.socket(zmq.DEALER)
        with dealer:
            dealer.setsockopt(zmq.LINGER, 0)
            for name, value in chosen.items():
                setattr(dealer, name, value)
            dealer.connect(endpoint or side.endpoint)
            yield dealer


@contextlib.asynccontextmanager
async def linked(side: Side) -> AsyncIterator[tuple["zmq.Socket[bytes]", int]]:
    """A stranger that has a link; the socket, and the link's number here."""
    before = len(side.of(LinkOpened))
    with stranger(side) as dealer:
        await until(lambda: dealer.getsockopt(zmq.EVENTS) and len(side.of(LinkOpened)) > before, "the link")
        yield dealer, side.of(LinkOpened)[before].link


async def works(side: Side) -> None:
    """A member can link with it and be heard."""
    async with Side(None) as member:
        here, there = await member.link(side)
        member.send(here, hello("member"))
        await until(lambda: side.heads(there) == [hello("member")], "the member to be heard")
        member.hang_up(here)
        await until(lambda: there in side.closed(), "the member's link to be closed")


def test_bytes_that_are_no_zmtp() -> None:
    rng = random.Random(1)
    greetings = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" + bytes(8) + b"\x7f",
        b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(16) + b"\x00" + bytes(31) + rng.randbytes(500),
        *(rng.randbytes(rng.randrange(1, 2000)) for _ in range(20)),
    ]

    async def main() -> None:
        async with Side() as a:
            for greeting in greetings:
                with socket.create_connection(("127.0.0.1", a.port)) as connection:
                    connection.sendall(greeting)
            await until(lambda: a.count("connections_accepted") == len(greetings), "all to be accepted")
            await until(lambda: a.count("connections_ended_silent") == len(greetings), "all to be gone")
            await works(a)
            assert len(a.of(LinkOpened)) == 1

    asyncio.run(main())


@pytest.mark.parametrize("chosen", [{}, {"plain_username": b"a", "plain_password": b"b"}])
def test_other_mechanisms(chosen: dict[str, bytes]) -> None:
    async def main() -> None:
        async with Side() as a:
            with stranger(a, curve=False, **chosen) as dealer:
                with contextlib.suppress(zmq.Again):  # it has failed already
                    dealer.send(WORD, zmq.NOBLOCK)
                await until(lambda: a.count("connections_ended_silent"), "the handshake to fail")
                await works(a)
            assert len(a.of(LinkOpened)) == 1

    asyncio.run(main())


def test_a_frame_that_is_too_large_ends_the_connection_before_it_is_read() -> None:
    async def main() -> None:
        async with Side() as a, linked(a) as (dealer, link):
            before = psutil.Process().memory_info().rss
            dealer.send(WORD)
            dealer.send(bytes(8 * MAX_FRAME_BYTES), copy=False)
            await a.wait(LinkClosed)
            assert a.closed() == [link]
            assert a.heads() == [hello()]
            # The sender is in this process as well, and holds what it sends once more in CURVE's form.
            assert psutil.Process().memory_info().rss - before < 20 * MAX_FRAME_BYTES
            await works(a)

    asyncio.run(main())


def test_what_is_no_message_is_told_and_the_link_goes_on() -> None:
    async def main() -> None:
        async with Side() as a, linked(a) as (dealer, link):
            dealer.send(b"nonsense")
            dealer.send(WORD[:-1])
            dealer.send_multipart([WORD, WORD, b"", WORD])
            dealer.send_multipart([b"", WORD])
            dealer.send(b"")
            dealer.send(WORD)
            await until(a.heads, "the message")
            faults = a.of(Malformed)
            assert [(fault.link, fault.code) for fault in faults] == [(link, Code.MALFORMED)] * 4
            assert [fault.reason for fault in faults[2:]] == ["a message of more than one frame"] * 2
            assert len(a.events) == 6
            assert a.count("malformed") == 4

    asyncio.run(main())


def test_who_chooses_a_routing_id_is_not_listened_to() -> None:
    async def main() -> None:
        async with Side() as a:
            for number in range(2):
                with stranger(a, routing_id=b"chosen") as dealer:
                    dealer.send(WORD)
                    await until(lambda: a.count("dropped_routing_id") > 2 * number, "it to be dropped")  # noqa: B023
                # While the id is in use, libzmq keeps whoever brings it next out.
                await until(lambda: not a.transport._listener._arrivals, "it to be gone")
            await works(a)
            assert len(a.of(LinkOpened)) == 1

    asyncio.run(main())


@pytest.mark.parametrize("is_noticed", [True, False])
def test_who_takes_over_a_routing_id_gets_no_link_of_another(monkeypatch: pytest.MonkeyPatch, is_noticed: bool) -> None:
    """libzmq lets anybody choose an id of the kind that it makes itself, once its owner has left."""
    if not is_noticed:
        monkeypatch.setattr(listener, "HINTED_PROBES", (60.0,))
        monkeypatch.setattr(listener, "FIRST_PROBES", (60.0,))

    async def main() -> None:
        async with Side() as a:
            inbox = a.transport._listener
            assert inbox is not None
            async with Side(None) as b:
                _, old = await b.link(a)
                (routing_id,) = inbox._by_id
            if is_noticed:
                await a.wait(LinkClosed)
            else:
                await until(lambda: not len(inbox._arrivals), "the monitor to tell")
            with stranger(a, routing_id=routing_id) as dealer:
                dealer.send(WORD)
                await until(a.heads, "the message")
                first, closed, second, received = a.events
                assert isinstance(first, LinkOpened)
                assert isinstance(second, LinkOpened)
                assert isinstance(received, Received)
                assert closed == LinkClosed(old, "the connection closed")
                assert first.key == b.keys.public != second.key
                assert received.link == second.link != old

    asyncio.run(main())


def test_connections_that_say_nothing_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "SWEEP_SECONDS", 0.1)

    async def main() -> None:
        async with Side() as a, Side(None) as b:
            _, link = await b.link(a)
            with stranger(a, probe_router=0), socket.create_connection(("127.0.0.1", a.port)) as half_open:
                half_open.setblocking(False)
                await until(lambda: a.count("gate_let_in") == 2, "the stranger's handshake")
                monkeypatch.setattr(arrivals, "SILENT_SECONDS", 0.3)
                await until(lambda: a.count("connections_cut") == 2, "both to be cut")
                greeting = await asyncio.get_running_loop().sock_recv(half_open, 1024)
                assert greeting == b"" or await asyncio.get_running_loop().sock_recv(half_open, 1024) == b""
            assert len(a.of(LinkOpened)) == 1
            assert link not in a.closed()

    asyncio.run(main())


def test_thousands_of_half_open_connections_take_little_and_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    many = 2000
    monkeypatch.setattr(arrivals, "SILENT_SECONDS", 600.0)  # none is cut for that

    async def main() -> None:
        async with Side() as a, Side(None) as b:
            _, link = await b.link(a)
            files = len(list(Path("/proc/self/fd").iterdir()))
            open_ones: list[socket.socket] = []
            for number in range(many):
                connection = socket.socket()
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    connection.connect(("127.0.0.1", a.port))
                open_ones.append(connection)
                if len(open_ones) > 200:
                    open_ones.pop(0).close()
                if number % 50 == 0:
                    await asyncio.sleep(0)
            # The 200 that are still open on this side are as many descriptors, and no more than the limit on the other.
            await until(
                lambda: (
                    a.count("connections_accepted") > many / 2  # how many get through is the machine's affair
                    and len(list(Path("/proc/self/fd").iterdir())) <= files + 201 + arrivals.MAX_SILENT
                ),
                "the others to be gone",
            )
            await works(a)  # beside two hundred that are still there, and those that are still coming
            for connection in open_ones:
                connection.close()
            assert len(a.of(LinkOpened)) == 2
            assert link not in a.closed()

    asyncio.run(main())


def test_with_too_many_connections_the_newest_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MAX_CONNECTIONS", 3)

    async def main() -> None:
        async with Side() as a, Side(None) as b:
            for _ in range(3):
                await b.link(a)
            b.dial(a)
            await b.failure()
            assert not b.closed()
            b.hang_up(b.of(LinkOpened)[0].link)
            await a.wait(LinkClosed)
            await b.link(a)

    asyncio.run(main())


@contextlib.asynccontextmanager
async def stalling_relay(port: int, most: float, most_back: float = float("inf")) -> AsyncIterator[str]:
    """The endpoint of a relay to a port that passes on so many bytes, there and back, and then no more."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: float) -> None:
        with contextlib.suppress(ConnectionError):
            while most > 0 and (data := await reader.read(2**16)):
                writer.write(data)
                most -= len(data)
        if most > 0:
            writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        async with aborted(back):
            await asyncio.gather(pump(reader, back, most), pump(there, writer, most_back))

    async with tcp_server(relay) as at:
        yield f"tcp://127.0.0.1:{at}"


@pytest.mark.parametrize(("first", "is_welcomed"), [(b"", False), (WORD, False), (WORD, True)])
def test_a_message_that_does_not_end_is_cut(monkeypatch: pytest.MonkeyPatch, first: bytes, is_welcomed: bool) -> None:
    """libzmq gathers the parts of one message without a limit. (It sends none before it has the last; a frame that is
    larger than the limit set here, and never comes whole, is the same to us.) Whoever was not welcomed has a lower one
    than members, since it may be anybody."""
    if is_welcomed:
        monkeypatch.setattr(listener, "MAX_UNFINISHED_BYTES", 2**20)
    else:
        for module in (arrivals, listener):
            monkeypatch.setattr(module, "MAX_GREETING_BYTES", 2**20)
    monkeypatch.setattr(arrivals, "SILENT_SECONDS", 600.0)  # it is not cut for that
    monkeypatch.setattr(arrivals, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(listener, "WATCH_SECONDS", 0.05)

    async def main() -> None:
        async with Side() as a, Side(None) as b, stalling_relay(a.port, 2**21) as endpoint:
            here, link = await b.link(a)
            with stranger(a, endpoint, probe_router=0) as dealer:
                if first:
                    dealer.send(first)
                    opened = await a.wait(LinkOpened, 2)
                    if is_welcomed:
                        a.send(opened.link, WELCOME)
                dealer.send(bytes(2**22))
                await until(lambda: a.count("connections_cut") == 1, "it to be cut")
            b.send(here, hello())
            await until(lambda: a.heads(link), "the member to be heard")
            assert link not in a.closed()
            assert not a.of(Malformed)

    asyncio.run(main())


def test_a_message_that_does_not_end_is_cut_on_a_link_that_was_dialled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialled, "MAX_UNFINISHED_BYTES", 2**20)
    monkeypatch.setattr(dialled, "WATCH_SECONDS", 0.05)
    keys = KeyPair.make()

    async def main() -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as member:
            member.setsockopt(zmq.LINGER, 0)
            member.setsockopt(zmq.CURVE_SERVER, 1)
            member.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
            port = member.bind_to_random_port("tcp://127.0.0.1")
            async with Side(None) as a, stalling_relay(port, float("inf"), 2**21) as endpoint:
                a.transport.carry_out(Dial("other", (endpoint,), keys.public))
                link = (await a.wait(LinkOpened)).link
                await until(lambda: member.poll(0), "the connection to be known there")
                routing_id, _ = member.recv_multipart()
                for _ in range(10):
                    member.send_multipart([routing_id, WORD])
                await a.wait(Received, 10)
                member.send_multipart([routing_id, bytes(2**22)])
                await a.wait(LinkClosed)
                assert (a.closed(), a.count("connections_cut")) == ([link], 1)

    asyncio.run(main())


def test_a_large_message_may_come_slowly_from_a_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the lower limit, that of strangers, which it is above."""
    monkeypatch.setattr(listener, "MAX_GREETING_BYTES", 2**20)
    monkeypatch.setattr(listener, "WATCH_SECONDS", 0.05)

    async def main() -> None:
        async with Side() as a, stalling_relay(a.port, 2**21) as slow, stalling_relay(a.port, 2**21) as slower:
            with stranger(a, slow, probe_router=0) as member, stranger(a, slower, probe_router=0) as other:
                member.send(WORD)
                link = (await a.wait(LinkOpened)).link
                a.send(link, WELCOME)
                member.send(bytes(2**22))
                wire = a.transport._wires.by_number[link]
                assert isinstance(wire, listener.AcceptedWire)
                await until(lambda: wire.bytes_come - wire.bytes_read > 2**20, "a part of its message")
                other.send(WORD)
                other.send(bytes(2**22))
                await until(lambda: a.count("connections_cut") == 1, "who was not welcomed to be cut")
                assert link not in a.closed()

    asyncio.run(main())


def test_a_member_that_sends_much_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_UNFINISHED_BYTES", 2**19)
    monkeypatch.setattr(listener, "MAX_GREETING_BYTES", 2**19)
    monkeypatch.setattr(listener, "WATCH_SECONDS", 0.01)

    async def main() -> None:
        async with Side() as a, Side(None) as b:
            link, _ = await b.link(a)
            for sent in range(100, 10_001, 100):
                for _ in range(100):
                    b.send(link, hello())
                # In small parts: what libzmq has not taken from the kernel yet counts, and this limit is a low one.
                await a.wait(Received, sent)
            assert not a.closed()

    asyncio.run(main())


def test_who_opens_many_silent_connections_keeps_out_nobody_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MAX_SILENT", 8)

    async def main() -> None:
        async with Side("tcp://0.0.0.0:0") as a:
            with socket.socket() as patient:
                patient.bind(("127.0.0.2", 0))
                patient.connect(("127.0.0.1", a.port))
                await until(lambda: a.count("connections_accepted") == 1, "the first")
                crowd = [socket.create_connection(("127.0.0.1", a.port)) for _ in range(40)]
                await until(lambda: a.count("connections_accepted") == 41, "the crowd")
                await until(lambda: a.count("connections_cut") >= 32, "most of it to be cut")
                patient.setblocking(False)
                greeting = await asyncio.get_running_loop().sock_recv(patient, 1024)
                assert greeting, "it is asked for its greeting, as ever"
                with pytest.raises(BlockingIOError):
                    patient.recv(1)  # and is still there
                for connection in crowd:
                    connection.close()

    asyncio.run(main())
