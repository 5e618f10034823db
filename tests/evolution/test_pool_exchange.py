"""Migrants and seen keys on their way to and from real worker processes."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from distevo.block import pack, unpack
from distevo.events import IslandReported
from distevo.instructions import SkipKeys, StopIsland, TakeMigrants
from distevo.program import Program, keyer
from distevo.seen import MAX_SEEN_BYTES, SEEN_KEY_BYTES
from distevod.evolution.pool import UNREAD_BYTES
from distevod.evolution.wire import Skip, Take
from tests.evolution.bench import bench, start

KEY_OF = keyer("onemax", "1")
BITS = 5000
FREE, COSTLY = {"bits": BITS}, {"bits": BITS, "cost_us": 200}
GENOME = b"1" * 4000 + b"0" * 1000
MIGRANT = Program.of(GENOME, KEY_OF(GENOME), (4000.0,))


def has_migrant(report: IslandReported) -> bool:
    return MIGRANT in unpack(report.snapshot.population, KEY_OF)


def test_migrants_reach_a_running_island_and_its_report_says_so() -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            order = start(data=FREE, islands=2)
            b.pool.start_island(order)
            report = await b.next(IslandReported)
            assert report.taken == 0
            b.pool.take_migrants(TakeMigrants(0, order.island, 7, pack([MIGRANT])))
            async with asyncio.timeout(20):
                while report.taken == 0:
                    assert not has_migrant(report)
                    report = await b.next(IslandReported)
            for _ in range(3):
                assert report.taken == 7
                assert has_migrant(report)
                report = await b.next(IslandReported)

    asyncio.run(scene())


def test_what_comes_for_an_island_that_has_ended_is_ignored() -> None:
    async def scene() -> None:
        async with bench() as b:
            pid = await b.ready()
            ended = start(data=FREE, islands=2, evaluations=1)
            b.pool.start_island(ended)
            assert (await b.next(IslandReported)).is_spent
            b.pool.take_migrants(TakeMigrants(0, ended.island, 1, pack([MIGRANT])))
            b.pool.skip_keys(SkipKeys(0, ended.island, MIGRANT.key[:SEEN_KEY_BYTES]))
            b.pool.start_island(start(data=FREE, islands=2))
            report = await b.next(IslandReported)
            # Its end and what is for it may also cross: the worker is told of an island that it does not have any more.
            process = b.pool._processes[0]
            b.pool._send(process, Take(1, 1, pack([MIGRANT])))
            b.pool._send(process, Skip(1, MIGRANT.key[:SEEN_KEY_BYTES]))
            # And what is sent afterwards tells that both have been heard.
            b.pool.take_migrants(TakeMigrants(0, ended.island, 2, pack([])))
            while report.taken == 0:
                assert not has_migrant(report)
                report = await b.next(IslandReported)
            assert report.taken == 2
            assert not has_migrant(report)
            assert b.pool.pids() == {0: pid}

    asyncio.run(scene())


def test_keys_are_told_and_save_another_worker_the_evaluations() -> None:
    async def scene() -> None:
        async with bench(generation_seconds=20) as b:
            await b.ready()
            order = start(data=COSTLY, islands=2)
            b.pool.start_island(order)
            told = b""
            for _ in range(30):
                report = await b.next(IslandReported)
                told += report.evaluated
            assert len(told) == report.snapshot.counters.evaluations * SEEN_KEY_BYTES
            b.pool.stop_island(StopIsland(0, order.island))
            b.events.clear()
            # The same island from the beginning: whatever it does before it hears of the keys, it does as before.
            b.pool.start_island(order)
            b.pool.skip_keys(SkipKeys(0, order.island, told))
            evaluations = 0
            async with asyncio.timeout(20):
                while (report := await b.next(IslandReported)).snapshot.counters.evaluations != evaluations:
                    evaluations = report.snapshot.counters.evaluations
            assert report.snapshot.counters.duplicates > 0
            assert report.evaluated == b""

    asyncio.run(scene())


@pytest.mark.parametrize(("islands", "is_told"), [(1, False), (2, True)])
def test_a_task_with_one_island_tells_nobody(islands: int, is_told: bool) -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            b.pool.start_island(start(data=COSTLY, islands=islands))
            for _ in range(3):
                assert bool((await b.next(IslandReported)).evaluated) is is_told

    asyncio.run(scene())


def test_keys_do_not_pile_up_before_a_worker_that_does_not_read() -> None:
    async def scene() -> None:
        async with bench() as b:
            pid = await b.ready()
            order = start(data=FREE, islands=2)
            b.pool.start_island(order)
            await b.next(IslandReported)
            os.kill(pid, signal.SIGSTOP)
            transport = b.pool._processes[0].transport
            assert transport is not None
            for _ in range(100):
                b.pool.skip_keys(SkipKeys(0, order.island, bytes(MAX_SEEN_BYTES)))
            assert UNREAD_BYTES <= transport.get_write_buffer_size() < UNREAD_BYTES + 2 * MAX_SEEN_BYTES
            os.kill(pid, signal.SIGCONT)
            b.events.clear()
            await b.next(IslandReported)

    asyncio.run(scene())
