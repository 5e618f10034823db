"""A checkpoint goes only when two others in the store hold what it holds, or when nobody will ever need it.

Whoever deletes may go by an old plan, and its delete may come late: that must do no harm, so that what is asked here is
asked of what lies in the store at the moment of the delete, and of the plan that is in force then. The rules are the
specification's (11.4), written down anew: the node may have its own wrong. Nor is it believed that a checkpoint holds
what it says to hold: its best program has to be as good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from distevo.checkpoint import IslandSnapshot
from distevo.events import IslandId
from distevo.plan import Plan, TaskState
from distevo.simulator.invariants.violation import Violation
from distevo.simulator.invariants.worth import Worth, worth_of

HELD_TWICE = "what a deleted checkpoint held, two others hold"
HOLDERS = 2
"""What the specification asks for."""


class _Held(NamedTuple):
    """What an object holds of an island."""

    island: IslandId
    grant: int
    sequence: int
    cover: Mapping[int, int]
    worth: Worth | None

    def holds(self, other: _Held) -> bool:
        """Whether this has what the other has."""
        if self.grant == other.grant:
            covers = self.sequence > other.sequence
        else:
            covers = other.grant in self.cover and self.cover[other.grant] >= other.sequence
        return covers and (other.worth is None or (self.worth is not None and not self.worth.is_worse(other.worth)))


class KeptJudge:
    """Follows which snapshots are in the store."""

    def __init__(self) -> None:
        self._objects: dict[str, list[_Held]] = {}
        self._held: dict[IslandId, dict[str, _Held]] = {}

    def created(self, name: str, snapshots: Iterable[IslandSnapshot]) -> None:
        """The store has a checkpoint with these snapshots from now on."""
        self._objects[name] = [
            _Held(IslandId(s.run, s.task, s.island), s.grant, s.sequence, s.cover, worth_of(s)) for s in snapshots
        ]
        for held in self._objects[name]:
            self._held.setdefault(held.island, {})[name] = held

    def deleted(self, name: str, plan: Plan) -> None:
        """An object is gone, while this plan is in force. Raises Violation."""
        for gone in self._objects.pop(name, ()):
            others = self._held[gone.island]
            del others[name]
            if _is_over(plan, gone):
                continue
            holders = [other for other, held in others.items() if held.holds(gone)]
            if len(holders) < HOLDERS:
                there = ", ".join(holders) or "nothing"
                what = f"what it held of {gone.island} under grant {gone.grant} is also in: {there}"
                raise Violation(HELD_TWICE, f"{name} is gone; {what}")


def _is_over(plan: Plan, held: _Held) -> bool:
    """Whether nobody will ever need it: its run is deleted, or its task over, or what was done lies in a result."""
    if held.grant >= plan.next_grant:
        return False  # It was given by a later plan, of which this one knows nothing.
    run = plan.runs.get(held.island.run)
    task = run.tasks.get(held.island.task) if run is not None else None
    if run is None or task is None or held.grant < max(run.first_grant, task.first_grant):
        return True
    return task.state is not TaskState.OPEN
