"""Work in hand: the open tasks that have begun on this platform, with their islands."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import msgspec

from distevo.block import unpack
from distevo.checkpoint import Counters, IslandSnapshot
from distevo.events import IslandId, WorkerDied
from distevo.merge import PopulationMerger
from distevo.population import Population
from distevo.program import Program, keyer
from distevo.run import Budget, Run, island_seed

MAX_BLAMELESS_DEATHS = 3
"""Workers that may die in one generation of an island with no program to blame before the island is given up."""


@dataclass(slots=True)
class IslandWork:
    """One island as this platform knows it: its last reported state, and who works on it."""

    id: IslandId
    snapshot: IslandSnapshot
    is_resting: bool = False
    """Budget used up, or a fit program found."""
    deaths: int = 0
    """Blameless deaths in the generation after `snapshot`."""

    def report(self, snapshot: IslandSnapshot) -> None:
        """Take a finished generation in."""
        # What killed workers is decided here and not in the worker, which may have begun before the verdict.
        self.snapshot = msgspec.structs.replace(
            snapshot, invalid=self.snapshot.invalid, suspects=self.snapshot.suspects
        )
        self.deaths = 0

    def population(self) -> Population:
        """The programs as last reported."""
        if not self.snapshot.population:
            return Population()
        return Population(unpack(self.snapshot.population, keyer(self.snapshot.problem, self.snapshot.version)))

    def blame(self, death: WorkerDied) -> str:
        """Judge a worker's death while it worked here; returns what was decided, in words."""
        if death.culprit is None:
            self.deaths += 1
            return "no program was being evaluated"
        key = keyer(self.snapshot.problem, self.snapshot.version)(death.culprit)
        invalid, suspects = list(self.snapshot.invalid), list(self.snapshot.suspects)
        if death.cause.convicts or key in suspects:
            if key in suspects:
                suspects.remove(key)
            if key not in invalid:
                invalid.append(key)
            verdict = "its program is invalid from now on"
        else:
            suspects.append(key)
            verdict = "its program is invalid if that happens again"
        self.snapshot = msgspec.structs.replace(self.snapshot, invalid=invalid, suspects=suspects)
        return verdict


class Stage(Enum):
    """How far a task in hand is."""

    EVOLVING = "evolving"
    VERIFYING = "verifying"
    RECORDING = "recording"


@dataclass(slots=True)
class TaskWork:
    """A task in hand."""

    run: Run
    task: str
    budget: Budget
    islands: list[IslandWork] = field(default_factory=list)
    stage: Stage = Stage.EVOLVING
    is_fit: bool = False
    is_paused: bool = False
    failure: str | None = None
    guess: Program | None = None
    verifier: int = 0
    """Slot whose worker looks at the guess."""
    verify_deaths: int = 0
    warning: str | None = None
    """The first complaint about the problem's code; it stays with the result."""

    @property
    def id(self) -> tuple[str, str]:
        """(run, task)."""
        return self.run.name, self.task

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to evolve: fit, failed, or all islands have used up their budget."""
        return self.is_fit or self.failure is not None or all(island.is_resting for island in self.islands)

    def population(self) -> Population:
        """The merged populations of the task's islands, as last reported."""
        return PopulationMerger().merge_populations(island.population() for island in self.islands)

    def choose(self) -> Program | None:
        """The program that becomes the guess: the smallest fit one, else the best; None if there is none."""
        population = self.population()
        return population.smallest_fit() or population.best

    def snapshots(self) -> list[IslandSnapshot]:
        """The islands' states, without those that hold nothing yet."""
        snapshots = [island.snapshot for island in self.islands]
        return [s for s in snapshots if s.generation or s.invalid or s.suspects]

    def evaluations(self) -> int:
        """Evaluations so far, all islands."""
        return sum(island.snapshot.counters.evaluations for island in self.islands)

    def duplicates(self) -> int:
        """Proposals that were known and not evaluated again, all islands."""
        return sum(island.snapshot.counters.duplicates for island in self.islands)

    def seconds(self) -> float:
        """Time of the island that worked longest."""
        return max((island.snapshot.counters.seconds for island in self.islands), default=0.0)


def fresh_snapshot(run: Run, island: IslandId, grant: int) -> IslandSnapshot:
    """The state of an island before its first generation."""
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
        cursor=0,
        optimizer=b"",
        population=b"",
        invalid=[],
        suspects=[],
        counters=Counters(),
    )
