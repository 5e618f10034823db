"""The ledger: the plan in hand, with the objects of its runs, and what is entered into it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import msgspec

from distevo.events import IslandId
from distevo.plan import IslandPlace, Plan, RunPlan, RunState, TaskPlan, TaskState
from distevo.progress import Progress
from distevo.result import Result
from distevo.run import Budget, Run

TaskId = tuple[str, str]
"""(run, task)."""


class Ledger:
    """What the coordinator has decided and is deciding. It starts no work and writes nothing."""

    def __init__(self, owner: str, may_run: Callable[[Run], str | None]) -> None:
        """`may_run` says why this platform may not work on a run, or None."""
        self._owner, self._may_run = owner, may_run
        self.plan = Plan(epoch=0, version=0)
        self.runs: dict[str, Run] = {}
        """The objects of the runs that are not over."""
        self.progress: dict[str, Progress] = {}

    def load(self, plan: Plan, runs: dict[str, Run]) -> None:
        """Go on with this plan. Islands of other owners, gone by now, become ours."""
        self.plan, self.runs = plan, runs
        for name, run in runs.items():
            self._own(plan.runs[name])
            plan.runs[name].note = self._may_run(run)

    def adopt(self, run: Run, name: str) -> RunPlan:
        """Enter a new run, whose object has this name."""
        settings = run.settings
        entry = RunPlan(
            object=name,
            state=RunState.QUEUED,
            problem=msgspec.structs.replace(run.problem, source=None),
            islands_per_task=settings.islands_per_task,
            budget=Budget(settings.cpu_seconds, settings.evaluations),
            tasks={
                task: TaskPlan(islands=[IslandPlace(self._owner, 1) for _ in range(settings.islands_per_task)])
                for task in run.tasks
            },
            note=self._may_run(run),
        )
        self.plan.runs[run.name], self.runs[run.name] = entry, run
        return entry

    def waiting(self, busy: Collection[TaskId]) -> Iterator[TaskId]:
        """Open tasks that may be worked on and are not `busy`, in the order of submission."""
        for name, run in self.plan.runs.items():
            if run.state in {RunState.QUEUED, RunState.RUNNING} and run.note is None and name in self.runs:
                for task, entry in run.tasks.items():
                    if entry.state is TaskState.OPEN and (name, task) not in busy:
                        yield name, task

    def grant_of(self, island: IslandId) -> int | None:
        """The grant of an unfinished island; None for one whose task has its result or is given up."""
        run = self.plan.runs.get(island.run)
        task = run.tasks.get(island.task) if run is not None and not run.state.is_over else None
        if task is None or task.state is not TaskState.OPEN or island.island >= len(task.islands):
            return None
        return task.islands[island.island].grant

    def reopen(self, name: str, budget: Budget, busy: Collection[TaskId]) -> None:
        """Give a run another budget, and open its unfit tasks again under a new grant."""
        run = self.plan.runs[name]
        run.budget = budget
        for task, entry in run.tasks.items():
            if (name, task) not in busy and entry.state is TaskState.DONE and not entry.fit:
                entry.state = TaskState.OPEN
                for place in entry.islands:
                    place.owner, place.grant = self._owner, place.grant + 1
        if run.state.is_over:
            self._own(run)
            run.state = RunState.QUEUED

    def close(
        self, task: TaskId, name: str, result: Result, duplicates: int, error: str | None, is_failed: bool
    ) -> None:
        """Enter a result, whose object has this name; the last one ends the run."""
        run = self.plan.runs[task[0]]
        entry = run.tasks[task[1]]
        entry.state = TaskState.FAILED if is_failed else TaskState.DONE
        entry.result, entry.fit, entry.solved, entry.error = name, result.fit, result.solved, error
        entry.evaluations, entry.duplicates, entry.seconds = result.evaluations, duplicates, result.seconds
        self.progress_of(task[0]).finished()
        states = {entry.state for entry in run.tasks.values()}
        if not run.state.is_over and TaskState.OPEN not in states:
            run.state = RunState.FAILED if states == {TaskState.FAILED} else RunState.DONE
            run.note = error if run.state is RunState.FAILED else None

    def give_up(self, name: str, reason: str) -> None:
        """The object of a run cannot be used: nothing can work on it."""
        run = self.plan.runs[name]
        run.state, run.note = RunState.FAILED, f"{run.object}: {reason}"
        self.runs.pop(name, None)

    def forget(self, name: str) -> None:
        """Take a run out of the plan; its object counts as handled until it is gone."""
        self.plan.handled[self.plan.runs.pop(name).object] = "deleted"
        self.runs.pop(name, None)
        self.progress.pop(name, None)

    def progress_of(self, name: str) -> Progress:
        """The progress of a run."""
        return self.progress.setdefault(name, Progress())

    def _own(self, run: RunPlan) -> None:
        for task in run.tasks.values():
            if task.state is TaskState.OPEN:
                for place in task.islands:
                    if place.owner != self._owner:
                        place.owner, place.grant = self._owner, place.grant + 1
