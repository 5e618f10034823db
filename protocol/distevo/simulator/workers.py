"""The workers of a simulated platform: a toy problem whose programs are as good as their keys say.

Like the real ones they take turns among the islands of a slot, report the whole state after each generation, and take
everything that they had not reported along when they die. A program's fitness depends on task and program alone, so
any two platforms agree on it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from distevo.block import pack, unpack
from distevo.checkpoint import Counters, IslandSnapshot
from distevo.events import (
    Death,
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
from distevo.messages import SEEN_KEY_BYTES
from distevo.program import Program, keyer
from distevo.provenance import Provenance, meta_of
from distevo.run import ProblemUse
from distevo.simulator.agenda import Agenda
from distevo.simulator.config import Group, Work

PROBLEM = ProblemUse("toy", "", "toy", "1")
KEY_OF = keyer(PROBLEM.name, PROBLEM.version)
NEW_PROGRAMS = 2
"""Programs of a generation that are good enough to be looked at by anybody; the others count as evaluated."""
GENOME_BITS = 18
"""So few that islands find each other's programs now and then."""
KEPT_SKIPS = 10_000
MADE_UP = 1.0
"""Fitness of programs that are not what they are taken for."""
ABSENT = "its problem is not here"
"""What a platform that lacks a run says."""


class Host(Protocol):
    """The platform that the workers belong to."""

    member: str
    is_suspended: bool
    wakes_at: float
    """When it goes on, if it is suspended."""
    slowness: Callable[[], float]
    """How many times as long as usual the machine takes, now."""

    def feed(self, event: Event) -> None: ...
    def generated(self, island: IslandId, grant: int, is_final: bool) -> None: ...


def evaluate(task: str, genome: bytes, fit_share: float) -> tuple[tuple[float], bool]:
    """(fitness, whether fit) of a program for a task; the best `fit_share` of all programs are fit."""
    key = KEY_OF(task.encode() + genome)
    worth = int.from_bytes(key[:4], "big") / 2**32
    return (round(worth, 6),), worth >= 1 - fit_share


def first_look(task: str, genome: bytes, work: Work) -> tuple[tuple[float], bool]:
    """What an island takes a program for: of some it is wrong, in the same way each time."""
    if work.made_up and int.from_bytes(KEY_OF(genome + task.encode())[:4], "big") < work.made_up * 2**32:
        return (MADE_UP,), True
    return evaluate(task, genome, work.fit)


class _Turn(NamedTuple):
    """The generation that a worker is at."""

    slot: int
    life: int
    work: float
    """CPU seconds that it takes."""
    lasts: float
    """Seconds that pass until it is done."""


class _Running:
    __slots__ = ("budget", "known", "migrants", "order", "programs", "skips", "snapshot", "taken")

    def __init__(self, order: StartIsland) -> None:
        self.order, self.budget, self.snapshot = order, order.budget, order.snapshot
        block = order.snapshot.population
        self.programs = unpack(block, KEY_OF) if block else []
        self.known = {program.key for program in self.programs}
        self.migrants: list[Program] = []
        self.taken = 0
        self.skips: set[bytes] = set()


class _Slot:
    __slots__ = ("is_ready", "is_turning", "islands", "life")

    def __init__(self) -> None:
        self.is_ready = self.is_turning = False
        self.islands: list[_Running] = []
        self.life = 0
        """Counts the workers that were here: what one had planned means nothing to the next."""


