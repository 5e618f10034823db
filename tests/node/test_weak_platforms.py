"""Workers that die outside of any evaluation: the platform may be too weak for what others can do."""

from __future__ import annotations

import pytest

from distevo.events import Death, IslandId
from distevo.messages import Heartbeat, IslandProgress
from distevo.news import Report
from distevo.plan import IslandPlace, MemberState, TaskState
from distevo.speech import report_messages
from distevo.work import MAX_BLAMELESS_DEATHS
from tests.node.test_node import died
from tests.node.world import World

T0 = IslandId("r", "t0", 0)
REASON = "3 workers died (memory) in generation 1 of island 0 outside `evaluate`"


def place(world: World, island: IslandId = T0) -> IslandPlace:
    return world.plan.runs[island.run].tasks[island.task].islands[island.island]


def deaths(world: World, island: IslandId = T0) -> None:
    """As many as this platform takes before it has had enough of an island."""
    for _ in range(MAX_BLAMELESS_DEATHS):
        died(world, island, Death.MEMORY, None)
    world.pass_time(2)


def elsewhere(world: World, member: str = "n", boot: str = "c0", island: IslandId = T0) -> None:
    """The same at another platform, which has this island."""
    grant = place(world, island).grant
    told = Report(failures={island: (grant, REASON)}, deaths={island}, empty=[(island, grant)])
    for head, payload in report_messages(told, member, boot):
        world.hear(member, head, payload, boot)
    world.pass_time(2)


def weak(**joins: dict[str, object]) -> World:
    """A platform that has an island, and others that came later."""
    world = World(workers=1)
    world.submit(tasks=1, evaluations=10**6)
    for member, says in joins.items():
        world.join(member, **says)
    assert place(world).owner == "m-b0"
    return world


def test_a_platform_whose_workers_die_gives_the_island_to_another() -> None:
    world = weak(n={})
    world.generation(T0, fitness=0.5)
    before = place(world).grant
    deaths(world)
    assert (place(world).owner, place(world).former) == ("n-c0", ["m-b0"])
    assert place(world).grant > before
    assert world.plan.runs["r"].tasks["t0"].state is TaskState.OPEN
    # What it had found goes with it, and it stays there.
    assert [program.fitness for program in world.node.foreman.islands[T0].population()] == [(0.5,)]
    (line,) = [line for line in world.logs if line.message == "an island is given to another platform"]
    assert (line.fields["island"], "workers died (memory)" in line.fields["reason"]) == (str(T0), True)
    told = IslandProgress("r", "t0", 0, place(world).grant, 2, 20, 0, 1.0, False, [0.5])
    for _ in range(10):
        world.hear("n", Heartbeat(incarnation=0, progress=1, interval=10.0, islands=[told]))
        world.pass_time(5)
    assert place(world).owner == "n-c0"


def test_what_kills_workers_on_two_platforms_fails_its_task() -> None:
    world = weak(n={}, o={})
    deaths(world)
    second = place(world).owner
    assert second in {"n-c0", "o-c0"}
    elsewhere(world, second[0])
    entry = world.plan.runs["r"].tasks["t0"]
    assert (entry.state, entry.error) == (TaskState.FAILED, REASON)


@pytest.mark.parametrize("says", [{"workers": 0}, {"is_draining": True}])
def test_where_nobody_else_can_take_it_the_task_fails_at_once(says: dict[str, object]) -> None:
    world = weak(n={"workers": 0} if "workers" in says else {})
    if "is_draining" in says:
        assert world.node.term is not None
        world.node.term.ledger.plan.members["n"].is_draining = True
    deaths(world)
    entry = world.plan.runs["r"].tasks["t0"]
    assert entry.state is TaskState.FAILED
    assert "3 workers died" in (entry.error or "")


def test_of_several_the_one_with_the_least_to_do_takes_it() -> None:
    world = weak(n={"memory_mb": 32768}, o={})
    world.submit("s", tasks=1, nonce="n1", evaluations=10**6)
    assert place(world, IslandId("s", "t0", 0)).owner == "n-c0"
    deaths(world)
    assert place(world).owner == "o-c0"


def test_a_platform_that_refuses_the_run_takes_no_island_of_it() -> None:
    world = weak(n={})
    world.hear("n", Heartbeat(incarnation=0, progress=1, interval=10.0, refuses={"r": "has no such problem"}))
    deaths(world)
    assert world.plan.runs["r"].tasks["t0"].state is TaskState.FAILED


def test_a_failure_of_the_problem_s_code_is_the_same_everywhere() -> None:
    world = weak(n={})
    grant = place(world).grant
    assert world.node.term is not None
    world.node.term.report("m-b0", Report(failures={T0: (grant, "boom")}, empty=[(T0, grant)]), world.now)
    world.pass_time(2)
    assert world.plan.runs["r"].tasks["t0"].error == "boom"


def test_deaths_travel_in_a_report() -> None:
    told = Report(failures={T0: (3, REASON)}, deaths={T0}, empty=[(T0, 3)])
    ((head, payload),) = report_messages(told, "n", "c0")
    assert [(ref.run, ref.task, ref.island, ref.grant) for ref in head.deaths] == [(*T0, 3)]
    assert payload == b""


def test_an_island_is_given_away_once() -> None:
    world = weak(n={}, o={})
    deaths(world)
    assert place(world).owner in {"n-c0", "o-c0"}
    assert world.node.term is not None
    # Whatever else has become of the other two: it comes back here, and is no better than before.
    for member in ("n", "o"):
        world.node.term.settle(member, "c0", MemberState.LEFT, world.now)
    world.pass_time(15)
    assert place(world).owner == "m-b0"
    world.join("p")
    for _ in range(MAX_BLAMELESS_DEATHS):
        died(world, T0, Death.MEMORY, None)
        world.pass_time(20)  # The more of them die, the longer the next waits.
    assert world.plan.runs["r"].tasks["t0"].state is TaskState.FAILED


def test_whoever_has_given_an_island_away_gets_other_work_at_once() -> None:
    world = weak(n={"workers": 1, "memory_mb": 1 << 20})
    world.submit("s", tasks=2, nonce="n1", evaluations=10**6)
    theirs = [IslandId("s", task, 0) for task in ("t0", "t1")]
    assert [place(world, island).owner for island in theirs] == ["n-c0", "n-c0"]
    deaths(world)
    assert place(world).owner == "n-c0"
    assert "m-b0" in {place(world, island).owner for island in theirs}
