"""What must hold for each plan in force, and from one to the next."""

from __future__ import annotations

from distevo.events import IslandId
from distevo.plan import IslandPlace, MemberPlan, MemberState, Plan, RunPlan, TaskPlan, TaskState
from distevo.simulator.invariants.violation import Violation

POINTER_HOLDS = "the plan pointer names an object that exists, with that content"
ONE_OWNER = "an island has one owner per grant"
GRANT_RISES = "a grant rises with each change of owner, and never falls"
OWNERS_LIVE = "islands are given only to members that the plan calls alive"
RESULT_STAYS = "a named result stays"
RUNG_RISES = "a task's rung never falls, and rises only with a result"
COUNTERS_RISE = "grants and arrivals are numbered upwards"
STAYS_REVOKED = "a revoked key stays revoked until somebody lets it in again"
REVOKED_ARE_DEAD = "who has a revoked key is not called alive"
NO_MORE_FOR_LEAVERS = "islands are given to nobody who is to leave"


class PlanJudge:
    """Follows the plans in force."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.grants: dict[IslandId, dict[int, str]] = {}
        """Owner under each grant that a plan in force has named. A run of a name used before has higher grants."""
        self._returnable: set[str] = set()

    def may_return(self, key: str) -> None:
        """A user asks for a revoked key to be let in again: from now on it may be."""
        self._returnable.add(key)

    def in_force(self, plan: Plan) -> None:
        """The pointer was moved to this plan. Raises Violation."""
        before, self.plan = self.plan, plan
        if before is not None:
            if plan.next_grant < before.next_grant or plan.next_joined < before.next_joined:
                raise Violation(COUNTERS_RISE, f"version {plan.version} counts lower than version {before.version}")
            if not set(before.denied) <= {*plan.denied, *self._returnable}:
                raise Violation(STAYS_REVOKED, f"version {plan.version} lets a revoked key in again")
        alive = {
            member.owner(name): member
            for name, member in plan.members.items()
            if member.state is MemberState.ALIVE and member.key not in plan.denied
        }
        for name, member in plan.members.items():
            if member.state is MemberState.ALIVE and member.key in plan.denied:
                raise Violation(REVOKED_ARE_DEAD, f"version {plan.version} calls {name} alive")
        for name, run in plan.runs.items():
            old = before.runs.get(name) if before is not None else None
            self._judge_run(name, run, old if old is not None and old.object == run.object else None, alive)

    def _judge_run(self, name: str, run: RunPlan, old: RunPlan | None, alive: dict[str, MemberPlan]) -> None:
        for task, entry in run.tasks.items():
            before = old.tasks.get(task) if old is not None else None
            if before is not None:
                self._judge_result(f"{name}/{task}", before, entry)
                self._judge_rung(f"{name}/{task}", before, entry)
            # Also between two plans, both of which show it open.
            was_closed = before is not None and (
                before.state is not TaskState.OPEN or entry.result not in (None, before.result)
            )
            for index, place in enumerate(entry.islands):
                # A task that was closed and is open again has places anew.
                is_known = before is not None and index < len(before.islands)
                island, at = (
                    IslandId(name, task, index),
                    before.islands[index] if before is not None and is_known else None,
                )
                self._judge_place(island, place, at, was_closed)
                is_given = place.owner != "" and (at is None or at.owner != place.owner)
                if is_given and place.owner not in alive:
                    raise Violation(OWNERS_LIVE, f"{island} is given to {place.owner}")
                if is_given and alive[place.owner].is_draining:
                    raise Violation(NO_MORE_FOR_LEAVERS, f"{island} is given to {place.owner}")

    def _judge_place(self, island: IslandId, place: IslandPlace, before: IslandPlace | None, was_closed: bool) -> None:
        assert self.plan is not None
        if place.grant >= self.plan.next_grant:
            raise Violation(COUNTERS_RISE, f"{island} has grant {place.grant}, the next is {self.plan.next_grant}")
        # An island that nobody has, and nobody had since its task was opened (again), has no grant.
        if before is not None and place.grant < before.grant and not (was_closed and not place.owner):
            raise Violation(GRANT_RISES, f"{island} went from grant {before.grant} to {place.grant}")
        if not place.owner:
            return
        if before is not None and before.owner not in ("", place.owner) and place.grant == before.grant:
            raise Violation(GRANT_RISES, f"{island} went from {before.owner} to {place.owner} at grant {place.grant}")
        owner = self.grants.setdefault(island, {}).setdefault(place.grant, place.owner)
        if owner != place.owner:
            raise Violation(ONE_OWNER, f"{island} under grant {place.grant} is {owner}'s and {place.owner}'s")

    @staticmethod
    def _judge_rung(task: str, before: TaskPlan, entry: TaskPlan) -> None:
        is_founded = entry.rung == before.rung or entry.result not in (None, before.result)
        if entry.rung < before.rung or entry.first_grant < before.first_grant or not is_founded:
            raise Violation(RUNG_RISES, f"{task} went from rung {before.rung} to {entry.rung}, result {entry.result}")

    @staticmethod
    def _judge_result(task: str, before: TaskPlan, entry: TaskPlan) -> None:
        if before.result is None or entry.result == before.result:
            return
        # An extended task is opened again, under new grants, and may end with another result.
        was_extended = before.state is TaskState.OPEN or any(
            new.grant > old.grant for new, old in zip(entry.islands, before.islands, strict=True)
        )
        if not was_extended or entry.result is None:
            raise Violation(RESULT_STAYS, f"{task} went from {before.result} to {entry.result}")
