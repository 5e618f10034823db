"""Work in hand: an island on this platform, from the plan that gave it to the plan that takes it away."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from distevo.block import MAX_PROGRAMS, best_fitness, pack, unpack
from distevo.checkpoint import Claim, Counters, IslandSnapshot, content_bytes, programs_of
from distevo.codec import MAX_PROGRAM_BYTES, MAX_TOLD_PROGRAMS
from distevo.convergence import WINDOW_GENERATIONS, has_converged
from distevo.events import IslandId, WorkerDied
from distevo.machine import Table
from distevo.merge import PopulationMerger
from distevo.plan import RunPlan
from distevo.population import Population
from distevo.program import Program, keyer
from distevo.run import Budget, Run, island_seed
from distevo.warm_start import resident

MAX_BLAMELESS_DEATHS = 3
"""Workers that may die in one generation of an island with no program to blame before its platform gives it up."""


class Stage(StrEnum):
    """Where an island in hand is."""

    FETCHING = "fetching"
    RETURNING = "returning"
    EVOLVING = "evolving"
    SUSPENDED = "suspended"
    FINAL = "final"
    PARTING = "parting"
    GONE = "gone"


class Turn(StrEnum):
    """What happens to an island in hand."""

    RESTORED = "restored"
    REPORTED = "a generation is reported"
    ENDED = "nothing is left to evolve"
    PAUSED = "its run is paused, or it has no place"
    RESUMED = "its run goes on, and it has a place"
    EXTENDED = "its budget is raised"
    MOVED = "the plan gives it to another"
    RETURNED = "the plan gives it back"
    HANDED_OVER = "the new owner has it"
    CLOSED = "the plan closes its task"


ISLAND_TABLE = Table(
    "island",
    Stage.FETCHING,
    {
        (Stage.FETCHING, Turn.RESTORED): (Stage.EVOLVING, "put it into a slot"),
        (Stage.FETCHING, Turn.MOVED): (Stage.GONE, "forget it: nothing was done here"),
        (Stage.FETCHING, Turn.CLOSED): (Stage.GONE, "forget it"),
        (Stage.RETURNING, Turn.REPORTED): (Stage.RETURNING, "ignore it: it was on its way"),
        (Stage.RETURNING, Turn.RESTORED): (Stage.EVOLVING, "put it into a slot"),
        (Stage.RETURNING, Turn.MOVED): (Stage.PARTING, "checkpoint it; send it to the new owner"),
        (Stage.RETURNING, Turn.CLOSED): (Stage.GONE, "forget it"),
        (Stage.EVOLVING, Turn.REPORTED): (Stage.EVOLVING, "keep the state; emigrate when it is time"),
        (Stage.EVOLVING, Turn.ENDED): (Stage.FINAL, "free the slot; merge what former owners left; tell it"),
        (Stage.EVOLVING, Turn.PAUSED): (Stage.SUSPENDED, "free the slot, keep the state"),
        (Stage.EVOLVING, Turn.EXTENDED): (Stage.EVOLVING, "tell the worker"),
        (Stage.EVOLVING, Turn.MOVED): (Stage.PARTING, "free the slot; checkpoint it; send it to the new owner"),
        (Stage.EVOLVING, Turn.CLOSED): (Stage.GONE, "free the slot"),
        (Stage.SUSPENDED, Turn.REPORTED): (Stage.SUSPENDED, "ignore it: it was on its way"),
        (Stage.SUSPENDED, Turn.ENDED): (Stage.FINAL, "as from evolving"),
        (Stage.SUSPENDED, Turn.RESUMED): (Stage.EVOLVING, "put it into a slot"),
        (Stage.SUSPENDED, Turn.MOVED): (Stage.PARTING, "as from evolving"),
        (Stage.SUSPENDED, Turn.CLOSED): (Stage.GONE, "forget it"),
        (Stage.FINAL, Turn.REPORTED): (Stage.FINAL, "ignore it: it was on its way"),
        (Stage.FINAL, Turn.EXTENDED): (Stage.SUSPENDED, "take back what was told; wait for a place"),
        (Stage.FINAL, Turn.MOVED): (Stage.PARTING, "as from evolving"),
        (Stage.FINAL, Turn.CLOSED): (Stage.GONE, "forget it"),
        (Stage.PARTING, Turn.REPORTED): (Stage.PARTING, "ignore it: it was on its way"),
        (Stage.PARTING, Turn.MOVED): (Stage.PARTING, "send it to the newest owner"),
        (Stage.PARTING, Turn.RETURNED): (Stage.RETURNING, "keep the state; fetch what others made of it meanwhile"),
        (Stage.PARTING, Turn.HANDED_OVER): (Stage.GONE, "forget it"),
        (Stage.PARTING, Turn.CLOSED): (Stage.GONE, "forget it"),
    },
)

_FETCHING = {Stage.FETCHING, Stage.RETURNING}


class IslandWork(msgspec.Struct):
    """One island as this platform knows it: its last reported state, and what is to become of it."""

    id: IslandId
    grant: int
    """Under which this platform has it."""
    former: tuple[str, ...] = ()
    """Earlier owners, whose checkpoints may hold what the state here does not cover."""
    life: tuple[str, str | None] = ("", None)
    """Object of the run, and the result that the task had when it was taken up: together they tell an island from its
    namesakes in an earlier run, or before the task was closed and extended, or promoted."""
    since: int = 0
    """Its task's `first_grant`: what was done under lower ones lies in the task's result."""
    parts_for: int = 0
    """The grant of the new owner, while it parts."""
    stage: Stage = Stage.FETCHING
    run: Run | None = None
    snapshot: IslandSnapshot | None = None
    """None until it is restored."""
    rung: int = 0
    """Which of the run's budgets it works under: its task's, by the plan, or a later one."""
    budget: Budget = msgspec.field(default_factory=lambda: Budget(None, None))
    """The island's own share."""
    is_fit: bool = False
    deaths: int = 0
    """Blameless deaths in the generation after `snapshot`."""
    failure: str | None = None
    is_by_deaths: bool = False
    """Whether that is workers which died here."""
    pending: list[tuple[int, list[Program]]] = []
    """Numbered batches of immigrants that no report contains yet."""
    _decoded: tuple[bytes, Population] = (b"", Population())
    """A block, and its programs: keying them anew costs more than all else that an immigration does."""

    def step(self, turn: Turn) -> None:
        """Go on to the next stage."""
        self.stage = ISLAND_TABLE.step(self.stage, turn)

    @property
    def state(self) -> IslandSnapshot:
        """The state, which is there from the moment it is restored."""
        assert self.snapshot is not None
        return self.snapshot

    @property
    def is_crowded(self) -> bool:
        """Whether so many immigrants wait for its worker that no more are given to it: as many as it keeps, or as one
        message may bring. An evaluation may take hours, in which a neighbour finds, or invents, better ones all the
        time."""
        waiting = [program for _, batch in self.pending for program in batch]
        keeps = self.run.settings.population_size if self.run is not None else 0
        is_many = len(waiting) >= max(keeps, MAX_TOLD_PROGRAMS)
        return is_many or sum(program.size for program in waiting) >= MAX_PROGRAM_BYTES

    @property
    def is_live(self) -> bool:
        """Whether it takes one of the platform's places."""
        return self.is_fetching or self.stage is Stage.EVOLVING

    @property
    def is_fetching(self) -> bool:
        """Whether it waits for what former owners made of it."""
        return self.stage in _FETCHING

    @property
    def is_begun(self) -> bool:
        """Whether its state holds anything worth keeping."""
        s = self.snapshot
        return s is not None and bool(s.generation or s.population or s.invalid or s.suspects)

    def report(self, snapshot: IslandSnapshot, taken: int) -> None:
        """Take a finished generation in, which contains the immigrants up to batch `taken`."""
        # What killed workers is decided here and not in the worker, which may have begun before the verdict; and it
        # may not have heard that the island is here under another grant by now.
        known = self.state
        self.snapshot = msgspec.structs.replace(
            snapshot,
            grant=known.grant,
            sequence=known.sequence,
            cover=known.cover,
            invalid=known.invalid,
            suspects=known.suspects,
        )
        self.pending = [batch for batch in self.pending if batch[0] > taken]
        self.deaths = 0

    def settle_immigrants(self) -> IslandSnapshot:
        """The state with all immigrants merged in: what a checkpoint, a new worker or a new owner gets."""
        if self.pending:
            merged = self.with_immigrants()
            block = pack(list(merged))
            self._decoded = block, merged
            self.snapshot = msgspec.structs.replace(self.state, population=block)
        return self.state

    def with_immigrants(self) -> Population:
        """The programs as last reported, and those that came since."""
        if not self.pending:
            return self.population()
        immigrants = (program for _, batch in self.pending for program in batch)
        return PopulationMerger.merge_populations([self.population(), immigrants])

    def population(self) -> Population:
        """The programs as last reported."""
        if self._decoded[0] is not self.state.population:
            self._decoded = self.state.population, population_of(self.state)
        return self._decoded[1]

    @property
    def is_converged(self) -> bool:
        """Whether nothing comes of it any more, by what its run says of that or what is usual."""
        after = self.run.settings.restart_after if self.run is not None else 0
        return has_converged(self.state, list(self.population()), after or WINDOW_GENERATIONS)

    @property
    def best_fitness(self) -> tuple[float, ...] | None:
        """Of the best program as last reported; None without one. Asked for each generation."""
        return best_fitness(self.state.population) if self.state.population else None

    def blame(self, death: WorkerDied) -> str:
        """Judge a worker's death while it worked here; returns what was decided, in words."""
        if death.culprit is None:
            self.deaths += 1
            return "no program was being evaluated"
        state = self.state
        key = keyer(state.problem, state.version)(death.culprit)
        invalid, suspects = list(state.invalid), list(state.suspects)
        if death.cause.convicts or key in suspects:
            if key in suspects:
                suspects.remove(key)
            if key not in invalid:
                invalid.append(key)
            verdict = "its program is invalid from now on"
        else:
            suspects.append(key)
            verdict = "its program is invalid if that happens again"
        self.snapshot = msgspec.structs.replace(state, invalid=invalid, suspects=suspects)
        return verdict


