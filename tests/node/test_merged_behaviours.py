"""What one platform gives another of a task: so many programs, none of which does what another of them does."""

from __future__ import annotations

import msgspec

from distevo.block import pack, unpack
from distevo.events import IslandReported
from distevo.messages import Fit, Head, Wish
from distevo.program import Program
from tests.node.world import KEY_OF, World

TASK = ("r", "t0")


def program(island: int, behaviour: int) -> Program:
    """Of islands that found the same in other words; the higher, the better."""
    genome = b"%d as island %d says it" % (behaviour, island)
    return Program.of(genome, KEY_OF(genome), (float(behaviour),), False, b"does %3d" % behaviour)


def test_as_many_are_told_as_are_wanted_though_islands_have_found_the_same() -> None:
    world = World(preserve_top_n=4)
    world.submit(tasks=1, islands=3)
    for island, start in list(world.running.items()):
        found = [program(island.island, behaviour) for behaviour in reversed(range(6))]
        snapshot = msgspec.structs.replace(start.snapshot, generation=1, population=pack(found))
        world.feed(IslandReported(start.slot, island, snapshot, False, False))
    sent: list[bytes] = []

    def send(_member: str, head: Head, block: bytes, _now: float) -> None:
        assert isinstance(head, Fit)
        sent.append(block)

    merging = world.node.exchange.merging
    merging._send = send
    merging.wished("n", [Wish(*TASK, world.plan.runs["r"].first_grant)], world.now)
    (block,) = sent
    assert [told.fitness for told in unpack(block, KEY_OF)] == [(5.0,), (4.0,), (3.0,), (2.0,)]
