"""A peer that floods this one starves neither its timers nor other peers, and one that takes nothing costs nothing."""

import asyncio
import os
import resource
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from statistics import median

import pytest

from distevo.events import Event, LinkOpened
from distevo.instructions import Dial
from distevo.messages import PopulationKind, PopulationState
from distevod.transport import in_flight
from tests.transport.side import Side, hello, until
from tests.transport.test_wire_links import peer, process_of

TICK_SECONDS = 0.01
NODE_SECONDS = 40e-6
LATE_FRAMES = 1250
"""Most frames that come before a timer which is due: 50 ms of them. Frames, since time passes on a busy machine without
that this process does anything."""


class Busy(Side):
    """Takes for each message about as long as a node does, so that there is always one more."""

    def heard(self, event: Event) -> None:
        super().heard(event)
        end = time.perf_counter() + NODE_SECONDS
        while time.perf_counter() < end:
            pass


async def frames_while(side: Side, happens: Callable[[], Awaitable[object]]) -> int:
    """How many frames a side takes in until that has happened."""
    before = side.count("frames_in")
    await happens()
    return side.count("frames_in") - before


def test_a_flood_delays_timers_and_other_peers_by_milliseconds() -> None:
    async def main() -> None:
        async with Busy() as a, Side(None) as b:
            here, there = await b.link(a)

            def has_heard(messages: int) -> bool:
                return len(a.heads(there)) >= messages

            async def another_is_heard() -> None:
                heard = len(a.heads(there))
                b.send(here, hello())
                await until(partial(has_heard, heard + 1), "a message of the other peer")

            with peer(a, does="flood"):
                await a.wait(LinkOpened, 2)
                begin = a.count("frames_in")
                ticks = [await frames_while(a, partial(asyncio.sleep, TICK_SECONDS)) for _ in range(100)]
                others = [await frames_while(a, another_is_heard) for _ in range(20)]
                assert a.count("frames_in") - begin > 1_000  # else it is no flood
                # A starved loop would hold up most of them.
                assert sorted(ticks)[-3] < TICK_SECONDS / NODE_SECONDS + LATE_FRAMES
                assert median(others) < 2 * LATE_FRAMES
            a.events.clear()

    asyncio.run(main())


@asynccontextmanager
async def linked_process(a: Side, *, is_dialled: bool) -> AsyncIterator[tuple[subprocess.Popen[str], int]]:
    """A peer in a process of its own, and the link to it."""
    with process_of("listen") if is_dialled else peer(a) as process:
        if is_dialled:
            assert process.stdout is not None
            endpoint, key = process.stdout.readline().split()
            a.transport.carry_out(Dial("other", (endpoint,), key))
        yield process, (await a.wait(LinkOpened)).link


@pytest.mark.parametrize("is_dialled", [True, False])
def test_what_a_peer_does_not_take_waits_at_no_cost(is_dialled: bool) -> None:
    async def main() -> None:
        async with Side() as a, linked_process(a, is_dialled=is_dialled) as (stopped, link):
            os.kill(stopped.pid, signal.SIGSTOP)
            queue = a.transport._wires.by_number[link].queue
            sent, is_full = 0, False
            while not is_full:  # until the system's buffers take no more, either
                while len(queue) < 500:
                    a.send(link, PopulationState(kind=PopulationKind.HAND_OVER), bytes(20_000))
                    sent += 1
                    if sent % 64 == 0:
                        await asyncio.sleep(0)
                await asyncio.sleep(0.2)
                is_full = len(queue) == 500
            cpu, left = time.process_time(), len(queue)
            await asyncio.sleep(1.0)
            assert len(queue) == left
            assert time.process_time() - cpu < 0.2
            os.kill(stopped.pid, signal.SIGCONT)
            await until(lambda: not queue, "it to take what waits")
            assert a.count("dropped_queue_full") == 0
            assert a.count("frames_out") >= sent

    asyncio.run(main())


@pytest.mark.parametrize("is_dialled", [True, False])
def test_of_large_frames_a_peer_that_takes_nothing_has_few_within_libzmq(
    monkeypatch: pytest.MonkeyPatch, is_dialled: bool
) -> None:
    monkeypatch.setattr(in_flight, "MAX_LARGE_BYTES", 4 << 20)
    number, payload = 30, os.urandom(1 << 20)

    async def main() -> None:
        async with Side() as a, linked_process(a, is_dialled=is_dialled) as (stopped, link):
            os.kill(stopped.pid, signal.SIGSTOP)
            wire = a.transport._wires.by_number[link]
            for _ in range(number):
                a.send(link, PopulationState(kind=PopulationKind.HAND_OVER), payload)
            await asyncio.sleep(0.5)  # the system's buffers take some
            held = sum(size for tracker, size in wire.in_flight._large if not tracker.done)
            assert 0 < held <= 4 << 20
            assert len(wire.queue) > number // 3
            os.kill(stopped.pid, signal.SIGCONT)
            await until(lambda: not wire.queue, "it to take what waits")
            assert a.count("frames_out") >= number

    asyncio.run(main())


def test_a_large_frame_for_which_no_descriptor_is_left_hurts_nobody() -> None:
    """pyzmq has to have what it needs for it before."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def main() -> None:
        async with Side() as a, Side(None) as b, Side(None) as c:
            _, to_b = await b.link(a)
            _, to_c = await c.link(a)
            held: list[int] = []
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, most[1]))
            try:
                with suppress(OSError):
                    while True:
                        held.append(os.open(os.devnull, os.O_RDONLY))
                a.send(to_b, PopulationState(kind=PopulationKind.FINAL), os.urandom(1 << 20))
            finally:
                for descriptor in held:
                    os.close(descriptor)
                resource.setrlimit(resource.RLIMIT_NOFILE, most)
            a.send(to_c, hello())
            await until(lambda: b.heads() and c.heads(), "what was sent to each")

    asyncio.run(main())
