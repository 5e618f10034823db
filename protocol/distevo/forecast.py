"""The forecast: what an island that nobody began will take, from the tasks of its run that are closed or begun.

A budget says what an island may take. One of evaluations says it in seconds only once some were made; and tasks that
are fit early take less: queues that are filled by budgets alone run dry before the next plan.
"""

from __future__ import annotations

from typing import NamedTuple

from distevo.placement import UNKNOWN_SECONDS
from distevo.plan import RunPlan, TaskState
from distevo.run import Budget

PRIOR_TASKS = 4
"""The budget counts for as much as so many closed tasks: the first to be closed are the short ones."""


NOTHING = Budget(0.0, 0)


class Forecast(NamedTuple):
    """Of one run."""

    tasks: int
    """Closed tasks that something was done for."""
    seconds: float
    """How long their islands worked, together; of each task the one that worked longest."""

    @classmethod
    def of(cls, run: RunPlan, rung: int = 0) -> Forecast:
        """From what the plan has of the run's tasks that were closed on this rung: those of lower ones were easier."""
        done = [task for task in run.tasks.values() if task.state is TaskState.DONE and task.evaluations]
        closed = [task.seconds for task in done if task.rung == rung]
        return cls(len(closed), sum(closed))

    def island(self, budget: float | None) -> float | None:
        """Seconds of an island with this budget of seconds, if it has one; None while nothing is known."""
        if not self.tasks:
            return budget
        prior = UNKNOWN_SECONDS if budget is None else budget
        expected = (self.seconds + PRIOR_TASKS * prior) / (self.tasks + PRIOR_TASKS)
        return expected if budget is None else min(expected, budget)


def seconds_between(used: Budget, share: Budget, cost: float | None) -> float | None:
    """Seconds from one budget to a larger one, whichever of its limits comes first; `cost`: those that an evaluation
    takes. None where that is to be known, and is not yet."""
    left = []
    if share.cpu_seconds is not None:
        left.append(share.cpu_seconds - (used.cpu_seconds or 0.0))
    if share.evaluations is not None and cost is not None:
        left.append((share.evaluations - (used.evaluations or 0)) * cost)
    return max(min(left), 0.0) if left else None
