"""No island stays without a living owner for longer than a bound."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from distevo.events import IslandId
from distevo.plan import Plan, RunState, TaskState
from distevo.run import Budget
from distevo.simulator.invariants.violation import Violation

NOBODY_REFUSED: Mapping[str, Collection[str]] = MappingProxyType({})
ADOPTED_IN_TIME = "an island has a living owner within the bound"


def open_islands(plan: Plan) -> dict[IslandId, str]:
    """The islands that somebody should be working on, with their owners ("" for none)."""
    return {
        IslandId(name, task, index): place.owner
        for name, run in plan.runs.items()
        if run.state in {RunState.QUEUED, RunState.RUNNING} and run.note is None
        for task, entry in run.tasks.items()
        if entry.state is TaskState.OPEN
        for index, place in enumerate(entry.islands)
    }


def budget_of(plan: Plan, island: IslandId) -> Budget:
    """The budget that the island's task works under."""
    run = plan.runs[island.run]
    return run.budget_at(run.tasks[island.task].rung)


class OrphanJudge:
    """Times how long islands are without a living owner.

    The time counts while the store answers everybody and nobody crashes, starts, leaves or is suspended; each of these
    begins it anew. An island without any owner counts only while some living member that has not refused its run owns
    none at all: it may wait for its turn. One that is fit or has used its budget up needs no owner any more, unless
    the budget is raised: its last state waits, with the coordinator or in a checkpoint, for the rest of its task.
    """

    def __init__(self, bound: float) -> None:
        self.bound = bound
        self._since: dict[IslandId, float] = {}
        self._resting: dict[IslandId, Budget] = {}

    def rests(self, island: IslandId, budget: Budget) -> None:
        """The island is fit, or has used up its share of its run's budget."""
        self._resting[island] = budget

    def renewed(self, run: str) -> None:
        """Another run of that name is submitted, of which nothing rests, and nothing has waited yet."""
        self._resting = {island: budget for island, budget in self._resting.items() if island.run != run}
        self._since = {island: since for island, since in self._since.items() if island.run != run}

    def at_work(self, plan: Plan) -> dict[IslandId, str]:
        """The open islands that are not at rest, with their owners."""
        resting = self._resting
        return {
            island: owner
            for island, owner in open_islands(plan).items()
            if island not in resting or resting[island] != budget_of(plan, island)
        }

    def sweep(
        self,
        plan: Plan,
        living: Collection[str],
        quiet_since: float,
        now: float,
        refused: Mapping[str, Collection[str]] = NOBODY_REFUSED,
    ) -> None:
        """Look at all islands. `living` owners run; `quiet_since` is as the class says; `refused`: by member, the runs
        that it cannot work on. Raises Violation."""
        idle = [owner.rpartition("-")[0] for owner in set(living).difference(open_islands(plan).values())]
        owners = self.at_work(plan)
        orphans = [
            island
            for island, owner in owners.items()
            if owner not in living
            and (owner != "" or any(island.run not in refused.get(member, ()) for member in idle))
        ]
        self._since = {island: self._since.get(island, now) for island in orphans}
        for island, since in self._since.items():
            waited = now - max(since, quiet_since)
            if waited > self.bound:
                owner = owners[island] or "nobody"
                raise Violation(
                    ADOPTED_IN_TIME, f"{island} is {owner}'s, for {waited:.1f} s; the bound is {self.bound:g}"
                )
