"""Rungs: the rising budgets that the tasks of a run go through, each unfit one as soon as its turn has come.

This is asynchronous successive halving (Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020)
with nobody halved: no task waits for the others of its rung, and all that are unfit go on. A task that has used a rung
up gets a result, as it does at its end, and is open again on the next rung: it waits behind all tasks of lower ones,
for any platform, as one that was extended does. So a task that waits is nobody's, costs no checkpoint anything, and
survives what a result survives.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from distevo.checkpoint import Counters, IslandSnapshot
from distevo.events import IslandId
from distevo.plan import RunPlan
from distevo.run import Budget
from distevo.slots import Slot
from distevo.work import IslandWork, Stage


def is_spent(budget: Budget, counters: Counters) -> bool:
    """Whether an island that has done this has used this share up."""
    return budget.is_used(counters.cpu_seconds, counters.evaluations, counters.duplicates)


def next_rung(run: RunPlan, task: str, islands: Collection[IslandSnapshot]) -> int | None:
    """The first rung above a task's on which one of these islands of it has more to do; None if there is none."""
    for rung in range(run.tasks[task].rung + 1, len(run.rungs) + 1):
        if not all(is_spent(run.share(task, state.island, rung), state.counters) for state in islands):
            return rung
    return None


def climb(work: IslandWork, run: RunPlan, in_hand: Mapping[IslandId, IslandWork], slot: Slot | None) -> bool:
    """Take a spent island to the next rung where it is, if it may go there before the plan says so.

    It may, if its worker would idle otherwise and its whole task is here and at work: were a part of it at rest, that
    would have to wait for this one.
    """
    islands = [in_hand.get(IslandId(*work.id[:2], index)) for index in range(len(run.tasks[work.id.task].islands))]
    is_alone = slot is not None and all(island[:2] == work.id[:2] for island in slot.islands)
    if not is_alone or any(other is None or other.stage is not Stage.EVOLVING for other in islands):
        return False
    for rung in range(work.rung + 1, len(run.rungs) + 1):
        budget = run.share(work.id.task, work.id.island, rung)
        if not is_spent(budget, work.state.counters):
            work.rung, work.budget = rung, budget
            return True
    return False
