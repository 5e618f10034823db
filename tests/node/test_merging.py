"""Merging: what a platform has found is known to the others, and counts although that one is gone."""

from __future__ import annotations

from typing import Any

import pytest

from distevo.diversity_view import all_islands_view
from distevo.merging import Merging
from distevo.node import Node
from distevo.result import decode_result
from distevo.simulator import scenario_of
from distevo.simulator.world import _World
from distevo.view import status, task_view

TASK = ("long", "t0")


def world(**more: Any) -> _World:
    """A simulated cluster of four, one of which is dialled by nobody, with a run that does not end by itself."""
    times = {"merge_interval": 10.0, "checkpoint_seconds": 3000.0, "checkpoint_generations": 10_000}
    return _World(
        scenario_of(
            {
                "minutes": 3.0,
                "members": [{"kind": "server", "count": 3}, {"kind": "notebook", "is_behind_nat": True}],
                "runs": [
                    {
                        "name": "long",
                        "tasks": 1,
                        "islands_per_task": 3,
                        "evaluations": 10**6,
                        "population_size": 40,
                        "migration": {"topology": "unconnected"},
                    }
                ],
                "calm_minutes": 0,
                "times": times | more.pop("times", {}),
                **more,
            }
        ),
        1,
        False,
    )


def nodes(world: _World) -> dict[str, Node]:
    return {boot.host: boot.node for boot in world.boots()}


def merging(node: Node) -> Merging:
    return node.exchange.merging


def found(node: Node) -> list[tuple[float, ...]]:
    """The best fitness of each island in hand."""
    return [fitness for work in node.foreman.islands.values() if (fitness := work.best_fitness) is not None]


def test_every_platform_knows_the_best_of_all() -> None:
    earlier, cluster = world(minutes=2.5), world()
    assert earlier.run().finding is None
    assert cluster.run().finding is None
    best = max(fitness for node in nodes(earlier).values() for fitness in found(node))
    for name, node in nodes(cluster).items():
        view = task_view(node, *TASK)
        assert tuple(view["fitness"]) >= best, name
        assert view["program"] is not None
        assert view["origin"]["platform"] in nodes(cluster)


def test_what_is_merged_is_bounded_and_hardly_anything_travels_twice() -> None:
    cluster = world()
    cluster.run()
    for node in nodes(cluster).values():
        node.validate()
        assert len(merging(node).of(TASK)) <= 20
    received = sum(merging(node).received for node in nodes(cluster).values())
    # Two may be asked in one interval and know the same; and the keys in a wish are of the best only.
    assert sum(merging(node).known for node in nodes(cluster).values()) < received / 20
    assert received > 100


def test_without_an_interval_nobody_asks() -> None:
    cluster = world(times={"merge_interval": 0})
    cluster.run()
    for node in nodes(cluster).values():
        assert merging(node).wished_for == merging(node).sent == len(merging(node).of(TASK)) == 0


@pytest.mark.parametrize("interval", [10.0, 0.0])
def test_what_a_platform_found_and_never_saved_is_not_lost_with_it(interval: float) -> None:
    """The owner of the best dies without a checkpoint; then the run is cancelled, and what is known is its result."""
    times = {"merge_interval": interval}
    before = world(times=times, minutes=3.5)
    before.run()
    best, owner = max((max(found(node), default=(0.0,)), name) for name, node in nodes(before).items())
    cluster = world(
        times=times,
        minutes=5.0,
        faults=[{"fault": "crash", "at": 210.0, "member": owner}],
        commands=[{"verb": "cancel", "at": 211.0, "run": "long"}],
    )
    assert cluster.run().finding is None
    plan = next(iter(nodes(cluster).values())).following.plan
    name = plan.runs["long"].tasks["t0"].result
    assert name is not None
    fitness = decode_result(cluster.store.peek(name) or b"")[0].fitness
    assert (fitness == list(best)) == bool(interval)


def test_how_diverse_the_islands_of_all_are_is_known_to_each() -> None:
    cluster = world()
    cluster.run()
    for name, node in nodes(cluster).items():
        view = status(node, cluster.agenda.now)
        islands = all_islands_view(node)
        assert [island["island"] for island in islands] == [0, 1, 2]
        owners = [place.owner for place in node.plan.runs["long"].tasks["t0"].islands]
        assert [island["owner"] for island in islands] == owners
        for island in islands:
            assert island["behaviours"] == 40, name
            # All fitnesses of the toy differ, so both entropies are that of forty different things.
            assert island["entropy"] == island["fitness_entropy"] == pytest.approx(5.3219)
            assert island["is_converged"] is False
        (run,) = view["runs"]
        assert (run["islands_in_work"], run["islands_converged"], run["entropy"]) == (3, 0, 5.3219)
        diversity = task_view(node, *TASK)["diversity"]
        assert diversity["programs"] == diversity["behaviours"] >= 20
