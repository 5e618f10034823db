"""News: what the coordinator has to hear, told again to each new one until the plan shows that it was heard.

A plan that closes a task is the only answer that counts: whoever was told may vanish before it is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from distevo.alarms import NEVER
from distevo.checkpoint import IslandSnapshot
from distevo.events import IslandId, TaskId
from distevo.plan import Plan, TaskState, renewed
from distevo.program import Program
from distevo.reproduction import smallest

REPEAT_SECONDS = 10.0
"""After how long the coordinator is told again what no plan shows yet; doubled each time."""
MAX_REPEAT_SECONDS = 600.0
MAX_REPORT_ISLANDS = 32
"""States in one report; larger news are told in several."""


class FitTask(msgspec.Struct):
    """A task that is fit, with the programs that are."""

    first_grant: int
    """The run's."""
    problem: str
    version: str
    programs: dict[bytes, Program] = {}
    """By key: the smallest."""


class Report(msgspec.Struct):
    """Islands that rest, as their owner tells the coordinator."""

    finals: list[IslandSnapshot] = []
    empty: list[tuple[IslandId, int]] = []
    """(island, grant) of those that are over and never had a generation."""
    failures: dict[IslandId, tuple[int, str]] = {}
    """(grant, error) of islands where the problem's code cannot go on."""
    deaths: set[IslandId] = set()
    """Those of `failures` that are workers which died, and no program to blame."""
    warnings: dict[TaskId, str] = {}
    rungs: dict[IslandId, int] = {}
    """Of `finals`, the rung up to which each was evolved where it is, if it is not the first."""


class News:
    """What is not in the plan yet. `tell_fit` and `tell` pass it to the coordinator, wherever that is."""

    def __init__(self, tell_fit: Callable[[TaskId, FitTask], None], tell: Callable[[Report], None]) -> None:
        self._tell_fit, self._tell = tell_fit, tell
        self.fits: dict[TaskId, FitTask] = {}
        self.finals: dict[IslandId, tuple[int, IslandSnapshot | None]] = {}
        """Grants and states in which islands were told to rest."""
        self._rungs: dict[IslandId, int] = {}
        self._failures: dict[IslandId, tuple[int, str]] = {}
        self._deaths: set[IslandId] = set()
        self._warnings: dict[TaskId, str] = {}
        self._plan = Plan(epoch=0, version=0)
        self._repeat_at = NEVER
        self._wait = REPEAT_SECONDS

    def fit(
        self, task: TaskId, first_grant: int, problem: str, version: str, programs: Iterable[Program], now: float
    ) -> bool:
        """A task is fit, as found here or heard from another; whether any of the programs is new and kept."""
        entry = self.fits.setdefault(task, FitTask(first_grant, problem, version))
        kept = smallest([*programs, *entry.programs.values()])
        if kept.keys() <= entry.programs.keys():
            return False
        entry.programs = kept
        self._wake(now)
        self._tell_fit(task, entry)
        return True

    def final(self, island: IslandId, grant: int, snapshot: IslandSnapshot | None, now: float, rung: int = 0) -> None:
        """An island rests in this state, having used up its share on this rung; None: it never had a generation."""
        self.finals[island], self._rungs[island] = (grant, snapshot), rung
        self._wake(now)
        self._tell(self._report([island]))

    def failed(self, island: IslandId, grant: int, error: str, *, is_by_deaths: bool) -> None:
        """The problem's code cannot go on with an island, or workers die of it; that is told with its last state."""
        self._failures[island] = grant, error
        if is_by_deaths:
            self._deaths.add(island)

    def warn(self, task: TaskId, warning: str) -> bool:
        """The problem's code complained; whether for the first time. It is told with the states."""
        if task in self._warnings:
            return False
        self._warnings[task] = warning
        return True

    def warning(self, task: TaskId) -> str | None:
        """The first complaint about a task."""
        return self._warnings.get(task)

    def take_back(self, island: IslandId) -> None:
        """An island goes on after all, or is another's."""
        self.finals.pop(island, None)
        self._rungs.pop(island, None)
        self._failures.pop(island, None)
        self._deaths.discard(island)

    def follow(self, plan: Plan) -> None:
        """A plan is in force: forget what it shows, and what is no longer ours to say."""

        def is_open(task: TaskId) -> bool:
            run = plan.runs.get(task[0])
            entry = run.tasks.get(task[1]) if run is not None else None
            return entry is not None and entry.state is TaskState.OPEN

        anew, self._plan = renewed(self._plan, plan), plan
        for facts in (self.fits, self._warnings):
            for task in [task for task in facts if not is_open(task) or task[0] in anew]:
                facts.pop(task)
        for island, (grant, _) in list(self.finals.items()):
            if not is_open(island[:2]) or plan.runs[island.run].tasks[island.task].grant_of(island.island) != grant:
                self.take_back(island)

    def begin(self, now: float) -> None:
        """There is another coordinator: tell it everything."""
        self._wait = REPEAT_SECONDS
        self._repeat(now)

    def _repeat(self, now: float) -> None:
        for task, entry in self.fits.items():
            self._tell_fit(task, entry)
        islands = list(self.finals)
        for start in range(0, len(islands), MAX_REPORT_ISLANDS):
            self._tell(self._report(islands[start : start + MAX_REPORT_ISLANDS]))
        self._repeat_at = now + self._wait if self._has_any else NEVER
        self._wait = min(2 * self._wait, MAX_REPEAT_SECONDS)

    def tick(self, now: float) -> None:
        """Tell it again when it is time."""
        if now >= self._repeat_at:
            self._repeat(now)

    def next_deadline(self) -> float:
        """When `tick` has something to do."""
        return self._repeat_at

    @property
    def _has_any(self) -> bool:
        return bool(self.fits or self.finals)

    def _wake(self, now: float) -> None:
        self._wait = REPEAT_SECONDS
        self._repeat_at = min(self._repeat_at, now + REPEAT_SECONDS)

    def _report(self, islands: list[IslandId]) -> Report:
        report = Report()
        for island in islands:
            grant, snapshot = self.finals[island]
            if snapshot is None:
                report.empty.append((island, grant))
            else:
                report.finals.append(snapshot)
                if self._rungs[island]:
                    report.rungs[island] = self._rungs[island]
            if island in self._failures:
                report.failures[island] = self._failures[island]
                if island in self._deaths:
                    report.deaths.add(island)
            warning = self._warnings.get(island[:2])
            if warning is not None:
                report.warnings[island[:2]] = warning
        return report
