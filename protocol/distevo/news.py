"""News: what the coordinator has to hear, told again to each new one until the plan shows that it was heard.

A plan that closes a task is the only answer that counts: whoever was told may vanish before it is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from distevo.checkpoint import IslandSnapshot
from distevo.events import IslandId
from distevo.plan import Plan, TaskState
from distevo.program import Program

TaskId = tuple[str, str]
"""(run, task)."""
REPEAT_SECONDS = 10.0
"""After how long the coordinator is told again what no plan shows yet."""
MAX_REPORT_ISLANDS = 32
"""States in one report; larger news are told in several."""


@dataclass(slots=True)
class FitTask:
    """A task that is fit, with the programs that are."""

    problem: str
    version: str
    programs: dict[bytes, Program] = field(default_factory=dict)
    """By key."""


@dataclass(slots=True)
class Report:
    """Islands that rest, as their owner tells the coordinator."""

    finals: list[IslandSnapshot] = field(default_factory=list)
    empty: list[tuple[IslandId, int]] = field(default_factory=list)
    """(island, grant) of those that are over and never had a generation."""
    failures: dict[TaskId, str] = field(default_factory=dict)
    warnings: dict[TaskId, str] = field(default_factory=dict)


class News:
    """What is not in the plan yet. `tell_fit` and `tell` pass it to the coordinator, wherever that is."""

    def __init__(self, tell_fit: Callable[[TaskId, FitTask], None], tell: Callable[[Report], None]) -> None:
        self._tell_fit, self._tell = tell_fit, tell
        self.fits: dict[TaskId, FitTask] = {}
        self._finals: dict[IslandId, tuple[int, IslandSnapshot | None]] = {}
        self._failures: dict[TaskId, str] = {}
        self._warnings: dict[TaskId, str] = {}
        self._repeat_at = float("inf")

    def fit(self, task: TaskId, problem: str, version: str, programs: Iterable[Program], now: float) -> bool:
        """A task is fit, as found here or heard from another; whether any of the programs is new."""
        entry = self.fits.setdefault(task, FitTask(problem, version))
        known = len(entry.programs)
        for program in programs:
            entry.programs.setdefault(program.key, program)
        if len(entry.programs) == known:
            return False
        self._wake(now)
        self._tell_fit(task, entry)
        return True

    def final(self, island: IslandId, grant: int, snapshot: IslandSnapshot | None, now: float) -> None:
        """An island rests in this state; None: it never had a generation."""
        self._finals[island] = grant, snapshot
        self._wake(now)
        self._tell(self._report([island]))

    def failed(self, task: TaskId, error: str, now: float) -> None:
        """The problem's code cannot go on with a task."""
        self._failures.setdefault(task, error)
        self._wake(now)
        self._tell(Report(failures={task: self._failures[task]}))

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
        self._finals.pop(island, None)

    def follow(self, plan: Plan) -> None:
        """A plan is in force: forget what it shows."""

        def is_open(task: TaskId) -> bool:
            run = plan.runs.get(task[0])
            entry = run.tasks.get(task[1]) if run is not None else None
            return entry is not None and entry.state is TaskState.OPEN

        for facts in (self.fits, self._failures, self._warnings):
            for task in [task for task in facts if not is_open(task)]:
                facts.pop(task)
        for island in [island for island in self._finals if not is_open(island[:2])]:
            del self._finals[island]

    def repeat(self, now: float) -> None:
        """Tell everything again: there is another coordinator."""
        for task, entry in self.fits.items():
            self._tell_fit(task, entry)
        islands = list(self._finals)
        for start in range(0, len(islands), MAX_REPORT_ISLANDS):
            self._tell(self._report(islands[start : start + MAX_REPORT_ISLANDS]))
        if self._failures:
            self._tell(Report(failures=dict(self._failures)))
        self._repeat_at = now + REPEAT_SECONDS if self._has_any else float("inf")

    def tick(self, now: float) -> None:
        """Tell it again when it is time."""
        if now >= self._repeat_at:
            self.repeat(now)

    def next_deadline(self) -> float:
        """When `tick` has something to do."""
        return self._repeat_at

    @property
    def _has_any(self) -> bool:
        return bool(self.fits or self._finals or self._failures)

    def _wake(self, now: float) -> None:
        self._repeat_at = min(self._repeat_at, now + REPEAT_SECONDS)

    def _report(self, islands: list[IslandId]) -> Report:
        report = Report()
        for island in islands:
            grant, snapshot = self._finals[island]
            if snapshot is None:
                report.empty.append((island, grant))
            else:
                report.finals.append(snapshot)
            warning = self._warnings.get(island[:2])
            if warning is not None:
                report.warnings[island[:2]] = warning
        return report
