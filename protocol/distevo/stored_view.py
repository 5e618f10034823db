"""The view of a cluster from its store alone: what objects say, in the fields in which a member tells it.

None stands for what only a member can know: paths, latencies, who was heard when, rates. What lies in the store is
never older than the plan in force; how far islands are is as old as their platforms' newest checkpoints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from distevo.checkpoint import Checkpoint, IslandSnapshot
from distevo.cluster import ClusterRecord
from distevo.diversity_view import island_view, of_population, summary
from distevo.events import IslandId
from distevo.lease import PATIENCE, RENEWALS_PER_TTL
from distevo.merge import PopulationMerger
from distevo.names import fold
from distevo.plan import MemberState, Plan, TaskPlan
from distevo.provenance import origin_view
from distevo.result import Result, finite, text_of
from distevo.view import Counted, Unreadable, planned_member, planned_run, planned_task, with_result
from distevo.work import population_of

RENEWAL_SLACK = 1.0
"""Seconds by which a healthy holder's renewal may be late: a store sustains about one swap a second."""


class LeaseState(StrEnum):
    """What an onlooker can say of the lease. Times that others wrote count for nothing: only seeing it change does."""

    HELD = "held"
    """It was seen to change, no longer ago than a holder may take to renew it."""
    SILENT = "silent"
    """It has not changed for longer than that."""
    EXPIRED = "expired"
    """It has not changed for so long that another member may take it."""
    RELEASED = "released"
    """Whoever held it has given it back."""


class Sight(NamedTuple):
    """How long the object `cluster` was looked at."""

    unmoved_s: float = 0.0
    """Seconds since it was seen to change or, if it was not, since it was first read."""
    has_moved: bool = False
    """Whether it was seen to change."""
    age_s: float = 0.0
    """Seconds since it was read last: how old all of the observation is."""


class Stored(NamedTuple):
    """The newest readable checkpoint of one boot of a platform, or one before it with what that had no room for."""

    name: str
    checkpoint: Checkpoint
    age_s: float | None
    """Seconds since it was seen to appear; None when it was there at the first look."""


class Found(msgspec.Struct, dict=True):
    """What a look at a store found."""

    record: ClusterRecord | None = None
    plan: Plan | None = None
    """In force; None where there is none, or it cannot be read."""
    checkpoints: list[Stored] = []
    results: Collection[str] = ()
    """Names of the result objects."""
    inbox: Collection[str] = ()
    """Names of the inbox objects."""
    unreadable: list[Unreadable] = []

    @cached_property
    def islands(self) -> dict[IslandId, tuple[Stored, IslandSnapshot]]:
        """Of each island of the plan whose task is open, the newest snapshot, and what it lies in."""
        newest: dict[IslandId, tuple[Stored, IslandSnapshot]] = {}
        for stored in self.checkpoints:
            for snapshot in stored.checkpoint.islands:
                island = IslandId(snapshot.run, snapshot.task, snapshot.island)
                if not self._counts(island, snapshot.grant):
                    continue
                known = newest.get(island)
                if known is None or _rank(known[1]) < _rank(snapshot):
                    newest[island] = stored, snapshot
        return newest

    def _counts(self, island: IslandId, grant: int) -> bool:
        """Whether the plan knows of this island under this grant or a later one, and is not through with it."""
        entry = self.plan.open_task(island.run, island.task) if self.plan is not None else None
        if self.plan is None or entry is None or island.island >= len(entry.islands):
            return False
        first = self.plan.runs[island.run].first_grant_of(island.task)
        return first <= grant <= entry.islands[island.island].grant


def status(found: Found, sight: Sight) -> dict[str, Any]:
    """As `view.status`, times in seconds; `store` holds what else can be said."""
    record, plan = found.record, found.plan or Plan(epoch=0, version=0)
    coordinator = record.holder or None if record else None
    hands = _hands(found)
    return {
        "cluster": {
            "id": record.cluster if record else None,
            "epoch": record.epoch if record else None,
            "coordinator": coordinator,
            "plan": record.plan if record else None,
        },
        "members": [
            planned_member(plan, name, coordinator) | hands.get(member.owner(name), {})
            for name, member in plan.members.items()
        ],
        "revoked": list(plan.denied),
        "runs": runs(found),
        "migrations": [],
        "store": {
            "age_s": round(sight.age_s, 3),
            "lease": _lease(record, sight),
            "checkpoints": [_checkpoint(stored, plan) for stored in found.checkpoints],
            "results": _results(plan, found.results),
            "inbox": _waiting(plan, found.inbox),
            "unreadable": [unreadable._asdict() for unreadable in found.unreadable],
        },
    }


def runs(found: Found) -> list[dict[str, Any]]:
    """The runs of the plan; what open tasks have done so far is what checkpoints say."""

    def counted(island: IslandId) -> Counted | None:
        if island not in found.islands:
            return None
        counters = found.islands[island][1].counters
        return counters.evaluations, counters.duplicates

    planned, here = found.plan.runs if found.plan is not None else {}, islands(found)
    return [
        planned_run(name, run, counted) | summary(island for island in here if island["run"] == name)
        for name, run in planned.items()
    ]


def islands(found: Found) -> list[dict[str, Any]]:
    """The islands of open tasks, as their newest snapshots show them; `owner` is whose that is."""
    return [
        island_view(snapshot, population_of(snapshot), snapshot.grant, None) | {"owner": _writer(stored)}
        for _, (stored, snapshot) in sorted(found.islands.items())
    ]


