"""Dials that come to something, and the reasons of those that do not."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator
from ipaddress import IPv4Address

import pytest
import zmq
import zmq.asyncio

from distevo.events import DialFailed, LinkClosed, LinkOpened
from distevo.instructions import Dial
from distevod.transport import KeyPair, attempt, dialler, options
from distevod.transport.gate import ADDRESS
from distevod.transport.socks import host_in
from tests.support.ports import refusing_port
from tests.transport.servers import aborted, tcp_server
from tests.transport.side import Side, hello, until


@contextlib.asynccontextmanager
async def zmq_server(keys: KeyPair, *, status: bytes = b"", curve: bool = True) -> AsyncIterator[int]:
    """A ROUTER of another make, that answers every key with this status; yields its port."""
    context: zmq.asyncio.Context = zmq.asyncio.Context()
    handler, server = context.socket(zmq.ROUTER), context.socket(zmq.ROUTER)
    handler.bind(ADDRESS)
    if curve:
        server.setsockopt(zmq.CURVE_SERVER, 1)
        server.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
        server.setsockopt(zmq.ZAP_DOMAIN, b"other")
    port = server.bind_to_random_port("tcp://127.0.0.1")

    async def answer() -> None:
        while True:
            request = await handler.recv_multipart()
            await handler.send_multipart([request[0], b"", b"1.0", request[3], status, b"", b"", b""])

    answering = asyncio.create_task(answer())
    try:
        yield port
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        for each in (handler, server):
            each.close(linger=0)
        context.term()


def why(*endpoints: str, key: str = "") -> str:
    """Why a dial of these endpoints comes to nothing; the member's key is `key`, or some."""

    async def main() -> str:
        async with Side(None) as b:
            b.transport.carry_out(Dial("other", endpoints, key or KeyPair.make().public))
            reason = await b.failure()
            assert b.events == [DialFailed("other", reason)]
            return reason

    return asyncio.run(main())


def test_nobody_listens() -> None:
    with refusing_port() as port:
        assert why(f"tcp://127.0.0.1:{port}") == f"tcp://127.0.0.1:{port}: connection refused"


def test_a_name_that_is_none() -> None:
    assert "nobody.invalid:1: " in why("tcp://nobody.invalid:1")


@pytest.mark.parametrize(
    "endpoint",
    ["", "inproc://zeromq.zap.01", "ipc:///tmp/x", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:65536",
     "tcp://eth0;127.0.0.1:1", "tcp://*:1", "tcp://a b:1", "udp://127.0.0.1:1", "tcp://127.0.0.1:1\n"],
)  # fmt: skip
def test_what_is_no_tcp_endpoint_is_not_tried(endpoint: str) -> None:
    assert why(endpoint) == f"{endpoint!r} is no tcp://HOST:PORT"


def test_a_member_without_endpoints_and_one_without_a_key() -> None:
    assert why() == "nothing to try"
    assert why("tcp://127.0.0.1:1", key="short") == "the plan shows no valid key"
    assert why("tcp://127.0.0.1:1", key="\\" * 40) == "the plan shows no valid key"


def test_another_key_answers() -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            b.dial(a, key=KeyPair.make().public)
            assert await b.failure() == f"{a.endpoint}: {attempt.WRONG_KEY}"
            await until(lambda: a.count("handshakes_failed_protocol") == 1, "the inbox to count it")
            assert not a.events

    asyncio.run(main())


def test_a_member_that_does_not_let_us_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "HANDSHAKE_MS", 500)
    monkeypatch.setattr(attempt, "HANDSHAKE_MS", 500)

    async def main() -> None:
        async with Side(admit=None) as a, Side(None) as b:
            b.dial(a)
            # libzmq leaves whom it does not let in waiting, or ends the connection, as it happens.
            reason = (await b.failure()).removeprefix(f"{a.endpoint}: ")
            assert reason in {attempt.NOT_LET_IN, attempt.WRONG_KEY}
            assert not a.events

    asyncio.run(main())


def test_a_member_that_says_so() -> None:
    async def main() -> None:
        keys = KeyPair.make()
        async with zmq_server(keys, status=b"400") as port, Side(None) as b:
            b.dial(b, f"tcp://127.0.0.1:{port}", key=keys.public)
            assert await b.failure() == f"tcp://127.0.0.1:{port}: the key was not let in (400)"

    asyncio.run(main())


