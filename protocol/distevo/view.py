"""The view: what the node knows, as people and programs ask for it. Field names are kept from version to version.

Any member can give it for the whole cluster: what the plan in force says, so that nothing is shown that could still be
lost; what it has in hand itself; and how far the islands of others were when they were last heard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from distevo.diversity_view import UNKNOWN, all_islands_view, of_population, summary
from distevo.events import IslandId
from distevo.members import State
from distevo.migration_view import edges
from distevo.node import Node
from distevo.outbox import together
from distevo.path import PathKind
from distevo.phase import Phase
from distevo.plan import MemberState, Plan, RunPlan, TaskPlan, TaskState
from distevo.program import keyer
from distevo.provenance import origin_view
from distevo.result import Result, finite, hex_of, text_of
from distevo.run import ProblemUse
from distevo.speech import member_of
from distevo.work import Stage

Counted = tuple[int, int]
"""(evaluations, duplicates)."""
REVOKED = "revoked"
"""State of a member whose key is let in no more."""
JOINING = "joining"
"""State of oneself while no plan has this boot, or none is known."""


class Unreadable(NamedTuple):
    """An object that is damaged, missing, or of a newer distevo."""

    name: str
    error: str
    is_newer: bool = False
    is_missing: bool = False


def status(node: Node, now: float, latency: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Cluster, members, runs, and migration from here; times in seconds.

    `latency`: by member, how long a message takes there and back on the link with it, where there is one.
    """
    record = node.lease.record
    plan = node.following.plan
    coordinator = coordinating(node, now)
    others = [name for name in plan.members if name != node.settings.member]
    links, islands = latency or {}, all_islands_view(node)
    return {
        "cluster": {
            "id": record.cluster if record else None,
            "epoch": record.epoch if record else None,
            "coordinator": coordinator,
            "plan": node.following.name or None,
        },
        "members": [
            _own(node, coordinator, now),
            *(_other(node, name, coordinator, links.get(name), now) for name in others),
        ],
        "revoked": list(plan.denied),
        "runs": [run_view(node, name, now, islands) for name in plan.runs],
        "migrations": edges(node, now),
    }


def coordinating(node: Node, now: float) -> str | None:
    """Who coordinates, as far as it is known here; nobody whose lease has run out."""
    lease = node.lease
    if node.phase is Phase.COORDINATING and lease.is_held:
        return node.settings.member
    if lease.record is None or lease.record.holder == node.settings.member or lease.is_expired(now):
        return None
    return lease.record.holder or None


def state_of(node: Node, name: str) -> State:
    """What another member is held to be. Of whom this one does not speak to, and whom the cluster has given up, it
    knows from the plan."""
    planned = node.following.plan.members[name].state
    heard = node.table.state(name) if planned is MemberState.ALIVE else None
    return heard or State(planned.value)


# --- members -------------------------------------------------------------------------------------


def planned_member(plan: Plan, name: str, coordinator: str | None) -> dict[str, Any]:
    """A member as the plan shows it. None stands for what only itself, or who hears it, can know."""
    member = plan.members[name]
    state = REVOKED if member.key and member.key in plan.denied else member.state.value
    view = _member(name, member.kind, member.boot, member.workers, state, coordinator)
    return view | {"is_draining": member.is_draining, "key": member.key or None, "slowness": member.slowness}


def _member(name: str, kind: str, boot: str, workers: int, state: str, coordinator: str | None) -> dict[str, Any]:
    return {
        "id": name,
        "kind": kind,
        "state": state,
        "role": "coordinator" if name == coordinator else "member",
        "is_draining": False,
        "key": None,
        "boot": boot,
        "workers": workers,
        "islands": None,
        "queued": None,
        "path": None,
        "latency_s": None,
        "lag_s": None,
        "last_heard_s": None,
        "avg_generation_time": None,
        "slowness": None,
        "checkpoint_age_s": None,
        "phase": None,
        "workers_replaced": None,
        "store_trouble": None,
    }


