"""A pool of real worker processes, and orders for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec

from distevo.events import Event, IslandId, WorkerReady
from distevo.instructions import StartIsland, VerifyProgram
from distevo.run import Budget, ProblemUse, Run, RunSettings
from distevo.work import fresh_snapshot
from distevod.evolution.launcher import Launcher
from distevod.evolution.pool import LATE_SECONDS, Pool

E = TypeVar("E", bound=Event)

TIME_OUT = 1.0
STEP = LATE_SECONDS / 2
ONEMAX = ProblemUse("onemax", "", "onemax", "1")
BITS = {"bits": 64}


class Bench:
    """A pool, and what it has said so far."""

    def __init__(self, time_out: float, generation_seconds: float) -> None:
        self.events: list[Event] = []
        self.faults: list[BaseException] = []
        """What ended the watch over the workers; asyncio would only log it."""
        self._news = asyncio.Event()
        self.pool = Pool(
            Launcher(memory_mb=400),
            batch_size=20,
            generation_seconds=generation_seconds,
            evaluation_timeout_seconds=time_out,
            on_event=self._hear,
            on_fault=self.faults.append,
        )

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    async def next(self, kind: type[E], seconds: float = 20) -> E:
        """Wait for the next event of this kind; those before it are dropped."""
        async with asyncio.timeout(seconds):
            while True:
                while self.events:
                    event = self.events.pop(0)
                    if isinstance(event, kind):
                        return event
                self._news.clear()
                await self._news.wait()

    async def ready(self) -> int:
        """Start a worker in slot 0; its process id."""
        self.pool.launch(0)
        await self.next(WorkerReady)
        return self.pool.pids()[0]

    def look_for(self, seconds: float) -> None:
        """Look as often as ever for so long, on the pool's own clock."""
        begun = asyncio.get_running_loop().time()
        for number in range(int(seconds / STEP) + 1):
            self.pool.look(begun + number * STEP)


@contextlib.asynccontextmanager
async def bench(time_out: float = TIME_OUT, generation_seconds: float = 1.0) -> AsyncIterator[Bench]:
    """A pool that is gone afterwards, whose evaluations may take `time_out` seconds.

    A test that counts on all proposals of a generation, however slow the machine, gives it many `generation_seconds`.
    """
    made = Bench(time_out, generation_seconds)
    try:
        yield made
    finally:
        made.pool.kill()
        await made.pool.finish(5)
    assert not made.faults


def start(
    problem: ProblemUse = ONEMAX, data: Any = BITS, task: str = "t", islands: int = 1, evaluations: int = 10**6
) -> StartIsland:
    """An island in slot 0."""
    island = IslandId("r", task, 0)
    run = Run(
        name="r",
        nonce="0",
        problem=problem,
        settings=RunSettings(seed=1, cpu_seconds=1.0),
        tasks={task: msgspec.Raw(b"{}")},
        submitted_through="",
    )
    return StartIsland(
        slot=0,
        island=island,
        problem=problem,
        task=msgspec.json.encode(data),
        islands=islands,
        population_size=10,
        budget=Budget(None, evaluations),
        snapshot=fresh_snapshot(run, island, 1),
        attempt=0,
    )


def verify(problem: ProblemUse = ONEMAX, genome: bytes = b"0" * 64) -> VerifyProgram:
    """A look at a program in slot 0."""
    return VerifyProgram(0, "r", "t", problem, msgspec.json.encode(BITS), genome)
