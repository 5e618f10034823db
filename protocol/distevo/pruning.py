"""Pruning: which checkpoints of a store may go, by a plan in force and by what all of them hold.

One that may go now may go for ever: whoever deletes it late, or beside the owners and the coordinator, who delete by
the same rule, does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from distevo.events import IslandId
from distevo.keeper import COVERING_SNAPSHOTS, Mark
from distevo.plan import Plan, TaskState


class Verdict(NamedTuple):
    """What is to become of an object, and why."""

    goes: bool
    reason: str


def is_over(plan: Plan, island: IslandId, grant: int) -> bool:
    """Whether nobody will ever need what was done for an island under this grant, as `plan`, once in force, has it.

    Its task is over, or open again with what was done in its result; or its run is deleted, and another may have its
    name by now. A task that is open in a run that failed, since its object could not be read, is not over: the run goes
    on when it is extended. A grant that the plan has not given is a later plan's.
    """
    if grant >= plan.next_grant:
        return False
    run = plan.runs.get(island.run)
    task = run.tasks.get(island.task) if run is not None else None
    if run is None or task is None or grant < run.first_grant_of(island.task) or island.island >= len(task.islands):
        return True
    return task.state is not TaskState.OPEN


def judge(plan: Plan, objects: Mapping[str, Iterable[Mark]]) -> dict[str, Verdict]:
    """What is to become of each checkpoint, by its name; `plan` was in force before `objects` were listed."""
    by_owners: dict[tuple[IslandId, int], list[Mark]] = {}
    for marks in objects.values():
        for mark in marks:
            by_owners.setdefault((mark.island, mark.grant), []).append(mark)

    def need(mark: Mark) -> str:
        """Why a mark is needed; empty if it is not."""
        if is_over(plan, mark.island, mark.grant):
            return ""
        if mark.grant >= plan.next_grant:
            return "was given by a later plan"
        place = plan.place_of(*mark.island)
        if place is None or not place.owner:
            return "has no owner now"
        covering = sum(other.covers(mark) for other in by_owners.get((mark.island, place.grant), ()))
        if covering >= COVERING_SNAPSHOTS:
            return ""
        return f"is covered by {covering} of {COVERING_SNAPSHOTS} checkpoints of its owner"

    verdicts = {}
    for name, marks in objects.items():
        needs = [(mark.island, reason) for mark in marks if (reason := need(mark))]
        if needs:
            others = f", and {len(needs) - 1} more" if len(needs) > 1 else ""
            verdicts[name] = Verdict(False, f"{needs[0][0]} {needs[0][1]}{others}")
        elif all(is_over(plan, mark.island, mark.grant) for mark in marks):
            verdicts[name] = Verdict(True, "its tasks are over")
        else:
            verdicts[name] = Verdict(True, f"{COVERING_SNAPSHOTS} later checkpoints hold all that it holds")
    return verdicts
