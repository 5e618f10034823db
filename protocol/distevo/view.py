"""The view: what the node knows, as people and programs ask for it. Field names are kept from version to version.

Any member can give it for the whole cluster: what the plan says, what it has in hand itself, and how far the islands
of others were when they were last heard.
"""

from __future__ import annotations

from typing import Any

from distevo.diversity import diversity_of
from distevo.events import IslandId
from distevo.members import State
from distevo.migration import EdgeStatus
from distevo.node import Node
from distevo.plan import MemberPlan, MemberState, RunPlan
from distevo.result import text_of
from distevo.work import IslandWork, Stage


def status(node: Node, now: float) -> dict[str, Any]:
    """Cluster, members, runs, and migration from here; times in seconds."""
    record = node.lease.record
    plan = node.plan
    others = [name for name in plan.members if name != node.settings.member]
    return {
        "cluster": {
            "id": record.cluster if record else None,
            "epoch": record.epoch if record else None,
            "coordinator": record.holder or None if record else None,
            "plan": node.following.name or None,
        },
        "members": [_own(node, now), *(_other(node, name, plan.members[name], now) for name in others)],
        "runs": [run_view(node, name, now) for name in plan.runs],
        "migrations": [_edge(status, now) for status in node.exchange.status()],
    }


def _edge(status: EdgeStatus, now: float) -> dict[str, Any]:
    """What left an island here for another of its task."""
    return {
        **status.edge._asdict(),
        "owner": status.owner,
        "is_waiting": status.is_waiting,
        "sent": status.sent,
        "accepted": status.accepted,
        "known": status.known,
        "last_s": None if status.last_at is None else round(now - status.last_at, 3),
    }


def _own(node: Node, now: float) -> dict[str, Any]:
    settings, saved_at = node.settings, node.keeper.saved_at
    return {
        "id": settings.member,
        "kind": settings.kind,
        "state": "alive",
        "boot": settings.boot,
        "workers": settings.workers,
        "islands": sum(work.stage in {Stage.EVOLVING, Stage.SUSPENDED} for work in node.foreman.islands.values()),
        "queued": node.foreman.queued,
        "path": "self",
        "lag_s": round(node.lag, 3),
        "last_heard_s": 0.0,
        "checkpoint_age_s": None if saved_at is None else round(now - saved_at, 3),
        "phase": node.phase.value,
        "workers_replaced": dict(sorted(node.slots.replaced.items())),
    }


def _other(node: Node, name: str, member: MemberPlan, now: float) -> dict[str, Any]:
    """Another member. None stands for what only itself can know."""
    # Of whom this member does not speak to it knows what the plan says.
    state = (node.table.state(name) if member.state is MemberState.ALIVE else None) or State(member.state.value)
    heard_at = node.table.heard_at(name)
    path = node.router.path(name)
    return {
        "id": name,
        "kind": member.kind,
        "state": state.value,
        "boot": member.boot,
        "workers": member.workers,
        "islands": sum(owner == name and not progress.is_final for owner, progress in node.standing.islands.values()),
        "queued": node.standing.queued.get(name),
        "path": f"via {path.via}" if path.via is not None else path.kind.value,
        "lag_s": node.standing.lag.get(name),
        "last_heard_s": None if heard_at is None else round(now - heard_at, 3),
        "checkpoint_age_s": None,
        "phase": None,
        "workers_replaced": None,
    }


