"""A run: a problem, a list of tasks and settings, as one object that is submitted once and never changes."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import msgspec
from blake3 import blake3

from distevo.names import MAX_ID_BYTES
from distevo.sealed import seal, unseal

_KIND = b"RUN "

DEFAULT_CPU_SECONDS = 10.0
DEFAULT_ISLANDS = 1
DEFAULT_POPULATION = 200
MAX_ISLANDS = 1024
MAX_RUNGS = 31
"""Most budgets of a run before its last."""
MAX_PRIORITY = 1000
MAX_CPU_SECONDS, MAX_EVALUATIONS = 1e9, 2**53
"""Largest budget of a task."""
EXHAUSTED_RATIO = 100
"""Known proposals for each evaluation of the budget after which a search counts as exhausted."""

Priority = Annotated[int, msgspec.Meta(ge=-MAX_PRIORITY, le=MAX_PRIORITY)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=MAX_EVALUATIONS)]


class Budget(msgspec.Struct, frozen=True):
    """What one task, or one island of it, may use."""

    cpu_seconds: float | None
    evaluations: int | None

    def share(self, island: int, islands: int) -> Budget:
        """The part of island number `island` of `islands`; parts of evaluations add up to the whole."""
        cpu = None if self.cpu_seconds is None else self.cpu_seconds / islands
        if self.evaluations is None:
            return Budget(cpu, None)
        whole, rest = divmod(self.evaluations, islands)
        return Budget(cpu, whole + (island < rest))

    def is_used(self, cpu_seconds: float, evaluations: int, duplicates: int) -> bool:
        """Whether these amounts use up the budget.

        So does finding almost nothing new any more: a search space that is exhausted has no next evaluation.
        """
        if self.cpu_seconds is not None and cpu_seconds >= self.cpu_seconds:
            return True
        return self.evaluations is not None and (
            evaluations >= self.evaluations or duplicates >= EXHAUSTED_RATIO * self.evaluations
        )

    def is_more_than(self, other: Budget) -> bool:
        """Whether no limit is lower than the other's, and some limit is higher or gone."""

        def covers(new: float | None, old: float | None) -> bool:
            return new is None or (old is not None and new >= old)

        return (
            self != other
            and covers(self.cpu_seconds, other.cpu_seconds)
            and covers(self.evaluations, other.evaluations)
        )

    def __str__(self) -> str:
        parts = []
        if self.cpu_seconds is not None:
            parts.append(f"{self.cpu_seconds:g} CPU seconds")
        if self.evaluations is not None:
            parts.append(f"{self.evaluations} evaluations")
        return " and ".join(parts) + " a task"


class ProblemUse(msgspec.Struct, frozen=True):
    """Which problem a run uses: the reference that loads it, and what it said of itself when checked."""

    reference: str
    digest: str
    name: str
    version: str
    source: str | None = None
    """The text of the file for `file.py:Class`; None for what is installed."""


class MigrationSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the islands of a task exchange programs; the words are pagmo's."""

    topology: str = "ring"
    """`unconnected`, `ring`, `bidirectional_ring`, `fully_connected`, `random` or `free_form`."""
    edges: tuple[tuple[Annotated[int, msgspec.Meta(ge=0)], Annotated[int, msgspec.Meta(ge=0)]], ...] = ()
    """For `free_form`: (source, target) of each edge."""
    degree: Annotated[int, msgspec.Meta(ge=1, le=MAX_ISLANDS)] = 2
    """For `random`: edges that leave each island."""
    interval: Annotated[int, msgspec.Meta(ge=1, le=10**6)] = 10
    """Generations of an island from one emigration to the next."""
    size: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5
    """Programs in one batch of emigrants."""
    selection: str = "select_best"
    """Who emigrates: `select_best`, `select_random` or `select_tournament`."""
    replacement: str = "fair_replace"
    """Who of the immigrants is taken: `fair_replace` (against the worst, at most `size` of them) or `merge` (all)."""


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the submitter chose. Of the two budgets at least one is set; the first that is used up ends a task."""

    seed: int
    islands_per_task: Annotated[int, msgspec.Meta(ge=1, le=MAX_ISLANDS)] = DEFAULT_ISLANDS
    """All islands of one task together, on whatever platforms."""
    cpu_seconds: Annotated[float, msgspec.Meta(gt=0, le=MAX_CPU_SECONDS)] | None = None
    """Per task: CPU time of variation and evaluation, summed over islands."""
    evaluations: Positive | None = None
    """Per task, summed over islands."""
    population_size: Annotated[int, msgspec.Meta(ge=2, le=100_000)] = DEFAULT_POPULATION
    """Programs that an island keeps."""
    migration: MigrationSettings = MigrationSettings()
    restart_after: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 0
    """Generations that get nowhere after which an island begins anew (`distevo.convergence`); 0: never."""
    rungs: tuple[Budget, ...] = ()
    """Smaller budgets, rising, that each task has before that one: an unfit task that has used one up waits behind all
    tasks that have not, and then goes on (asynchronous successive halving, whose word this is, with nobody halved)."""
    priority: Priority = 0
    """Of runs that wait for places, those of the highest go first."""

    def __post_init__(self) -> None:
        if self.cpu_seconds is None and self.evaluations is None:
            raise ValueError("a run needs a budget: cpu_seconds or evaluations")
        if len(self.rungs) > MAX_RUNGS:
            raise ValueError(f"{len(self.rungs) + 1} budgets are more than {MAX_RUNGS + 1}")
        for lower, higher in pairwise((*self.rungs, self.budget)):
            if not higher.is_more_than(lower):
                raise ValueError(f"budgets have to rise, in one unit: {lower} comes before {higher}")
        first = (self.rungs[0] if self.rungs else self.budget).cpu_seconds
        if first is not None and not first > 0:
            raise ValueError(f"a budget of {first:g} CPU seconds is none")
        # An island without a share of its own has nothing to begin with, and nothing to report.
        least = (self.rungs[0] if self.rungs else self.budget).evaluations
        if least is not None and least < self.islands_per_task:
            raise ValueError(f"the budget of {least} evaluations leaves some of {self.islands_per_task} islands none")

    @property
    def budget(self) -> Budget:
        """The whole budget of a task."""
        return Budget(self.cpu_seconds, self.evaluations)


class WarmStart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run begins with: programs of an earlier run of the same problem. Keys are made anew by whoever reads."""

    run: str
    """The earlier one; nothing of it is needed any more."""
    version: str
    """Of the problem, under which they were evaluated: under another one their fitness says nothing."""
    programs: dict[str, bytes] = {}
    """By task, a block of its programs, the best first; its islands share them."""
    swept: list[str] = []
    """Tasks whose exhaustive start was over: under the same version it need not be walked again."""
    anew: list[str] = []
    """Tasks that are others than they were, under the same id: what their programs were worth says nothing either."""
    others: bytes = b""
    """A block of programs that fit other tasks, for all islands to evaluate."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The submitted object."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES)]
    nonce: str
    problem: ProblemUse
    settings: RunSettings
    tasks: dict[str, msgspec.Raw]
    """Task data as JSON, by task id, in the order in which they are worked on."""
    submitted_through: str
    """`<id>-<boot>` of the daemon that took the submission; empty when it was put into the store directly."""
    warm_start: WarmStart | None = None

    def problem_without_source(self) -> ProblemUse:
        """The problem as the plan names it; its source stays in this object."""
        return msgspec.structs.replace(self.problem, source=None)


def encode_run(run: Run) -> bytes:
    """The run as an object for the store."""
    return seal(_KIND, run)


def decode_run(data: bytes) -> Run:
    """The run in a stored object; errors as in `sealed.unseal`."""
    run, _ = unseal(_KIND, Run, data)
    return run


def island_seed(seed: int, task: str, island: int) -> str:
    """Seed of one island, 16 bytes in hexadecimal: independent streams for all islands of a run."""
    return blake3(f"{seed}\n{island}\n{task}".encode()).hexdigest(length=16)
