"""The view: what the node knows, as people and programs ask for it. Field names are kept from version to version."""

from __future__ import annotations

from typing import Any

from distevo.diversity import diversity_of
from distevo.node import Node
from distevo.plan import RunPlan
from distevo.progress import Progress
from distevo.result import text_of
from distevo.work import IslandWork, TaskWork


def status(node: Node, now: float) -> dict[str, Any]:
    """Cluster, members and runs; times in seconds."""
    record = node.lease.record
    return {
        "cluster": {
            "id": record.cluster if record else None,
            "epoch": record.epoch if record else None,
            "coordinator": record.holder or None if record else None,
        },
        "members": [_member(node, now)],
        "runs": [run_view(node, name, now) for name in node.ledger.plan.runs],
    }


def _member(node: Node, now: float) -> dict[str, Any]:
    settings, saved_at = node.settings, node.keeper.saved_at
    return {
        "id": settings.member,
        "kind": settings.kind,
        "state": "alive",
        "boot": settings.boot,
        "workers": settings.workers,
        "islands": sum(len(slot.islands) for slot in node.slots.slots),
        "path": "self",
        "last_heard_s": 0.0,
        "checkpoint_age_s": None if saved_at is None else round(now - saved_at, 3),
        "phase": node.phase.value,
        "workers_replaced": dict(sorted(node.slots.replaced.items())),
    }


def run_view(node: Node, name: str, now: float) -> dict[str, Any]:
    """One run in numbers."""
    run, works = node.ledger.plan.runs[name], node.foreman.in_hand(name)
    in_hand = {work.task for work in works}
    closed = [task for key, task in run.tasks.items() if key not in in_hand]
    progress = node.ledger.progress.get(name, Progress())
    counts = run.tally()
    is_active = not run.state.is_over
    return {
        "id": name,
        "problem": f"{run.problem.name} {run.problem.version}",
        "state": run.state.value,
        "tasks_total": counts["tasks"],
        "tasks_done": counts["done"],
        "tasks_failed": counts["failed"],
        "fit": counts["fit"],
        "solved": counts["solved"],
        "evaluations": sum(task.evaluations for task in closed) + sum(work.evaluations() for work in works),
        "evaluations_per_s": round(progress.evaluations_per_s(now), 1) if is_active else 0.0,
        "duplicates_avoided": sum(task.duplicates for task in closed) + sum(work.duplicates() for work in works),
        "tasks_per_hour": round(progress.tasks_per_hour(now, not is_active), 1),
        "eta_s": _rounded(progress.eta_s(counts["tasks"] - counts["done"], now)) if is_active else None,
        "budget": {"cpu_seconds": run.budget.cpu_seconds, "evaluations": run.budget.evaluations},
        "islands_per_task": run.islands_per_task,
        "invalid_programs": sum(len(island.snapshot.invalid) for work in works for island in work.islands),
        "note": run.note or _first_complaint(run, works),
    }


def task_view(node: Node, name: str, task: str) -> dict[str, Any]:
    """The best so far of a task in hand, in the fields of a result."""
    work = node.foreman.work.get((name, task))
    guess = work.choose() if work is not None else None
    entry = node.ledger.plan.runs[name].tasks[task]
    return {
        "id": task,
        "state": "working" if work is not None else entry.state.value,
        "fit": guess.fit if guess else False,
        "solved": None,
        "program": text_of(guess.genome) if guess else None,
        "key": guess.key.hex() if guess else None,
        "fitness": list(guess.fitness) if guess else None,
        "evaluations": work.evaluations() if work is not None else 0,
        "seconds": round(work.seconds(), 3) if work is not None else 0.0,
        "error": entry.error,
    }


def islands_view(node: Node) -> list[dict[str, Any]]:
    """The islands in hand: how far each is, and how diverse its population is (entropy in bits)."""
    return [_island(work, island) for work in node.foreman.work.values() for island in work.islands]


def _island(work: TaskWork, island: IslandWork) -> dict[str, Any]:
    snapshot = island.snapshot
    population = island.population()
    diversity = diversity_of(population)
    best = population.best
    return {
        "run": work.run.name,
        "task": work.task,
        "island": island.id.island,
        "grant": snapshot.grant,
        "generation": snapshot.generation,
        "is_resting": island.is_resting,
        "evaluations": snapshot.counters.evaluations,
        "best_fitness": list(best.fitness) if best else None,
        "programs": diversity.programs,
        "behaviours": diversity.behaviours,
        "entropy": round(diversity.entropy, 4),
    }


def _first_complaint(run: RunPlan, works: list[TaskWork]) -> str | None:
    for work in works:
        if work.warning is not None:
            return work.warning
    return next((task.error for task in run.tasks.values() if task.error is not None), None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