def population_of(snapshot: IslandSnapshot) -> Population:
    """The programs of a snapshot."""
    if not snapshot.population:
        return Population()
    return Population(unpack(snapshot.population, keyer(snapshot.problem, snapshot.version)))


def cut(snapshot: IslandSnapshot, most: int, most_programs: int = MAX_PROGRAMS) -> IslandSnapshot:
    """A state that takes at most so many bytes of a checkpoint, and has at most so many programs: as far as it has to
    be without its optimizer, and with the best of its programs only."""

    def is_too_large() -> bool:
        return content_bytes(snapshot) > most or programs_of(snapshot) > most_programs

    if content_bytes(snapshot) > most:
        snapshot = msgspec.structs.replace(snapshot, optimizer=b"")
    programs = list(population_of(snapshot)) if is_too_large() else []
    while is_too_large() and programs:
        programs = programs[: len(programs) // 2]
        snapshot = msgspec.structs.replace(snapshot, population=pack(programs) if programs else b"")
    return snapshot


def is_of(run: RunPlan, state: Claim | IslandSnapshot) -> bool:
    """Whether a state is of this run: a deleted one of the same name had lower grants, and maybe another problem."""
    problem = run.problem
    return state.grant >= run.first_grant and (state.problem, state.version) == (problem.name, problem.version)


def states_of(island: IslandId, snapshots: Iterable[IslandSnapshot], run: RunPlan) -> list[IslandSnapshot]:
    """Those of an island of this run."""
    return [state for state in snapshots if (state.run, state.task, state.island) == island and is_of(run, state)]


def is_covered(state: IslandSnapshot, other: IslandSnapshot) -> bool:
    """Whether the programs of the other, of an earlier owner, went into this state."""
    return other.sequence <= state.cover.get(other.grant, -1)


def fresh_snapshot(run: Run, island: IslandId, grant: int) -> IslandSnapshot:
    """The state of an island before its first generation."""
    population, cursor = resident(run, island)
    return IslandSnapshot(
        run=island.run,
        task=island.task,
        island=island.island,
        problem=run.problem.name,
        version=run.problem.version,
        grant=grant,
        sequence=0,
        cover={},
        seed=island_seed(run.settings.seed, island.task, island.island),
        generation=0,
        cursor=cursor,
        optimizer=b"",
        population=population,
        invalid=[],
        suspects=[],
        counters=Counters(),
    )
