"""A run that is paused: its islands have an owner, and keep no worker from what others have to do."""

from __future__ import annotations

from distevo.command import Verb
from distevo.diversity_view import all_islands_view
from distevo.events import IslandId
from distevo.intake import HAND_OVER_SECONDS
from distevo.messages import Heartbeat, IslandProgress
from distevo.run import Budget
from distevo.view import status, task_view
from distevo.work import Stage
from tests.node.test_stages import back, replan, to_another
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


def test_what_waits_for_a_place_after_a_pause_is_told_as_waiting() -> None:
    world = World(islands=2)
    world.submit("p", tasks=2, evaluations=LONG)
    paused = [IslandId("p", f"t{number}", 0) for number in range(2)]
    for island in paused:
        world.generation(island)
    world.command(Verb.PAUSE, "p")
    world.submit("q", tasks=2, nonce="n1", evaluations=LONG)
    world.command(Verb.RESUME, "p")
    assert {island.run for island in world.running} == {"q"}
    view = status(world.node, world.now)
    assert (view["members"][0]["islands"], view["members"][0]["queued"]) == (2, 2)
    assert [run["islands_in_work"] for run in view["runs"]] == [0, 2]
    waiting = {IslandId(i["run"], i["task"], i["island"]) for i in all_islands_view(world.node) if i["is_waiting"]}
    assert waiting == set(paused)
    assert [task_view(world.node, run, "t0")["state"] for run in ("p", "q")] == ["open", "working"]
    beat = world.node.dispatch._heartbeat(False)
    assert [progress.run for progress in beat.islands] == ["q", "q", "p", "p"][-len(beat.islands) :]
    assert beat.waiting == 2


def test_what_is_paused_is_not_told_as_at_work() -> None:
    world = World(islands=2)
    world.submit("p", tasks=2, evaluations=LONG)
    for number in range(2):
        world.generation(IslandId("p", f"t{number}", 0))
    assert task_view(world.node, "p", "t0")["state"] == "working"
    world.command(Verb.PAUSE, "p")
    view = status(world.node, world.now)
    assert (view["members"][0]["islands"], view["members"][0]["queued"]) == (0, 2)
    assert view["runs"][0]["islands_in_work"] == 0
    assert [island["is_waiting"] for island in all_islands_view(world.node)] == [True, True]
    assert task_view(world.node, "p", "t0")["state"] == "open"
    assert task_view(world.node, "p", "t0")["evaluations"] == 10
    assert world.node.dispatch._heartbeat(False).waiting == 2


def test_a_run_whose_budget_is_raised_takes_no_more_places_than_there_are() -> None:
    world = World(islands=2)
    world.submit("p", tasks=1, islands=4, evaluations=80)
    first = sorted(world.running)
    assert len(first) == 2
    for island in first:
        world.generation(island, evaluations=20)
    others = sorted(world.running)
    assert (len(others), set(others) & set(first)) == (2, set())
    assert world.command(Verb.EXTEND, "p", Budget(None, 800)) == "accepted"
    assert sorted(world.running) == others
    world.node.validate()
    world.generation(others[0], evaluations=200)
    assert sorted(world.running) == sorted([others[1], first[0]])
    assert world.running[first[0]].snapshot.generation == 1
    assert world.running[first[0]].budget == Budget(None, 200)
    # Nor does one that is told to go on while its run is paused, or after it.
    world.command(Verb.PAUSE, "p")
    assert not world.running
    assert world.command(Verb.EXTEND, "p", Budget(None, 1600)) == "accepted"
    assert not world.running
    world.command(Verb.RESUME, "p")
    assert len(world.running) == 2


def test_an_island_that_comes_back_takes_no_place_that_another_has_by_then() -> None:
    world = World(workers=1, islands=1)
    world.submit("r", tasks=2, evaluations=LONG)
    mine, other = IslandId("r", "t0", 0), IslandId("r", "t1", 0)
    world.generation(mine)
    replan(world.objects, to_another)
    world.pass_time(6)
    assert list(world.running) == [other]
    replan(world.objects, back)
    world.pass_time(6 + HAND_OVER_SECONDS)
    assert list(world.running) == [other]
    assert world.node.foreman.islands[mine].stage is Stage.SUSPENDED
    world.generation(other, fit=True)
    assert list(world.running) == [mine]
