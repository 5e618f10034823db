"""The ledger: the plan in hand, with the objects of its runs, and what is entered into it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator

import msgspec

from distevo.events import IslandId
from distevo.plan import IslandPlace, Plan, RunPlan, RunState, TaskPlan, TaskState
from distevo.progress import Progress
from distevo.result import Result
from distevo.run import Budget, Run

TaskId = tuple[str, str]
"""(run, task)."""
ANY_GRANT = 0
"""Stands for a grant where only that there is one matters: no snapshot is newer under it, so none is covered."""


class Ledger:
    """What the coordinator has decided and is deciding. It starts no work and writes nothing."""

    def __init__(self, owner: str, may_run: Callable[[Run], str | None]) -> None:
        """`may_run` says why this platform may not work on a run, or None."""
        self._owner, self._may_run = owner, may_run
        self.plan = Plan(epoch=0, version=0)
        self.runs: dict[str, Run] = {}
        """The objects of the runs that are not over."""
        self.progress: dict[str, Progress] = {}
        self._settling: Counter[str] = Counter()
        """Runs, and tasks as `run/task`, of which more is decided than is durable: how many swaps are awaited."""

    def load(self, plan: Plan, runs: dict[str, Run]) -> None:
        """Go on with this plan. Islands of other owners, gone by now, become ours."""
        self.plan, self.runs = plan, runs
        for name, run in runs.items():
            self._own(plan.runs[name])
            plan.runs[name].note = self._may_run(run)

    def adopt(self, run: Run, name: str) -> RunPlan:
        """Enter a new run, whose object has this name."""
        settings = run.settings
        grant = self._next_grant()
        entry = RunPlan(
            object=name,
            first_grant=grant,
            state=RunState.QUEUED,
            problem=msgspec.structs.replace(run.problem, source=None),
            islands_per_task=settings.islands_per_task,
            budget=Budget(settings.cpu_seconds, settings.evaluations),
            tasks={
                task: TaskPlan(islands=[IslandPlace(self._owner, grant) for _ in range(settings.islands_per_task)])
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

    def shed(self, busy: Collection[str]) -> None:
        """Let go of the objects of runs that are over, but for the `busy` ones."""
        for name in [name for name in self.runs if self.plan.runs[name].state.is_over and name not in busy]:
            del self.runs[name]

    def needed_grant(self, island: IslandId) -> int | None:
        """The grant under which an island's state is still needed; None for one that is finished, durably so.

        A task that has its result in memory alone is not finished: after a crash the plan in the store says that it
        is open, and its islands have to be found.
        """
        run = self.plan.runs.get(island.run)
        if run is None:
            return ANY_GRANT if self._settling[island.run] else None
        task = run.tasks.get(island.task)
        if task is None or island.island >= len(task.islands):
            return None
        is_closed = task.state is not TaskState.OPEN or run.state.is_over
        if is_closed and not self._settling[island.run] and not self._settling[f"{island.run}/{island.task}"]:
            return None
        return task.islands[island.island].grant

    def await_swap(self, what: str) -> Callable[[], None]:
        """`what` (a run, or a task as `run/task`) was decided and is not durable yet; call the answer when it is."""
        self._settling[what] += 1

        def settled() -> None:
            self._settling[what] -= 1
            if not self._settling[what]:
                del self._settling[what]

        return settled

    def reopen(self, name: str, budget: Budget, busy: Collection[TaskId]) -> int:
        """Give a run another budget, and open its unfit tasks again under a new grant; how many are open now."""
        run = self.plan.runs[name]
        run.budget = budget
        grant = self._next_grant()
        for task, entry in run.tasks.items():
            if (name, task) not in busy and entry.state is TaskState.DONE and not entry.fit:
                entry.state = TaskState.OPEN
                for place in entry.islands:
                    place.owner, place.grant = self._owner, grant
        is_open = sum(entry.state is TaskState.OPEN for entry in run.tasks.values())
        if run.state.is_over and is_open:
            self._own(run)
            run.state, run.note = RunState.QUEUED, None
        return is_open

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
        grant = self._next_grant()
        for task in run.tasks.values():
            if task.state is TaskState.OPEN:
                for place in task.islands:
                    if place.owner != self._owner:
                        place.owner, place.grant = self._owner, grant

    def _next_grant(self) -> int:
        grant = self.plan.next_grant
        self.plan.next_grant += 1
        return grant