def _own(node: Node, coordinator: str | None, now: float) -> dict[str, Any]:
    settings, saved_at = node.settings, node.keeper.saved_at
    planned = node.following.plan.members.get(settings.member)
    is_in = planned is not None and planned.boot == settings.boot
    state = "alive" if is_in else JOINING
    waiting = len(node.foreman.waiting)
    in_hand = sum(work.stage in {Stage.EVOLVING, Stage.SUSPENDED} for work in node.foreman.islands.values())
    return _member(settings.member, settings.kind, settings.boot, settings.workers, state, coordinator) | {
        "is_draining": planned is not None and is_in and planned.is_draining,
        "key": settings.key or None,
        "islands": in_hand - waiting,
        "queued": node.foreman.queued + waiting,
        "path": "self",
        "lag_s": round(node.lag, 3),
        "last_heard_s": 0.0,
        "avg_generation_time": _rounded(node.standing.pace.avg_generation_time(now), 6),
        "slowness": planned.slowness if planned is not None and is_in else None,
        "checkpoint_age_s": None if saved_at is None else round(now - saved_at, 3),
        "phase": node.phase.value,
        "workers_replaced": dict(sorted(node.slots.replaced.items())),
        "store_trouble": _store_trouble(node, now),
    }


def _store_trouble(node: Node, now: float) -> dict[str, Any] | None:
    """For how long something that this member asks of the store has not succeeded, and why."""
    trouble = together(node.outbox.trouble(now), node.keeper.trouble)
    return None if trouble is None else {"seconds": round(now - trouble.since, 1), "reason": trouble.reason}


def _other(node: Node, name: str, coordinator: str | None, latency: float | None, now: float) -> dict[str, Any]:
    """Another member. Of one that is gone its last figures say nothing any more, but for when it was heard."""
    view = planned_member(node.following.plan, name, coordinator)
    heard_at = node.table.heard_at(name)
    view["last_heard_s"] = None if heard_at is None else round(now - heard_at, 3)
    if view["state"] != REVOKED:
        view["state"] = state_of(node, name).value
    if view["state"] not in {State.ALIVE, State.SUSPECT}:
        return view
    path = node.router.path(name)
    queued = node.standing.queued.get(name)
    in_hand = [i for i, (owner, told) in node.standing.islands.items() if owner == name and not told.is_final]
    waiting = sum(map(node.standing.waits, in_hand))
    return view | {
        "islands": None if queued is None else len(in_hand) - waiting,
        "queued": None if queued is None else queued + waiting,
        "path": f"via {path.via}" if path.via is not None else path.kind.value,
        "latency_s": latency if path.kind is PathKind.DIRECT else None,
        "lag_s": node.standing.lag.get(name),
        "avg_generation_time": node.standing.generation_time.get(name),
    }


# --- runs ----------------------------------------------------------------------------------------


def planned_run(name: str, run: RunPlan, counted: Callable[[IslandId], Counted | None]) -> dict[str, Any]:
    """A run as the plan shows it, in numbers. None stands for what only who works on it can know.

    `counted` tells what an island has done so far, as far as that is known.
    """
    totals = [_counted(name, task, entry, run, counted) for task, entry in run.tasks.items()]
    tally = run.tally()
    return {
        "id": name,
        "problem": f"{run.problem.name} {run.problem.version}",
        "state": run.state.value,
        "tasks_total": tally["tasks"],
        "tasks_done": tally["done"],
        "tasks_failed": tally["failed"],
        "fit": tally["fit"],
        # Of a run that hides nothing, and of one that has no result yet, nobody knows.
        "solved": tally["solved"] if any(entry.solved is not None for entry in run.tasks.values()) else None,
        "evaluations": sum(evaluations for evaluations, _ in totals),
        # Islands that somebody began and nobody has in hand now are counted again once they are.
        "is_at_least": any(_is_partial(name, task, entry, run, counted) for task, entry in run.tasks.items()),
        "evaluations_per_s": None,
        "duplicates_avoided": sum(duplicates for _, duplicates in totals),
        "tasks_per_hour": None,
        "eta_s": None,
        "budget": {"cpu_seconds": run.budget.cpu_seconds, "evaluations": run.budget.evaluations},
        "rungs": [rung.cpu_seconds if rung.cpu_seconds is not None else rung.evaluations for rung in run.rungs],
        "tasks_on_rungs": _on_rungs(run),
        "priority": run.priority,
        "islands_per_task": run.islands_per_task,
        "invalid_programs": None,
        **UNKNOWN,
        "note": run.note or _first_error(run),
    }


