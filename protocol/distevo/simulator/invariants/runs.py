"""A run whose `submit` returned is taken in and not refused, and nothing happens to it that no user asked for."""

from __future__ import annotations

from collections.abc import Collection

from distevo.command import Verb
from distevo.plan import Plan, RunState
from distevo.simulator.invariants.violation import Violation

RUN_STAYS = "a confirmed run is not forgotten"
AS_ASKED = "a run is cancelled or paused only when a user asks for it"
DELETED = "deleted"
"""What a plan says of the object of a run that was deleted."""
_ASKED_FOR = {RunState.CANCELLED: Verb.CANCEL, RunState.PAUSED: Verb.PAUSE}


class RunJudge:
    """Follows confirmed runs, by the names of their objects."""

    def __init__(self) -> None:
        self._confirmed: dict[str, str] = {}
        """Name of the run by that of its object."""
        self._taken: set[str] = set()
        self._asked: set[tuple[str, Verb]] = set()
        """What users have asked of the run that has a name now."""
        self._early: set[tuple[str, Verb]] = set()
        """Of these, what was asked while no run had the name: whoever comes to have it next may be meant."""
        self._earlier: set[str] = set()
        """Objects of deleted runs whose name another has now."""
        self._named: set[str] = set()
        """Objects of the runs in the plan in force."""
        self._there: Collection[str] = ()
        """Names of these runs."""

    def confirmed(self, name: str, run: str) -> None:
        """The store said that the object is there."""
        self._confirmed[name] = run

    def asked(self, run: str, verb: Verb, is_of_any: bool = False) -> None:
        """A user asks this of the run: from now on it may happen; `is_of_any`: of whichever has the name."""
        self._asked.add((run, verb))
        if is_of_any and run not in self._there:
            self._early.add((run, verb))

    def renewed(self, run: str) -> None:
        """Another run of that name is submitted, of which nobody has asked anything but since the last one is gone."""
        self._earlier.update(name for name, of in self._confirmed.items() if of == run)
        self._asked = {(of, verb) for of, verb in self._asked if of != run} | self._early

    def deleted(self, name: str) -> None:
        """The store has deleted this object. Raises Violation."""
        run = self._confirmed.get(name)
        # Whatever was asked for: it has not happened as long as the plan in force has the run.
        if name in self._named or (run is not None and not self._may_go(name, run)):
            raise Violation(RUN_STAYS, f"the object {name} was deleted")

    def in_force(self, plan: Plan) -> None:
        """This plan is in force. Raises Violation."""
        self._named = objects = {run.object for run in plan.runs.values()}
        self._there = plan.runs.keys()
        self._early = {(of, verb) for of, verb in self._early if of not in plan.runs}
        for name, run in self._confirmed.items():
            if self._may_go(name, run):
                continue
            if name in objects:
                self._taken.add(name)
            elif name in self._taken:
                raise Violation(RUN_STAYS, f"{run} is not in version {plan.version} any more")
            elif name in plan.handled:
                raise Violation(RUN_STAYS, f"{run} was refused: {plan.handled[name]}")
        for run, entry in plan.runs.items():
            verb = _ASKED_FOR.get(entry.state)
            if verb is not None and (run, verb) not in self._asked:
                raise Violation(AS_ASKED, f"{run} is {entry.state} in version {plan.version}")

    def _may_go(self, name: str, run: str) -> bool:
        return (run, Verb.DELETE) in self._asked or name in self._earlier
