"""Who skips what others have evaluated: whoever can get it from them, and nobody else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from distevo.events import CheckpointWanted, IslandId, IslandReported
from distevo.instructions import Instruction, SkipKeys
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
