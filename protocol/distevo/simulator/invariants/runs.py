"""A run whose `submit` returned is taken in and not refused, and it stays until a user has it deleted."""

from __future__ import annotations

from distevo.plan import Plan
from distevo.simulator.invariants.violation import Violation

RUN_STAYS = "a confirmed run is not forgotten"
DELETED = "deleted"
"""What a plan says of the object of a run that was deleted."""


class RunJudge:
    """Follows confirmed runs, by the names of their objects."""

    def __init__(self) -> None:
        self._confirmed: dict[str, str] = {}
        """Name of the run by that of its object."""
        self._taken: set[str] = set()
        self._deletable: set[str] = set()
        self._earlier: set[str] = set()
        """Objects of deleted runs whose name another has now."""

    def confirmed(self, name: str, run: str) -> None:
        """The store said that the object is there."""
        self._confirmed[name] = run

    def may_delete(self, run: str) -> None:
        """A user asks for the run to be deleted: from now on it may go."""
        self._deletable.add(run)

    def renewed(self, run: str) -> None:
        """Another run of that name is submitted, which nobody has asked to be deleted."""
        self._earlier.update(name for name, of in self._confirmed.items() if of == run)
        self._deletable.discard(run)

    def deleted(self, name: str) -> None:
        """The store has deleted this object. Raises Violation."""
        run = self._confirmed.get(name)
        if run is not None and not self._may_go(name, run):
            raise Violation(RUN_STAYS, f"the object {name} was deleted")

    def in_force(self, plan: Plan) -> None:
        """This plan is in force. Raises Violation."""
        objects = {run.object for run in plan.runs.values()}
        for name, run in self._confirmed.items():
            if self._may_go(name, run):
                continue
            if name in objects:
                self._taken.add(name)
            elif name in self._taken:
                raise Violation(RUN_STAYS, f"{run} is not in version {plan.version} any more")
            elif name in plan.handled:
                raise Violation(RUN_STAYS, f"{run} was refused: {plan.handled[name]}")

    def _may_go(self, name: str, run: str) -> bool:
        return run in self._deletable or name in self._earlier
