"""A checkpoint goes only when two others in the store hold what it holds, or when nobody will ever need it.

Whoever deletes may go by an old plan, and its delete may come late: that must do no harm, so that what is asked here is
asked of what lies in the store at the moment of the delete, and of the plan that is in force then.
"""

from __future__ import annotations

from distevo.events import IslandId
from distevo.keeper import Mark
from distevo.plan import Plan
from distevo.pruning import is_over
from distevo.simulator.invariants.violation import Violation

HELD_TWICE = "what a deleted checkpoint held, two others hold"
HOLDERS = 2
"""What the specification asks for. It is not taken from the node, which may have it wrong."""


class KeptJudge:
    """Follows which snapshots are in the store."""

    def __init__(self) -> None:
        self._objects: dict[str, list[Mark]] = {}
        self._held: dict[IslandId, dict[str, Mark]] = {}

    def created(self, name: str, marks: list[Mark]) -> None:
        """The store has a checkpoint that holds this from now on."""
        self._objects[name] = marks
        for mark in marks:
            self._held.setdefault(mark.island, {})[name] = mark

    def deleted(self, name: str, plan: Plan) -> None:
        """An object is gone, while this plan is in force. Raises Violation."""
        for mark in self._objects.pop(name, ()):
            others = self._held[mark.island]
            del others[name]
            if is_over(plan, mark.island, mark.grant):
                continue
            holders = [other for other, held in others.items() if held.covers(mark)]
            if len(holders) < HOLDERS:
                there = ", ".join(holders) or "nothing"
                what = f"what it held of {mark.island} under grant {mark.grant} is also in: {there}"
                raise Violation(HELD_TWICE, f"{name} is gone; {what}")
