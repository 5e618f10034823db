"""A best program that is worth something else when it is evaluated again is a loud complaint, and no result."""

from __future__ import annotations

from distevo.command import Verb
from distevo.events import IslandId, Verified
from distevo.plan import RunState, TaskState
from distevo.result import Result, decode_result
from tests.node.world import World

ISLANDS = [IslandId("r", "t0", index) for index in range(2)]


def ended() -> World:
    """A task that was cancelled, with a program of fitness 0.7 and one of 0.5."""
    world = World()
    world.submit(tasks=1, islands=2)
    for island, fitness in zip(ISLANDS, (0.7, 0.5), strict=True):
        world.generation(island, fitness=fitness)
    world.order(Verb.CANCEL)
    return world


def answer(world: World, fitness: float | None) -> None:
    """A worker looks at the guess, and finds this."""
    (order,) = world.verifying
    world.verifying = []
    found = None if fitness is None else (fitness,)
    world.feed(Verified(order.run, order.task, order.genome, found, False, None))
    world.pass_time(1)


def result(world: World) -> Result:
    return decode_result(world.objects[world.plan.runs["r"].tasks["t0"].result or ""][0])[0]


def errors(world: World) -> list[str]:
    return [str(line.fields["reason"]) for line in world.logs if line.level == "error"]


def test_the_next_best_becomes_the_result() -> None:
    world = ended()
    answer(world, 0.6)
    assert world.plan.runs["r"].tasks["t0"].result is None
    answer(world, 0.5)
    assert (result(world).fitness, world.plan.runs["r"].tasks["t0"].state) == ([0.5], TaskState.DONE)
    assert len(errors(world)) == 1
    assert "had fitness 0.7 and has 0.6" in errors(world)[0]


def test_a_guess_of_which_only_verify_raises_stands_if_it_is_worth_what_it_was() -> None:
    for fitness, kept in ((0.7, 0.7), (0.6, None)):
        world = ended()
        (order,) = world.verifying
        world.verifying = []
        world.feed(Verified(order.run, order.task, order.genome, (fitness,), False, None, "no luck"))
        world.pass_time(1)
        task = world.plan.runs["r"].tasks["t0"]
        if kept is None:
            assert (task.result, len(errors(world))) == (None, 1)
        else:
            assert (result(world).fitness, task.state, task.error) == ([kept], TaskState.DONE, "no luck")


def test_rounding_is_no_other_fitness() -> None:
    world = ended()
    answer(world, 0.7 + 1e-15)
    assert result(world).fitness == [0.7]
    assert errors(world) == []


def test_a_task_of_which_nothing_can_be_had_again_fails() -> None:
    world = ended()
    answer(world, 0.6)
    answer(world, None)
    task = world.plan.runs["r"].tasks["t0"]
    assert (task.state, result(world).program) == (TaskState.FAILED, None)
    assert "not deterministic" in (task.error or "")
    assert "is invalid" in (task.error or "")
    assert world.plan.runs["r"].state is RunState.CANCELLED