def test_a_server_without_curve() -> None:
    async def main() -> None:
        async with zmq_server(KeyPair.make(), curve=False) as port, Side(None) as b:
            b.dial(b, f"tcp://127.0.0.1:{port}")
            # Which of the two notices first is theirs to find out.
            assert (await b.failure()).removeprefix(f"tcp://127.0.0.1:{port}: ") in {
                attempt.WRONG_KEY,
                "the other end does not use CURVE",
            }

    asyncio.run(main())


def test_a_server_of_something_else() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()

    async def main() -> None:
        async with tcp_server(talk) as port, Side(None) as b:
            b.dial(b, f"tcp://127.0.0.1:{port}")
            assert await b.failure() == f"tcp://127.0.0.1:{port}: {attempt.NO_MEMBER}"

    asyncio.run(main())


async def say_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read until the other end closes."""
    await reader.read(-1)


def test_a_server_that_says_nothing_is_not_waited_for_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialler, "DIAL_SECONDS", 0.3)

    async def main() -> None:
        async with tcp_server(say_nothing) as port, Side(None) as b:
            b.dial(b, f"tcp://127.0.0.1:{port}")
            assert await b.failure() == f"time-out: tcp://127.0.0.1:{port}"

    asyncio.run(main())


def test_each_endpoint_is_tried_and_each_reason_given() -> None:
    with refusing_port() as first, refusing_port() as second:
        assert why(f"tcp://127.0.0.1:{first}", f"tcp://127.0.0.1:{second}", "nonsense") == (
            f"tcp://127.0.0.1:{first}: connection refused; tcp://127.0.0.1:{second}: connection refused; "
            "'nonsense' is no tcp://HOST:PORT"
        )


def test_an_endpoint_that_hangs_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "HANDSHAKE_MS", 600_000)  # it hangs for ever
    monkeypatch.setattr(dialler, "DIAL_SECONDS", 600.0)

    async def main() -> None:
        async with tcp_server(say_nothing) as port, Side() as a, Side(None) as b:
            with refusing_port() as refusing:
                b.dial(a, f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{refusing}", a.endpoint)
                opened = await b.wait(LinkOpened)
            b.send(opened.link, hello())
            await until(a.heads, "the message")
            assert len(b.events) == 1

    asyncio.run(main())


def test_of_two_endpoints_that_lead_there_one_becomes_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialler, "STAGGER_SECONDS", 0.0)

    async def main() -> None:
        async with Side() as a, Side(None) as b:
            b.dial(a, *[a.endpoint] * 8)
            opened = await b.wait(LinkOpened)
            await a.wait(LinkOpened)
            await until(lambda: len(a.of(LinkOpened)) == len(a.closed()) + 1, "the losers to be closed")
            b.send(opened.link, hello())
            await until(a.heads, "the message")
            assert b.events == [opened]
            b.hang_up(opened.link)
            await until(lambda: len(a.of(LinkOpened)) == len(a.closed()), "the link to be closed")

    asyncio.run(main())


def test_names_are_resolved() -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            b.dial(a, f"tcp://localhost:{a.port}")
            await b.wait(LinkOpened)

    asyncio.run(main())


@pytest.mark.parametrize("listen", ["tcp://[::1]:0", "tcp://*:0"])
def test_ipv6(listen: str) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")

    async def main() -> None:
        async with Side(listen) as a, Side(None) as b:
            b.dial(a, f"tcp://[::1]:{a.port}")
            await b.wait(LinkOpened)
            await a.wait(LinkOpened)
            if "*" in listen:
                b.dial(a, f"tcp://127.0.0.1:{a.port}")
                await b.wait(LinkOpened, 2)
                await a.wait(LinkOpened, 2)

    asyncio.run(main())


def test_an_ipv4_endpoint_is_told_as_it_was_asked_for() -> None:
    async def main() -> None:
        async with Side("tcp://127.0.0.1:0") as a, Side("tcp://0.0.0.0:0") as b:
            assert a.endpoint == f"tcp://127.0.0.1:{a.port}"
            assert b.endpoint == f"tcp://0.0.0.0:{b.port}"

    asyncio.run(main())


def test_nothing_stale_comes_out_of_a_new_link() -> None:
    async def main() -> None:
        async with Side(None) as b:
            async with Side() as a:
                old, _ = await b.link(a)
                endpoint, keys = a.endpoint, a.keys
            for _ in range(50):
                b.send(old, hello("stale"))
            await b.wait(LinkClosed)
            a = Side(endpoint)
            a.transport._keys = keys
            async with a:
                b.dial(a, key=keys.public)
                opened = await b.wait(LinkOpened, 2)
                b.send(opened.link, hello("fresh"))
                await until(a.heads, "the message")
                assert a.heads() == [hello("fresh")]

    asyncio.run(main())


async def socks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A SOCKS 5 proxy (RFC 1928) for IPv4 addresses and names, without authentication."""
    _, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(b"\x05\x00")
    _, command, _, kind = await reader.readexactly(4)
    assert command == 1
    if kind == 1:
        host = str(IPv4Address(await reader.readexactly(4)))
    else:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    port = int.from_bytes(await reader.readexactly(2), "big")
    try:
        there, back = await asyncio.open_connection({"member.example": "127.0.0.1"}.get(host, host), port)
    except OSError:
        writer.write(b"\x05\x05\x00\x01\0\0\0\0\0\0")
        return
    writer.write(b"\x05\x00\x00\x01\0\0\0\0\0\0")

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async with aborted(back):
        await asyncio.gather(pump(reader, back), pump(there, writer))