def run_view(node: Node, name: str, now: float) -> dict[str, Any]:
    """One run in numbers."""
    run = node.plan.runs[name]
    counted = [_counted(node, name, task) for task in run.tasks]
    progress = node.standing.progress(name)
    counts = run.tally()
    is_active = not run.state.is_over
    own = [work for work in node.foreman.islands.values() if work.id.run == name and work.snapshot is not None]
    return {
        "id": name,
        "problem": f"{run.problem.name} {run.problem.version}",
        "state": run.state.value,
        "tasks_total": counts["tasks"],
        "tasks_done": counts["done"],
        "tasks_failed": counts["failed"],
        "fit": counts["fit"],
        "solved": counts["solved"],
        "evaluations": sum(evaluations for evaluations, _ in counted),
        "evaluations_per_s": round(progress.evaluations_per_s(now), 1) if is_active else 0.0,
        "duplicates_avoided": sum(duplicates for _, duplicates in counted),
        "tasks_per_hour": round(progress.tasks_per_hour(now, not is_active), 1),
        "eta_s": _rounded(progress.eta_s(counts["tasks"] - counts["done"], now)) if is_active else None,
        "budget": {"cpu_seconds": run.budget.cpu_seconds, "evaluations": run.budget.evaluations},
        "islands_per_task": run.islands_per_task,
        "invalid_programs": sum(len(work.state.invalid) for work in own),
        "note": run.note or node.foreman.refused.get(name) or _first_complaint(node, name, run),
    }


def _counted(node: Node, name: str, task: str) -> tuple[int, int]:
    """(evaluations, duplicates) of a task so far."""
    entry = node.plan.runs[name].tasks[task]
    found = [node.standing.islands.get(IslandId(name, task, index)) for index in range(len(entry.islands))]
    progress = [known[1] for known in found if known is not None]
    if not entry.is_open_in(node.plan.runs[name].state) or not progress:
        return entry.evaluations, entry.duplicates
    return sum(p.evaluations for p in progress), sum(p.duplicates for p in progress)


def task_view(node: Node, name: str, task: str) -> dict[str, Any]:
    """The best so far of a task, in the fields of a result: the program, if it is here, else its fitness."""
    entry = node.plan.runs[name].tasks[task]
    own = (node.foreman.islands.get(IslandId(name, task, index)) for index in range(len(entry.islands)))
    works = [work for work in own if work is not None and work.snapshot is not None]
    heard = [node.standing.islands.get(IslandId(name, task, index)) for index in range(len(entry.islands))]
    progress = [known[1] for known in heard if known is not None]
    is_worked_on = bool(works or progress) and entry.is_open_in(node.plan.runs[name].state)
    best = min((work.best for work in works if work.best is not None), default=None) if is_worked_on else None
    fitness = max((p.best for p in progress if p.best), default=None) if is_worked_on else None
    return {
        "id": task,
        "state": "working" if is_worked_on else entry.state.value,
        "fit": (name, task) in node.news.fits,
        "solved": None,
        "program": text_of(best.genome) if best else None,
        "key": best.key.hex() if best else None,
        "fitness": list(best.fitness) if best else fitness,
        "evaluations": sum(p.evaluations for p in progress) if is_worked_on else 0,
        "seconds": round(max((work.state.counters.seconds for work in works), default=0.0), 3),
        "error": entry.error,
    }


def is_ending(node: Node, name: str) -> bool:
    """Whether a run that is over still has tasks that will get a result."""
    run = node.plan.runs.get(name)
    if run is None:
        return False
    works = any(work.id.run == name and work.is_begun for work in node.foreman.islands.values())
    return works or (node.term is not None and bool(node.term.closing.in_hand(name)))


def islands_view(node: Node) -> list[dict[str, Any]]:
    """The islands in hand: how far each is, and how diverse its population is (entropy in bits)."""
    return [_island(work) for work in node.foreman.islands.values() if work.snapshot is not None]


def _island(work: IslandWork) -> dict[str, Any]:
    snapshot = work.state
    population = work.population()
    diversity = diversity_of(population)
    best = population.best
    return {
        "run": work.id.run,
        "task": work.id.task,
        "island": work.id.island,
        "grant": work.grant,
        "generation": snapshot.generation,
        "is_resting": work.stage is Stage.FINAL,
        "evaluations": snapshot.counters.evaluations,
        "best_fitness": list(best.fitness) if best else None,
        "programs": diversity.programs,
        "behaviours": diversity.behaviours,
        "entropy": round(diversity.entropy, 4),
    }


def _first_complaint(node: Node, name: str, run: RunPlan) -> str | None:
    for task, entry in run.tasks.items():
        complaint = node.news.warning((name, task)) or entry.error
        if complaint is not None:
            return complaint
    return None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
