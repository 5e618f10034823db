"""A run that is paused: its islands have an owner, and keep no worker from what others have to do."""

from __future__ import annotations

from distevo.command import Verb
from distevo.events import IslandId
from distevo.messages import Heartbeat, IslandProgress
from tests.node.world import World

LONG = 10**6
"""Evaluations that nobody makes in a test."""


def begun_elsewhere(world: World, run: str) -> Heartbeat:
    """What another member says that has begun all islands which the plan gives it of this run."""
    places = world.plan.runs[run].tasks["t0"].islands
    return Heartbeat(
        incarnation=0,
        progress=1,
        interval=10.0,
        islands=[
            IslandProgress(
                run=run,
                task="t0",
                island=index,
                grant=place.grant,
                generation=5,
                evaluations=100,
                duplicates=0,
                seconds=1.0,
                is_final=False,
            )
            for index, place in enumerate(places)
            if place.owner == "n-c0"
        ],
    )


def owners(world: World, run: str) -> list[str]:
    return sorted(place.owner for task in world.plan.runs[run].tasks.values() for place in task.islands)


def test_workers_that_a_paused_run_leaves_go_on_with_what_others_have_begun_elsewhere() -> None:
    world = World(islands=2)
    world.submit("p", tasks=2, evaluations=LONG)
    for number in range(2):
        world.generation(IslandId("p", f"t{number}", 0))
    world.join("n", islands=4)
    world.submit("q", tasks=1, islands=4, nonce="n1", evaluations=LONG)
    world.hear("n", begun_elsewhere(world, "q"))
    assert (owners(world, "p"), owners(world, "q")) == (["m-b0"] * 2, ["n-c0"] * 4)
    world.command(Verb.PAUSE, "p")
    world.pass_time(5)
    assert (owners(world, "p"), owners(world, "q")) == (["m-b0"] * 2, ["m-b0"] * 2 + ["n-c0"] * 2)
    world.command(Verb.RESUME, "p")
    world.pass_time(5)
    assert (owners(world, "p"), owners(world, "q")) == (["m-b0"] * 2, ["n-c0"] * 4)


def test_a_run_that_goes_on_takes_no_more_places_than_there_are() -> None:
    world = World(islands=2)
    world.submit("p", tasks=2, evaluations=LONG)
    for number in range(2):
        world.generation(IslandId("p", f"t{number}", 0))
    world.command(Verb.PAUSE, "p")
    world.submit("q", tasks=2, nonce="n1", evaluations=LONG)
    assert {island.run for island in world.running} == {"q"}
    world.command(Verb.RESUME, "p")
    assert sorted(island.run for island in world.running) == ["q", "q"]
    world.generation(IslandId("q", "t0", 0), fit=True)
    assert sorted(world.running) == [IslandId("p", "t0", 0), IslandId("q", "t1", 0)]
    assert world.running[IslandId("p", "t0", 0)].snapshot.generation == 1
    world.command(Verb.PAUSE, "q")
    assert {island.run for island in world.running} == {"p"}
    assert len(world.running) == 2