def test_an_end_does_not_wait_for_the_address_of_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, over = threading.Event(), threading.Event()

    def dead(*_: object, **__: object) -> object:
        asked.set()
        over.wait(30)
        raise socket.gaierror

    async def main() -> None:
        async with Side(None, socks_proxy="proxy.example:1080") as b:
            monkeypatch.setattr(socket, "getaddrinfo", dead)
            b.dial(b, "tcp://127.0.0.1:1")
            await until(asked.is_set, "the question")

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() < begun + 10
    over.set()


@pytest.mark.parametrize("host", ["127.0.0.1", "member.example"])
def test_through_a_socks_proxy_which_resolves_the_names(host: str) -> None:
    async def main() -> None:
        async with tcp_server(socks) as proxy, Side() as a:
            async with Side(None, socks_proxy=f"localhost:{proxy}") as b:
                b.dial(a, f"tcp://{host}:{a.port}")
                link = (await b.wait(LinkOpened)).link
                b.send(link, hello())
                await until(a.heads, "the message")
            await a.wait(LinkClosed)

    asyncio.run(main())


def test_reasons_of_a_proxy() -> None:
    async def main(nowhere: int) -> None:
        async with Side(None, socks_proxy=f"127.0.0.1:{nowhere}") as b:
            b.dial(b, "tcp://127.0.0.1:1")
            assert await b.failure() == f"no connection to the proxy 127.0.0.1:{nowhere}: connection refused"
        async with tcp_server(socks) as proxy, Side(None, socks_proxy=f"127.0.0.1:{proxy}") as b:
            b.dial(b, f"tcp://127.0.0.1:{nowhere}")
            assert await b.failure() == f"the proxy 127.0.0.1:{proxy} cannot reach it: connection refused"
        async with tcp_server(say_nothing_good) as proxy, Side(None, socks_proxy=f"127.0.0.1:{proxy}") as b:
            b.dial(b, f"tcp://127.0.0.1:{nowhere}")
            assert await b.failure() == f"the proxy 127.0.0.1:{proxy} is no SOCKS 5 proxy, or broke off"
        async with Side(None, socks_proxy="a..b:1080") as b:
            b.dial(b, "tcp://127.0.0.1:1")
            assert (await b.failure()).startswith("no connection to the proxy a..b:1080: ")

    with refusing_port() as port:
        asyncio.run(main(port))


async def say_nothing_good(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a web server does."""
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


def test_a_proxy_may_have_an_address_that_means_something_on_one_link_alone() -> None:
    *_, address = socket.getaddrinfo("fe80::1%lo", 1080, type=socket.SOCK_STREAM)[0]
    assert host_in(address) == f"fe80::1%{socket.if_nametoindex('lo')}"
    assert host_in(("192.0.2.1", 1080)) == "192.0.2.1"


def test_a_name_that_is_too_long_for_a_proxy_fails_like_any_other() -> None:
    async def main() -> None:
        async with tcp_server(socks) as proxy, Side() as a, Side(None, socks_proxy=f"127.0.0.1:{proxy}") as b:
            b.dial(a, f"tcp://{'x' * 300}:5670")
            assert "longer than a name may be" in await b.failure()

    asyncio.run(main())


def test_a_fault_while_dialling_is_an_answer_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            monkeypatch.setattr(b.transport._dialler, "_reach", lambda _endpoint, _key: 1 / 0)
            b.dial(a)
            assert "a fault here" in await b.failure()

    asyncio.run(main())
    assert "a fault while dialling" in caplog.text
