"""Who skips what others have evaluated: whoever gets what came of it, and nobody else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from distevo.block import best_fitness
from distevo.events import CheckpointWanted, IslandId, IslandReported
from distevo.instructions import Instruction, SkipKeys, TakeMigrants
from distevo.run import MigrationSettings
from tests.node.world import World


@pytest.mark.parametrize(
    ("chosen", "skipping"),
    [
        ({}, {0, 1, 2}),
        ({"topology": "unconnected"}, set()),
        ({"topology": "free_form", "edges": ((0, 1), (1, 2))}, {1, 2}),
    ],
    ids=["ring", "unconnected", "one way"],
)
def test_an_island_to_which_nobody_sends_skips_nothing(chosen: dict[str, Any], skipping: set[int]) -> None:
    world = World()
    world.submit(tasks=1, islands=3, migration=MigrationSettings(**chosen))
    told: set[int] = set()
    do = world.do

    def listen(instructions: list[Instruction]) -> None:
        told.update(order.island.island for order in instructions if isinstance(order, SkipKeys))
        do(instructions)

    world.do = listen  # type: ignore[method-assign]
    island = IslandId("r", "t0", 1)
    state = msgspec.structs.replace(world.running[island].snapshot, generation=1)
    world.feed(IslandReported(0, island, state, False, False, evaluated=b"k" * 16))
    world.feed(CheckpointWanted(""))
    world.pass_time(10)
    assert told == skipping


@pytest.mark.parametrize("fit", [False, True])
def test_an_island_whose_budget_is_used_up_sends_its_best_once_more(fit: bool) -> None:
    world = World()
    world.submit(tasks=1, islands=2, evaluations=60, migration=MigrationSettings(interval=2))
    one, other = sorted(world.running)
    taken: list[tuple[IslandId, bytes]] = []
    do = world.do

    def listen(instructions: list[Instruction]) -> None:
        taken.extend((order.island, order.block) for order in instructions if isinstance(order, TakeMigrants))
        do(instructions)

    world.do = listen  # type: ignore[method-assign]
    for number in range(3):
        world.generation(one, fitness=float(number), fit=fit and number == 2)
    # After the second generation, as every second time; and after the third, which was the last.
    fitnesses = [best_fitness(block) for island, block in taken if island == other]
    assert fitnesses == ([(1.0,)] if fit else [(1.0,), (2.0,)])
    assert one not in world.running
