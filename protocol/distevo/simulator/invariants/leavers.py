"""Who is asked to end, drained or revoked has left in time."""

from __future__ import annotations

from collections.abc import Collection

from distevo.plan import Plan
from distevo.simulator.invariants.violation import Violation

LEAVES_IN_TIME = "who is to leave has left within the bound"


class LeaverJudge:
    """Times how long members that are to leave are still there.

    The time counts as in `OrphanJudge`: each disturbance begins it anew.
    """

    def __init__(self, bound: float) -> None:
        self.bound = bound
        self._since: dict[str, float] = {}

    def sweep(self, plan: Plan, leaving: Collection[str], quiet_since: float, now: float) -> None:
        """Look at all members. `leaving` owners run; `quiet_since` is as in `OrphanJudge`. Raises Violation."""
        self._since = {owner: self._since.get(owner, now) for owner in leaving}
        for owner, since in self._since.items():
            waited = now - max(since, quiet_since)
            if waited > self.bound:
                raise Violation(
                    LEAVES_IN_TIME,
                    f"{owner} owns {plan.owned(owner)} islands, for {waited:.1f} s; the bound is {self.bound:g}",
                )
