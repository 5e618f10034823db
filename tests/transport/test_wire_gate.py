"""Who may connect: the handler of ZAP."""

import asyncio
import logging

import pytest
import zmq

from distevo.events import DialFailed, LinkOpened
from distevod.transport import attempt, options
from distevod.transport.gate import ADDRESS
from tests.transport.side import Side, hello, until


async def is_let_in(a: Side, b: Side) -> bool:
    """Whether `b` can link with `a`; both ends have to agree."""
    before = len(a.of(LinkOpened)), len(b.events)
    b.dial(a)
    await until(lambda: len(b.events) > before[1], "the dial to come to something")
    if isinstance(b.events[-1], DialFailed):
        assert len(a.of(LinkOpened)) == before[0]
        return False
    await a.wait(LinkOpened, before[0] + 1)
    return True


async def is_kept_out(a: Side, b: Side) -> bool:
    """The opposite, of which `b` does not wait long to be sure."""
    with pytest.MonkeyPatch.context() as hasty:
        for module in (options, attempt):
            hasty.setattr(module, "HANDSHAKE_MS", 300)
        return not await is_let_in(a, b)


def test_nobody_is_let_in_before_the_lists_are_known() -> None:
    async def main() -> None:
        async with Side(admit=None) as a, Side(None) as b:
            assert await is_kept_out(a, b)
            a.transport.admit([])
            assert await is_let_in(a, b)

    asyncio.run(main())


def test_all_are_let_in_but_the_denied() -> None:
    async def main() -> None:
        async with Side(admit=None) as a, Side(None) as stranger, Side(None) as denied:
            a.transport.admit([denied.keys.public])
            assert await is_let_in(a, stranger)
            assert await is_kept_out(a, denied)
            a.transport.admit([stranger.keys.public])  # revoked since, and the other let in again
            assert await is_kept_out(a, stranger)
            assert await is_let_in(a, denied)
            assert a.count("gate_turned_away") == 2

    asyncio.run(main())


def test_who_is_denied_learns_it_at_once() -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            a.transport.admit([b.keys.public])
            b.dial(a)
            assert "not let in" in await b.failure()

    asyncio.run(main())


def test_links_that_are_there_stay_when_a_key_is_denied() -> None:
    """The node hangs them up, which it can say why."""

    async def main() -> None:
        async with Side() as a, Side(None) as b:
            link, _ = await b.link(a)
            a.transport.admit([b.keys.public])
            b.send(link, hello())
            await until(a.heads, "the message")
            assert not a.closed()

    asyncio.run(main())


def test_a_handler_that_was_killed_lets_nobody_in() -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            assert await is_let_in(a, b)
            a.transport._gate.close()
            for _ in range(5):
                assert await is_kept_out(a, b)
            assert len(a.of(LinkOpened)) == 1
            # The first may have asked it while libzmq was still taking it down.
            await until(lambda: a.count("handshakes_failed_no_gate") >= 1, "it to be noticed")

    asyncio.run(main())


def test_a_fault_in_the_handler_lets_nobody_in_and_the_next_is_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            with monkeypatch.context() as broken:
                broken.setattr(a.transport._gate, "_judge", lambda _key: 1 / 0)
                assert await is_kept_out(a, b)
            assert a.count("gate_faults") == 1
            assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR]
            assert await is_let_in(a, b)

    asyncio.run(main())


@pytest.mark.parametrize(
    "request_frames",
    [
        [b""],
        [b"", b"1.0"],
        [b"", b"1.0", b"1", b"distevo", b"", b"", b"NULL"],
        [b"", b"1.0", b"1", b"distevo", b"", b"", b"CURVE"],
        [b"", b"1.0", b"1", b"distevo", b"", b"", b"CURVE", b"short"],
        [b"", b"1.0", b"1", b"distevo", b"", b"", b"PLAIN", b"user", b"password"],
        [b"", b"1.0", b"1", b"elsewhere", b"", b"", b"CURVE", bytes(32)],
        [b"", b"2.0", b"1", b"distevo", b"", b"", b"CURVE", bytes(32)],
    ],
)
def test_requests_that_are_none_get_no_200_and_end_nothing(request_frames: list[bytes]) -> None:
    async def main() -> None:
        async with Side() as a, Side(None) as b:
            context = a.transport._context
            assert context is not None
            with context.socket(zmq.DEALER) as asking:
                asking.setsockopt(zmq.LINGER, 0)
                asking.connect(ADDRESS)
                asking.send_multipart(request_frames)
                await until(lambda: a.count("gate_faults") + a.count("gate_turned_away") == 1, "the handler")
                while asking.poll(20):
                    assert asking.recv_multipart()[3] == b"300"
            assert await is_let_in(a, b)

    asyncio.run(main())