class Workers:
    """All slots of one boot."""

    def __init__(self, group: Group, work: Work, host: Host, agenda: Agenda, rng: random.Random) -> None:
        """`group`: what the platform is, of which its workers and what it lacks count here."""
        self._lacks, self._work, self._host, self._agenda, self._rng = group.lacks, work, host, agenda, rng
        self._slots = [_Slot() for _ in range(group.workers)]
        self._is_over = False

    def end(self) -> None:
        """The platform is gone."""
        self._is_over = True

    # --- what the node says ----------------------------------------------------------------------

    def start(self, number: int) -> None:
        """Start a worker."""
        slot = self._slots[number]
        slot.life += 1
        self._agenda.after(self._work.start_seconds * (0.5 + self._rng.random()), self._ready, (number, slot.life))

    def start_island(self, order: StartIsland) -> None:
        """Evolve an island."""
        slot = self._slots[order.slot]
        if slot.is_ready and order.island.run in self._lacks:
            self._agenda.after(self._work.start_seconds * self._rng.random(), self._missed, (order, slot.life))
        elif slot.is_ready:
            slot.islands.append(_Running(order))
            self._plan_turn(order.slot)

    def limit_island(self, order: LimitIsland) -> None:
        """Change an island's budget."""
        for running in self._running(order.slot, order.island):
            running.budget = order.budget

    def stop_island(self, order: StopIsland) -> None:
        """Let go of an island."""
        for running in self._running(order.slot, order.island):
            self._slots[order.slot].islands.remove(running)

    def take_migrants(self, order: TakeMigrants) -> None:
        """Offer programs to an island before its next generation."""
        for running in self._running(order.slot, order.island):
            running.migrants += unpack(order.block, KEY_OF)
            running.taken = order.number

    def skip_keys(self, order: SkipKeys) -> None:
        """Tell an island what others have evaluated."""
        for running in self._running(order.slot, order.island):
            for at in range(0, len(order.keys), SEEN_KEY_BYTES):
                if len(running.skips) < KEPT_SKIPS:
                    running.skips.add(order.keys[at : at + SEEN_KEY_BYTES])

    def verify(self, order: VerifyProgram) -> None:
        """Evaluate a program again."""
        slot = self._slots[order.slot]
        if slot.is_ready:
            seconds = self._work.start_seconds * self._rng.random()
            self._agenda.after(seconds, self._verified, (order, slot.life))

    def finish(self, grace: float) -> None:
        """Let all workers end."""
        self._agenda.after(grace * self._rng.random(), self._finished)

    # --- what workers do -------------------------------------------------------------------------

    def kill(self, number: int) -> None:
        """The worker in this slot dies, if there is one."""
        slot = self._slots[number % len(self._slots)]
        if self._is_over or not slot.is_ready:
            return
        island = slot.islands[0].order.island if slot.islands else None
        # Half of the time it was in the middle of an evaluation.
        is_at_work = island is not None and self._rng.random() < 0.5
        slot.is_ready, slot.is_turning = False, False
        slot.islands.clear()
        slot.life += 1
        culprit = self._genome() if is_at_work else None
        self._host.feed(WorkerDied(number % len(self._slots), Death.KILLED, island, culprit))

    def _ready(self, started: tuple[int, int]) -> None:
        number, life = started
        slot = self._slots[number]
        if not self._is_over and slot.life == life:
            slot.is_ready = True
            self._host.feed(WorkerReady(number))

    def _running(self, number: int, island: IslandId) -> list[_Running]:
        return [running for running in self._slots[number].islands if running.order.island == island]

    def _plan_turn(self, number: int) -> None:
        slot = self._slots[number]
        if slot.islands and not slot.is_turning:
            slot.is_turning = True
            work = self._rng.uniform(*self._work.generation_seconds)
            turn = _Turn(number, slot.life, work, work * self._host.slowness())
            self._agenda.after(turn.lasts, self._turn, turn)

    def _turn(self, planned: _Turn) -> None:
        number, life, _, _ = planned
        slot = self._slots[number]
        if self._is_over or slot.life != life:
            return
        if self._host.is_suspended:
            rest = self._rng.uniform(*self._work.generation_seconds)
            self._agenda.at(self._host.wakes_at + rest, self._turn, planned)
            return
        slot.is_turning = False
        if not slot.islands:
            return
        if self._work.deaths and self._rng.random() < self._work.deaths:
            self.kill(number)
            return
        running = slot.islands.pop(0)
        event = self._generation(planned, running)
        if not (event.fit or event.is_spent):
            slot.islands.append(running)
        self._host.generated(event.island, event.snapshot.grant, event.fit or event.is_spent)
        self._host.feed(event)
        self._plan_turn(number)

    def _generation(self, turn: _Turn, running: _Running) -> IslandReported:
        old, order = running.snapshot, running.order
        evaluated: list[bytes] = []
        made = [program for program in running.migrants if program.key not in running.known]
        running.migrants = []
        skipped = 0
        meta = meta_of(Provenance(self._host.member, order.island.island, old.generation + 1))
        for _ in range(NEW_PROGRAMS):
            genome = self._genome()
            key = KEY_OF(genome)
            if key in running.known or key[:SEEN_KEY_BYTES] in running.skips or key in old.invalid:
                skipped += 1
                continue
            fitness, is_fit = first_look(order.island.task, genome, self._work)
            made.append(Program.of(genome, key, fitness, is_fit, meta=meta))
            if not is_fit:
                evaluated.append(key[:SEEN_KEY_BYTES])
        population = old.population
        if made or not population:
            # Equal keys are one program; copies of it are equal here, since fitness is a matter of the genome.
            by_key = {program.key: program for program in (*running.programs, *made)}
            running.programs = sorted(by_key.values())[: order.population_size]
            running.known = {program.key for program in running.programs}
            population = pack(running.programs)
        running.snapshot = snapshot = self._next(old, population, skipped, turn)
        counters = snapshot.counters
        return IslandReported(
            slot=turn.slot,
            island=order.island,
            snapshot=snapshot,
            fit=any(program.fit for program in running.programs),
            is_spent=running.budget.is_used(counters.cpu_seconds, counters.evaluations, counters.duplicates),
            taken=running.taken,
            evaluated=b"".join(evaluated),
        )

    def _next(self, old: IslandSnapshot, population: bytes, skipped: int, turn: _Turn) -> IslandSnapshot:
        counters = old.counters
        return replace(
            old,
            generation=old.generation + 1,
            population=population,
            counters=Counters(
                evaluations=counters.evaluations + self._work.evaluations - skipped,
                duplicates=counters.duplicates + skipped,
                cpu_seconds=counters.cpu_seconds + turn.work,
                seconds=counters.seconds + turn.lasts,
            ),
        )

    def _missed(self, started: tuple[StartIsland, int]) -> None:
        order, life = started
        if not self._is_over and self._slots[order.slot].life == life:
            self._host.feed(ProblemMissing(order.slot, order.island, ABSENT))

    def _verified(self, asked: tuple[VerifyProgram, int]) -> None:
        order, life = asked
        if self._is_over or self._slots[order.slot].life != life:
            return
        if order.run in self._lacks:
            self._host.feed(Verified(order.run, order.task, order.genome, None, False, None, ABSENT, is_missing=True))
        else:
            fitness, is_fit = evaluate(order.task, order.genome, self._work.fit)
            self._host.feed(Verified(order.run, order.task, order.genome, fitness, is_fit, solved=is_fit))

    def _finished(self, _: object) -> None:
        if not self._is_over:
            for slot in self._slots:
                slot.is_ready = False
                slot.islands.clear()
                slot.life += 1
            self._host.feed(WorkersFinished())

    def _genome(self) -> bytes:
        return b"%x" % self._rng.getrandbits(GENOME_BITS)
