"""The workers of the simulator: they do what real ones do, with a toy problem."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from distevo.block import pack, unpack
from distevo.checkpoint import Counters, IslandSnapshot
from distevo.events import (
    Event,
    IslandId,
    IslandReported,
    ProblemMissing,
    Verified,
    WorkerDied,
    WorkerReady,
    WorkersFinished,
)
from distevo.instructions import LimitIsland, SkipKeys, StartIsland, StopIsland, TakeMigrants, VerifyProgram
from distevo.program import Program
from distevo.run import Budget
from distevo.simulator.agenda import Agenda
from distevo.simulator.config import Group, Work
from distevo.simulator.workers import ABSENT, GENOME_BITS, KEY_OF, MADE_UP, PROBLEM, Workers, evaluate

ISLAND = IslandId("r", "t", 0)


class Host:
    def __init__(self, lacks: tuple[str, ...] = (), **work: Any) -> None:
        self.member, self.is_suspended, self.wakes_at = "m", False, 0.0
        self.heard: list[tuple[float, Event]] = []
        self.agenda = Agenda()
        self.generations = 0
        self.times = 1.0
        self.workers = Workers(Group(lacks=lacks), Work(**work), self, self.agenda, random.Random(1))

    def feed(self, event: Event) -> None:
        self.heard.append((self.agenda.now, event))

    def slowness(self) -> float:
        return self.times

    def generated(self, island: IslandId, grant: int, is_final: bool) -> None:
        self.generations += 1

    def wait(self, seconds: float) -> list[Any]:
        """What is heard in these seconds."""
        before = len(self.heard)
        self.agenda.run(self.agenda.now + seconds)
        return [event for _, event in self.heard[before:]]

    def ready(self) -> Host:
        self.workers.start(0)
        assert self.wait(1) == [WorkerReady(0)]
        return self


def order(island: IslandId = ISLAND, **fields: Any) -> StartIsland:
    snapshot = IslandSnapshot(
        run=island.run,
        task=island.task,
        island=island.island,
        problem=PROBLEM.name,
        version=PROBLEM.version,
        grant=1,
        sequence=3,
        cover={},
        seed="0" * 32,
        generation=0,
        cursor=0,
        optimizer=b"",
        population=b"",
        invalid=[],
        suspects=[],
        counters=Counters(),
    )
    known: dict[str, Any] = {
        "slot": 0,
        "problem": PROBLEM,
        "task": b"{}",
        "islands": 1,
        "population_size": 4,
        "budget": Budget(None, 1000),
        "snapshot": msgspec.structs.replace(snapshot, **fields),
        "attempt": 0,
    }
    return StartIsland(island=island, **known)


def test_an_island_goes_on_from_its_snapshot_generation_by_generation() -> None:
    host = Host().ready()
    host.workers.start_island(order(generation=7))
    reports = host.wait(100)
    assert len(reports) == host.generations > 10
    assert [report.snapshot.generation for report in reports] == list(range(8, 8 + len(reports)))
    best: list[float] = []
    worst: list[float] = []
    for report in reports:
        programs = unpack(report.snapshot.population, KEY_OF)
        assert programs == sorted(programs)
        assert len(programs) <= 4
        assert len(report.evaluated) % 16 == 0
        best.append(programs[0].fitness[0])
        worst.append(programs[-1].fitness[0])
    assert best == sorted(best)
    assert worst[-1] > worst[0]


def test_islands_of_a_slot_take_turns_until_they_are_stopped_or_spent() -> None:
    host = Host().ready()
    other = IslandId("r", "t", 1)
    host.workers.start_island(order())
    host.workers.start_island(order(other))
    turns = [report.island for report in host.wait(50)]
    assert turns[:4] == [ISLAND, other, ISLAND, other]
    host.workers.stop_island(StopIsland(0, other))
    assert {report.island for report in host.wait(50)} == {ISLAND}
    host.workers.limit_island(LimitIsland(0, ISLAND, Budget(None, 1)))
    (last,) = host.wait(50)
    assert last.is_spent


def test_a_slow_platform_takes_longer_and_no_more_work() -> None:
    host = Host(generation_seconds=(2.0, 2.0)).ready()
    host.times = 5.0
    host.workers.start_island(order())
    reports = host.wait(21)
    assert len(reports) == 2
    done, before = reports[-1].snapshot.counters, order().snapshot.counters
    assert done.cpu_seconds - before.cpu_seconds == 4.0
    assert done.seconds - before.seconds == 20.0


def test_migrants_and_what_others_have_evaluated() -> None:
    host = Host().ready()
    host.workers.start_island(order())
    migrant = Program.of(b"migrant", KEY_OF(b"migrant"), (2.0,))
    host.workers.take_migrants(TakeMigrants(0, ISLAND, 5, pack([migrant])))
    report = host.wait(10)[0]
    assert report.taken == 5
    assert unpack(report.snapshot.population, KEY_OF)[0] == migrant
    everything = b"".join(KEY_OF(b"%x" % genome)[:16] for genome in range(2**GENOME_BITS))
    host.workers.skip_keys(SkipKeys(0, ISLAND, everything[: 16 * 10_000]))
    before = report.snapshot.counters
    after = host.wait(400)[-1].snapshot.counters
    assert after.duplicates > before.duplicates


def test_a_worker_that_dies_takes_along_what_it_had_not_reported() -> None:
    host = Host().ready()
    host.workers.start_island(order())
    host.workers.kill(0)
    (event,) = [event for _, event in host.heard[1:]]
    assert isinstance(event, WorkerDied)
    assert event.island == ISLAND
    assert host.wait(50) == []
    host.workers.start_island(order())
    assert host.wait(50) == [], "nobody is there"
    host.workers.start(0)
    assert host.wait(1) == [WorkerReady(0)]
    host.workers.start_island(order())
    assert isinstance(host.wait(50)[0], IslandReported)


def test_workers_stand_still_with_their_platform() -> None:
    host = Host(generation_seconds=(2.0, 2.0)).ready()
    host.workers.start_island(order())
    host.is_suspended, host.wakes_at = True, 31.0
    assert host.wait(30) == []
    host.is_suspended = False
    assert len(host.wait(2.1)) == 1


def test_a_program_is_worth_the_same_to_everybody() -> None:
    host = Host(fit=0.5).ready()
    for number in range(8):
        genome = b"%x" % number
        host.workers.verify(VerifyProgram(0, "r", "t", PROBLEM, b"{}", genome))
        (event,) = host.wait(1)
        fitness, is_fit = evaluate("t", genome, 0.5)
        assert event == Verified("r", "t", genome, fitness, is_fit, solved=is_fit)
    fits = [evaluate("t", b"%x" % number, 0.25)[1] for number in range(400)]
    assert sum(fits) == pytest.approx(100, abs=30)


def test_what_an_island_takes_for_fit_may_not_be_so_when_it_is_evaluated_again() -> None:
    host = Host(made_up=1.0, generation_seconds=(1.0, 1.0)).ready()
    host.workers.start_island(order())
    (reported,) = host.wait(1.1)
    assert isinstance(reported, IslandReported)
    assert reported.fit
    program = unpack(reported.snapshot.population, KEY_OF)[0]
    assert program.fitness == (MADE_UP,)
    host.workers.verify(VerifyProgram(0, "r", "t", PROBLEM, b"{}", program.genome))
    (verdict,) = host.wait(1)
    assert isinstance(verdict, Verified)
    assert not verdict.fit
    assert verdict.fitness != program.fitness


def test_workers_that_are_told_to_finish() -> None:
    host = Host().ready()
    host.workers.start_island(order())
    host.workers.finish(1.0)
    assert [type(event) for event in host.wait(50)] == [WorkersFinished]


def test_workers_of_a_platform_that_is_gone() -> None:
    host = Host().ready()
    host.workers.start_island(order())
    host.workers.start(0)
    host.workers.finish(1.0)
    host.workers.end()
    host.workers.kill(0)
    assert host.wait(50) == []


def test_a_platform_without_the_problem_says_so() -> None:
    host = Host(lacks=("r",)).ready()
    host.workers.start_island(order())
    assert host.wait(10) == [ProblemMissing(0, ISLAND, ABSENT)]
    host.workers.verify(VerifyProgram(0, "r", "t", PROBLEM, b"{}", b"1"))
    (verdict,) = host.wait(10)
    assert (verdict.is_missing, verdict.fitness) == (True, None)
    host.workers.start_island(order(IslandId("s", "t", 0)))
    assert isinstance(host.wait(10)[0], IslandReported)