def _first_error(run: RunPlan) -> str | None:
    """The first complaint of a task, with its id if the run has others."""
    for task, entry in run.tasks.items():
        if entry.error is not None:
            return _of_task(run, task, entry.error)
    return None


def _of_task(run: RunPlan, task: str, complaint: str) -> str:
    return f"{task}: {complaint}" if len(run.tasks) > 1 else complaint


def _on_rungs(run: RunPlan) -> list[int]:
    """How many of the open tasks are on each rung, the whole budget the last; empty where there is but that one."""
    if not run.rungs:
        return []
    rungs = [entry.rung for entry in run.tasks.values() if entry.state is TaskState.OPEN]
    return [rungs.count(rung) for rung in range(len(run.rungs) + 1)]


def _counted(
    name: str, task: str, entry: TaskPlan, run: RunPlan, counted: Callable[[IslandId], Counted | None]
) -> Counted:
    """What was done for a task so far."""
    found = [counted(IslandId(name, task, index)) for index in range(len(entry.islands))]
    known = [count for count in found if count is not None]
    if not entry.is_open_in(run.state) or not known:
        return entry.evaluations, entry.duplicates
    # Of a task that goes on from a result, some islands may not have been taken up again.
    evaluations, duplicates = (sum(numbers) for numbers in zip(*known, strict=True))
    return max(evaluations, entry.evaluations), max(duplicates, entry.duplicates)


def _is_partial(
    name: str, task: str, entry: TaskPlan, run: RunPlan, counted: Callable[[IslandId], Counted | None]
) -> bool:
    """Whether an island of an open task had another owner, and how far it is nobody knows here."""
    return entry.is_open_in(run.state) and any(
        place.former and counted(IslandId(name, task, index)) is None for index, place in enumerate(entry.islands)
    )


def _has_unheard_owner(node: Node, run: RunPlan) -> bool:
    """Whether an island lives with a member that has told this one nothing yet."""
    heard = {node.settings.member, *node.standing.queued}
    return any(
        place.owner and member_of(place.owner) not in heard
        for entry in run.tasks.values()
        if entry.is_open_in(run.state)
        for place in entry.islands
    )


