"""The view of diversity: how much difference islands still hold, and which of them get nowhere, as people are shown it.

Of islands here it is measured when it is asked for; those of others told it in their last heartbeat. None stands for
what nobody has told yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Any

from distevo.checkpoint import IslandSnapshot
from distevo.convergence import WINDOW_GENERATIONS, has_converged
from distevo.diversity import diversity_of
from distevo.events import IslandId
from distevo.messages import IslandProgress
from distevo.node import Node
from distevo.population import Population
from distevo.result import finite
from distevo.work import IslandWork, Stage


def of_population(population: Population) -> dict[str, Any]:
    """How diverse programs are; entropies in bits."""
    diversity = diversity_of(population)
    return {
        "programs": diversity.programs,
        "behaviours": diversity.behaviours,
        "entropy": round(diversity.entropy, 4),
        "fitness_entropy": round(diversity.fitness_entropy, 4),
    }


def island_view(
    snapshot: IslandSnapshot,
    population: Population,
    grant: int,
    is_resting: bool | None,
    restart_after: int = 0,
) -> dict[str, Any]:
    """One island by its state; `is_resting` is None where that is not known."""
    best = population.best
    return {
        "run": snapshot.run,
        "task": snapshot.task,
        "island": snapshot.island,
        "grant": grant,
        "generation": snapshot.generation,
        "is_resting": is_resting,
        "is_waiting": None,
        "is_converged": has_converged(snapshot, list(population), restart_after or WINDOW_GENERATIONS),
        "evaluations": snapshot.counters.evaluations,
        "best_fitness": [finite(number) for number in best.fitness] if best else None,
        **of_population(population),
    }


def islands_view(node: Node) -> list[dict[str, Any]]:
    """The islands in hand: how far each is, and how diverse its population is."""
    return _own(node, node.foreman.islands.values())


def all_islands_view(node: Node) -> list[dict[str, Any]]:
    """The islands that somebody has in hand, as far as that was heard."""
    # One that parts is its new owner's, who may have told of it.
    works = [work for work in node.foreman.islands.values() if work.stage is not Stage.PARTING]
    found = {IslandId(view["run"], view["task"], view["island"]): view for view in _own(node, works)}
    for island, (member, progress) in node.standing.islands.items():
        # What was told may be of a run that no plan here has yet.
        place = node.following.plan.place_of(*island)
        if member != node.settings.member and island not in found and place is not None:
            found[island] = _heard(node, island, progress, place.owner)
    return [found[island] for island in sorted(found)]


def _own(node: Node, works: Iterable[IslandWork]) -> list[dict[str, Any]]:
    waiting = node.foreman.waiting

    def view(work: IslandWork) -> dict[str, Any]:
        after = work.run.settings.restart_after if work.run is not None else 0
        known = island_view(work.state, work.population(), work.grant, work.stage is Stage.FINAL, after)
        return known | {"is_waiting": work.id in waiting, "owner": node.owner}

    return [view(work) for work in works if work.snapshot is not None]


def _heard(node: Node, island: IslandId, progress: IslandProgress, owner: str) -> dict[str, Any]:
    told = node.standing.diversity.get(island)
    return {
        "run": island.run,
        "task": island.task,
        "island": island.island,
        "grant": progress.grant,
        "generation": progress.generation,
        "is_resting": progress.is_final,
        "is_waiting": node.standing.waits(island),
        "is_converged": told.is_converged if told else None,
        "evaluations": progress.evaluations,
        "best_fitness": list(progress.best) or None,
        "programs": None,
        "behaviours": told.behaviours if told else None,
        "entropy": told.entropy if told else None,
        "fitness_entropy": told.fitness_entropy if told else None,
        "owner": owner,
    }


def summary(islands: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A run's islands that are worked on: how many, how many of them have converged, and their mean entropies."""
    at_work = [island for island in islands if not (island["is_resting"] or island["is_waiting"])]
    told = [island for island in at_work if island["entropy"] is not None]
    return {
        "islands_in_work": len(at_work),
        "islands_converged": sum(bool(island["is_converged"]) for island in told),
        "entropy": round(fmean(island["entropy"] for island in told), 4) if told else None,
        "fitness_entropy": round(fmean(island["fitness_entropy"] for island in told), 4) if told else None,
    }


UNKNOWN: dict[str, Any] = dict.fromkeys(("islands_in_work", "islands_converged", "entropy", "fitness_entropy"))
"""A summary of what nobody has told."""