def task(found: Found, run: str, name: str, result: Result | Unreadable | None) -> dict[str, Any]:
    """A task in the fields of a result: `result`, or the best program that checkpoints hold while it is open and they
    are further."""
    assert found.plan is not None
    plan = found.plan.runs[run]
    entry = plan.tasks[name]
    view = planned_task(name, entry)
    if entry.is_open_in(plan.state):
        view |= _best(found, run, name)
    return with_result(view, result, plan.problem)


def _best(found: Found, run: str, name: str) -> dict[str, Any]:
    assert found.plan is not None
    here = (IslandId(run, name, index) for index in range(len(found.plan.runs[run].tasks[name].islands)))
    snapshots = [found.islands[island][1] for island in here if island in found.islands]
    if not snapshots:
        return {}
    known = PopulationMerger.merge_populations(map(population_of, snapshots))
    best = known.best
    told: dict[str, Any] = {
        "state": "working",
        "evaluations": sum(s.counters.evaluations for s in snapshots),
        "seconds": round(max(s.counters.seconds for s in snapshots), 3),
        "diversity": of_population(known),
    }
    if best is not None:
        told |= {
            "fit": best.fit,
            "program": text_of(best.genome),
            "program_hex": best.genome.hex(),
            "key": best.key.hex(),
            "fitness": [finite(number) for number in best.fitness],
            "origin": origin_view(best.meta),
        }
    return told


def _lease(record: ClusterRecord | None, sight: Sight) -> dict[str, Any]:
    """What can be said of the lease; `state` is None while it was not looked at for long enough."""
    return {
        "state": None if record is None else _lease_state(record, sight),
        "ttl": None if record is None else record.ttl,
        "renewal_s": None if record is None else round(record.ttl / RENEWALS_PER_TTL, 3),
        "unmoved_s": round(sight.unmoved_s, 3),
        "has_moved": sight.has_moved,
    }


def _lease_state(record: ClusterRecord, sight: Sight) -> LeaseState | None:
    if not record.holder:
        return LeaseState.RELEASED
    if sight.unmoved_s >= PATIENCE * record.ttl:
        return LeaseState.EXPIRED
    if sight.unmoved_s >= renewal_patience(record):
        return LeaseState.SILENT
    return LeaseState.HELD if sight.has_moved else None


def renewal_patience(record: ClusterRecord) -> float:
    """Seconds after which the object `cluster` has changed, if its holder is well."""
    return record.ttl / RENEWALS_PER_TTL + RENEWAL_SLACK


def _owned(plan: Plan) -> Counter[str]:
    """By owner, the islands of open tasks."""
    return Counter(
        place.owner
        for run in plan.runs.values()
        for entry in run.tasks.values()
        if entry.is_open_in(run.state)
        for place in entry.islands
    )


def _hands(found: Found) -> dict[str, dict[str, Any]]:
    """By owner who has a checkpoint: its age and, of one that lives, the islands in work and those that wait."""
    if found.plan is None:
        return {}
    owned, in_work = _owned(found.plan), _in_work(found.plan, found)
    living = {m.owner(name) for name, m in found.plan.members.items() if m.state is MemberState.ALIVE}
    return {
        owner: {
            "checkpoint_age_s": _rounded(stored.age_s),
            "islands": in_work[owner] if owner in living else None,
            "queued": owned[owner] - in_work[owner] if owner in living else None,
        }
        # Of several of one owner, which it filled one after another, the newest comes first.
        for owner, stored in ((_writer(stored), stored) for stored in reversed(found.checkpoints))
    }


def _in_work(plan: Plan, found: Found) -> Counter[str]:
    """By owner, the islands of open tasks that its newest checkpoints have: it has begun them."""
    return Counter(
        owner
        for island, (stored, _) in found.islands.items()
        if (owner := plan.runs[island.run].tasks[island.task].islands[island.island].owner) == _writer(stored)
    )


def _writer(stored: Stored) -> str:
    return f"{stored.checkpoint.member}-{stored.checkpoint.boot}"


def _checkpoint(stored: Stored, plan: Plan) -> dict[str, Any]:
    checkpoint = stored.checkpoint
    member = plan.members.get(checkpoint.member)
    generations = [snapshot.generation for snapshot in checkpoint.islands]
    return {
        "member": checkpoint.member,
        "boot": checkpoint.boot,
        "is_current": member is not None and member.boot == checkpoint.boot,
        "name": stored.name,
        "sequence": checkpoint.sequence,
        "age_s": _rounded(stored.age_s),
        "islands": len(checkpoint.islands),
        "least_generation": min(generations, default=None),
        "most_generation": max(generations, default=None),
        "evaluations": sum(snapshot.counters.evaluations for snapshot in checkpoint.islands),
    }


def _results(plan: Plan, there: Collection[str]) -> dict[str, Any]:
    entries: list[TaskPlan] = [entry for run in plan.runs.values() for entry in run.tasks.values()]
    named = [entry.result for entry in entries if entry.result is not None]
    found = set(map(fold, there))
    return {"named": len(named), "objects": len(found), "missing": [name for name in named if fold(name) not in found]}


def _waiting(plan: Plan, inbox: Collection[str]) -> int:
    """Runs, commands and members that no plan has taken in yet."""
    known = {run.object for run in plan.runs.values()} | plan.handled.keys()
    return sum(name not in known for name in inbox)


def _rank(snapshot: IslandSnapshot) -> tuple[int, int]:
    return snapshot.grant, snapshot.sequence


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
