"""A result is at least as good as the best program in any durable checkpoint of its task.

Which checkpoints count: those that the store confirmed to an owner of an island of the task, for a grant that a plan
in force had given that owner, and that were there before the result's object was. A *former* owner may write on
while nobody can reach it; of its checkpoints those count that were there when the island's owner, or the platform
that closed the task, last listed the names of that owner's checkpoints for the island's sake. For an island that it has
not in hand, or of which it has told that it rests, nobody looks: its listings then are for others. What is written
under the grants of a task that has its result already counts no more, also when the task is extended later. Where a
guess was refuted, what checkpoints say of their programs is not believed, and not asked for. Moments are counted in
writes and listings of the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import NamedTuple

from distevo.checkpoint import IslandSnapshot
from distevo.events import IslandId
from distevo.names import RESULTS, owner_checkpoints
from distevo.plan import IslandPlace, Plan, TaskPlan, TaskState
from distevo.result import Result
from distevo.simulator.invariants.violation import Violation
from distevo.simulator.invariants.worth import Worth, worth_of
from distevo.simulator.workers import ABSENT

NOTHING_LOST = "a result is as good as every durable checkpoint of its task"
LOOKED_AT = "a guess is looked at by a platform that has the problem, or by none"
NAMED_STAYS = "what a plan names as result is in the store"
WELL_CHOSEN = "a result is as good as all that lies beside it, also after a guess was refuted"
REPRODUCED = "a result that was looked at is worth what its program is worth"


class _Durable(NamedTuple):
    moment: int
    island: IslandId
    grant: int
    owner: str
    worth: Worth


class _Closed(NamedTuple):
    """When a task had its result, and the highest grant until then."""

    moment: int
    grant: int


_NEVER_CLOSED = _Closed(0, -1)


def reproduced(name: str, entry: TaskPlan, result: Result, worth: Worth) -> None:
    """A plan in force names this result; `worth` is what evaluating its program says. Raises Violation."""
    stated = Worth(result.fit, tuple(result.fitness or ()))
    if entry.error is None and stated != worth:
        raise Violation(REPRODUCED, f"{name} says {stated}; it is {worth}")


def well_chosen(name: str, entry: TaskPlan, result: Result, genuine: Iterable[Worth]) -> None:
    """A plan in force names this result; `genuine` are the worths of all that its states hold and that is no pretence.
    Raises Violation."""
    stated = Worth(result.fit, tuple(result.fitness or ()))
    better = next((worth for worth in genuine if stated.is_worse(worth)), None)
    if entry.state is not TaskState.FAILED and better is not None:
        raise Violation(WELL_CHOSEN, f"{name} says {stated}; its states have {better}")


class ResultJudge:
    """Follows checkpoints, listings and results."""

    def __init__(self, grants: Mapping[IslandId, Mapping[int, str]]) -> None:
        """`grants`: owner under each grant that a plan in force has named so far."""
        self._grants = grants
        self._durable: dict[tuple[str, str], list[_Durable]] = {}
        self._listings: dict[str, dict[str, list[tuple[int, frozenset[IslandId]]]]] = {}
        """Moments, each with the islands that were looked for, by who listed and prefix."""
        self._candidates: dict[str, tuple[str, int]] = {}
        self._named: set[str] = set()
        self._closed: dict[tuple[str, str], _Closed] = {}
        self._refuted: set[tuple[str, str]] = set()
        self._places: dict[tuple[str, str], list[IslandPlace]] = {}
        """Where the islands of open tasks are, by the plan in force; a plan that closes a task no longer says it."""

    def durable(self, owner: str, snapshot: IslandSnapshot, moment: int) -> None:
        """The store confirmed a checkpoint of `owner` with this snapshot in it, which it took at `moment`."""
        worth = worth_of(snapshot)
        if worth is not None:
            island = IslandId(snapshot.run, snapshot.task, snapshot.island)
            entry = _Durable(moment, island, snapshot.grant, owner, worth)
            self._durable.setdefault((island.run, island.task), []).append(entry)

    def refuted(self, run: str, task: str) -> None:
        """A guess of this task was not worth what was said of it."""
        self._refuted.add((run, task))

    def renewed(self, run: str) -> None:
        """Another run of that name is submitted, of which nothing was refuted."""
        self._refuted = {task for task in self._refuted if task[0] != run}

    def listed(self, owner: str, prefix: str, moment: int, sought: frozenset[IslandId]) -> None:
        """`owner`, who looks for what others have of islands, was told which objects begin with `prefix`."""
        self._listings.setdefault(owner, {}).setdefault(prefix, []).append((moment, sought))

    def created(self, name: str, owner: str, moment: int) -> None:
        """`owner` created an object."""
        if name.startswith(RESULTS):
            self._candidates[name] = owner, moment

    def deleted(self, name: str) -> None:
        """An object was deleted. Raises Violation."""
        if name in self._named:
            raise Violation(NAMED_STAYS, f"{name} was deleted")

    def is_named(self, name: str) -> bool:
        """Whether the plan in force names this result."""
        return name in self._named

    def in_force(self, plan: Plan) -> None:
        """This plan is in force; what it names no more may go."""
        self._named = {entry.result for run in plan.runs.values() for entry in run.tasks.values() if entry.result}
        for name, run in plan.runs.items():
            for task, entry in run.tasks.items():
                if entry.islands:
                    self._places[name, task] = entry.islands

    def named(self, run: str, task: str, entry: TaskPlan, first_grant: int, result: Result | None) -> None:
        """A plan in force names a result for the first time; None: there is no such object. Raises Violation."""
        name = entry.result or ""
        if result is None or name not in self._candidates:
            raise Violation(NAMED_STAYS, f"{name} is not there")
        if entry.error == ABSENT:
            raise Violation(LOOKED_AT, f"{name} stands without a second look, for {entry.error}")
        if entry.state is TaskState.FAILED:
            return
        closer, created = self._candidates[name]
        reached = Worth(result.fit, tuple(result.fitness or ()))
        earlier = self._closed.get((run, task), _NEVER_CLOSED)
        # Of an extended task the plan may have forgotten who had the islands.
        places = self._places.get((run, task), [])
        grants = [max(self._grants.get(IslandId(run, task, index), [0])) for index in range(len(places))]
        last = max(grants, default=0)
        if entry.state is TaskState.OPEN:
            # The plan that has the task go on may have given its islands again.
            last = min(last, entry.first_grant - 1)
        self._closed[run, task] = _Closed(created, last)
        counted: list[_Durable] = []
        for durable in self._durable.get((run, task), ()):
            if durable.grant < first_grant or self._grants.get(durable.island, {}).get(durable.grant) != durable.owner:
                continue
            counts_until = created
            if durable.grant <= earlier.grant:
                # The task was closed and extended since; what was still written then belongs to nothing.
                counts_until = earlier.moment
            elif durable.grant != (place := places[durable.island.island]).grant and durable.owner != closer:
                counts_until = self._last_listing((closer, place.owner), durable, created)
            if durable.moment >= counts_until:
                continue
            if reached.is_worse(durable.worth) and (run, task) not in self._refuted:
                raise Violation(
                    NOTHING_LOST,
                    f"{name}, by {closer}, is worth {reached}; {durable.owner} had {durable.worth} "
                    f"for {durable.island} under grant {durable.grant} in a durable checkpoint",
                )
            counted.append(durable)
        # What nobody had to know of when the task was closed, nobody has to know of when it is closed again.
        self._durable[run, task] = counted

    def _last_listing(self, listers: Iterable[str], durable: _Durable, created: int) -> int:
        """When one of these, looking for the island, last listed the checkpoints of whoever had it, before `created`;
        `created` itself if none ever did."""
        # Whoever lists all checkpoints of the cluster is tidying up, and reads none of them.
        wanted = owner_checkpoints(durable.owner)
        listings = chain.from_iterable(self._listings.get(lister, {}).get(wanted, ()) for lister in listers)
        moments = [moment for moment, sought in listings if moment <= created and durable.island in sought]
        return max(moments, default=created)