def run_view(node: Node, name: str, now: float, islands: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """One run in numbers; `islands` as `all_islands_view` gives them, if they are there already."""
    run = node.following.plan.runs[name]

    def counted(island: IslandId) -> Counted | None:
        known = node.standing.islands.get(island)
        return None if known is None else (known[1].evaluations, known[1].duplicates)

    view = planned_run(name, run, counted)
    progress = node.standing.progress(name)
    is_active = not run.state.is_over
    left = view["tasks_total"] - view["tasks_done"]
    own = [work for work in node.foreman.islands.values() if work.id.run == name and work.snapshot is not None]
    return view | {
        "is_at_least": view["is_at_least"] or _has_unheard_owner(node, run),
        "evaluations_per_s": round(progress.evaluations_per_s(now), 1) if is_active else 0.0,
        # Of a run that was over before this daemon saw any of it nobody knows how long it took.
        "tasks_per_hour": _rounded(progress.tasks_per_hour()) if is_active or progress.has_begun else None,
        # Before its last budget only what is fit is finished, and how much that will be says nothing of the rest.
        "eta_s": _rounded(progress.eta_s(left)) if is_active and not any(view["tasks_on_rungs"][:-1]) else None,
        "invalid_programs": sum(len(work.state.invalid) for work in own),
        **summary(island for island in islands or all_islands_view(node) if island["run"] == name),
        "note": run.note or (is_active and node.foreman.refused.get(name)) or _first_complaint(node, name, run),
    }


# --- tasks ---------------------------------------------------------------------------------------


def planned_task(task: str, entry: TaskPlan) -> dict[str, Any]:
    """A task as the plan shows it, in the fields of a result."""
    return {
        "id": task,
        "state": entry.state.value,
        "fit": entry.fit,
        "solved": None,
        "program": None,
        "program_hex": None,
        "key": None,
        "fitness": None,
        "evaluations": 0,
        "seconds": 0.0,
        "origin": None,
        "diversity": None,
        "error": entry.error,
    }


def result_view(result: Result, problem: ProblemUse) -> dict[str, Any]:
    """What a result says of its task."""
    program, key = result.program, result.key
    key_of = keyer(problem.name, problem.version)
    fields = ("fit", "solved", "program", "key", "fitness", "evaluations", "seconds")
    origin = None if result.origin is None else msgspec.structs.asdict(result.origin)
    return {field: getattr(result, field) for field in fields} | {
        "program_hex": None if program is None or key is None else hex_of(program, key, key_of),
        "origin": origin,
    }


def with_result(view: dict[str, Any], result: Result | Unreadable | None, problem: ProblemUse) -> dict[str, Any]:
    """A task's view, and its result if it has one, unless work that goes on from it is further by now."""
    if result is None:
        return view
    if isinstance(result, Unreadable):
        return view | {"error": f"{result.name} cannot be read: {result.error}"}
    if (result.fitness or []) < (view["fitness"] or []):
        return view
    # A task that goes on from a result may not have come as far again yet.
    return view | result_view(result, problem) | {"evaluations": max(view["evaluations"], result.evaluations)}


def task_view(node: Node, name: str, task: str) -> dict[str, Any]:
    """The best so far of a task, in the fields of a result: the program, if it is here, else its fitness."""
    entry = node.following.plan.runs[name].tasks[task]
    islands = [IslandId(name, task, index) for index in range(len(entry.islands))]
    own = map(node.foreman.islands.get, islands)
    works = [work for work in own if work is not None and work.snapshot is not None]
    progress = [node.standing.islands[island][1] for island in islands if island in node.standing.islands]
    in_hand = {work.id for work in works} | (node.standing.islands.keys() & islands)
    is_worked_on = bool(works or progress) and entry.is_open_in(node.following.plan.runs[name].state)
    waiting = node.foreman.waiting
    has_turn = is_worked_on and not all(island in waiting or node.standing.waits(island) for island in in_hand)
    best = node.exchange.merging.best((name, task)) if is_worked_on else None
    fitness = max((p.best for p in progress if p.best), default=None) if is_worked_on else None
    return planned_task(task, entry) | {
        "state": "working" if has_turn else entry.state.value,
        "fit": entry.fit or (name, task) in node.news.fits,
        "program": text_of(best.genome) if best else None,
        "program_hex": best.genome.hex() if best else None,
        "key": best.key.hex() if best else None,
        "fitness": [finite(number) for number in best.fitness] if best else fitness,
        "origin": origin_view(best.meta) if best else None,
        "diversity": of_population(node.exchange.merging.all((name, task))) if is_worked_on else None,
        "evaluations": sum(p.evaluations for p in progress) if is_worked_on else 0,
        "seconds": round(max((work.state.counters.seconds for work in works), default=0.0), 3),
    }


def is_ending(node: Node, name: str) -> bool:
    """Whether a run that is over still has tasks that will get a result."""
    run = node.following.plan.runs.get(name)
    if run is None:
        return False
    works = any(work.id.run == name and work.is_begun for work in node.foreman.islands.values())
    return works or (node.term is not None and bool(node.term.closing.ends.in_hand(name)))


# --- helpers -------------------------------------------------------------------------------------


def _first_complaint(node: Node, name: str, run: RunPlan) -> str | None:
    """The same as far as it is known here, of tasks that evolve, too."""
    for task, entry in run.tasks.items():
        complaint = node.news.warning((name, task)) or entry.error
        if complaint is not None:
            return _of_task(run, task, complaint)
    return None


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
