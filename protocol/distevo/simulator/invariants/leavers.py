"""Who is drained leaves."""

from __future__ import annotations

from collections.abc import Collection

from distevo.plan import MemberState, Plan
from distevo.simulator.invariants.violation import Violation

LEAVES_IN_TIME = "who is drained has left within the bound"


class LeaverJudge:
    """Times how long members that a plan has leave are still there.

    The time counts as in `OrphanJudge`: each disturbance begins it anew.
    """

    def __init__(self, bound: float) -> None:
        self.bound = bound
        self._since: dict[str, float] = {}

    def sweep(self, plan: Plan, leaving: Collection[str], quiet_since: float, now: float) -> None:
        """Look at all members. `leaving` owners run; `quiet_since` is as in `OrphanJudge`. Raises Violation."""
        drained = {
            member.owner(name)
            for name, member in plan.members.items()
            if member.is_draining and member.state is MemberState.ALIVE
        }
        self._since = {owner: self._since.get(owner, now) for owner in leaving if owner in drained}
        for owner, since in self._since.items():
            waited = now - max(since, quiet_since)
            if waited > self.bound:
                raise Violation(
                    LEAVES_IN_TIME,
                    f"{owner} owns {plan.owned(owner)} islands, for {waited:.1f} s; the bound is {self.bound:g}",
                )
