"""Workers with nothing to do, beside others that have more than one island."""

from __future__ import annotations

from distevo.command import Verb
from distevo.events import IslandId, WorkerReady
from distevo.instructions import Instruction, StartWorker
from tests.node.world import World

LONG = 10**6
"""Evaluations that nobody makes in a test."""


def slots(world: World) -> dict[str, int]:
    """The slot of each task of the run that is worked on."""
    return {island.task: start.slot for island, start in world.running.items()}


def test_what_cannot_begin_keeps_nothing_from_a_worker_that_is_idle() -> None:
    world = World(islands=4)
    world.submit(tasks=4, evaluations=LONG)
    assert slots(world) == {"t0": 0, "t1": 1, "t2": 0, "t3": 1}
    world.submit("rests", tasks=1, nonce="n1", evaluations=LONG)
    world.command(Verb.PAUSE, "rests")
    assert world.node.foreman.queued == 1
    for task in ("t1", "t3"):
        world.generation(IslandId("r", task, 0), fit=True)
    assert slots(world) == {"t0": 0, "t2": 1}


class Late(World):
    """Its second worker starts when the test says so."""

    def do(self, instructions: list[Instruction]) -> None:
        super().do([order for order in instructions if order != StartWorker(1)])


def test_a_worker_that_is_late_gets_what_waits_on_another() -> None:
    world = Late(islands=2)
    world.submit(tasks=3, evaluations=LONG)
    assert slots(world) == {"t0": 0, "t1": 0}
    world.feed(WorkerReady(1))
    assert slots(world) == {"t0": 0, "t1": 1}
