"""Immigrants that wait for a worker in a long evaluation: whoever sends them, they have a limit."""

from __future__ import annotations

import msgspec
import pytest

from distevo.block import pack
from distevo.codec import MAX_PROGRAM_BYTES, MAX_TOLD_PROGRAMS
from distevo.events import IslandId, IslandReported
from distevo.instructions import TakeMigrants
from distevo.messages import Migrants
from distevo.program import MAX_GENOME_BYTES, Program
from tests.node.world import KEY_OF, World

ROUNDS = 40


class Neighbour:
    """An island here whose worker is in a long evaluation, and another platform's that sends it better programs each
    time."""

    def __init__(self) -> None:
        self.world = World(workers=1)
        self.world.join("n")
        migration = {"topology": "fully_connected", "replacement": "merge"}
        self.world.submit(tasks=1, islands=2, evaluations=10_000, migration=migration)
        places = self.world.node.following.plan.runs["r"].tasks["t0"].islands
        owners = [place.owner for place in places]
        self.source, self.target = owners.index("n-c0"), owners.index("m-b0")
        self.grant, self.sent, self.generations = places[self.source].grant, 0, 0
        self._noted = self.world.noted()

    @property
    def orders(self) -> list[TakeMigrants]:
        """What the worker was given to take in."""
        return [order for order in self._noted if isinstance(order, TakeMigrants)]

    @property
    def island(self) -> IslandId:
        return IslandId("r", "t0", self.target)

    @property
    def waiting(self) -> list[Program]:
        """What the worker has not taken in."""
        work = self.world.node.foreman.islands[self.island]
        return [program for _, batch in work.pending for program in batch]

    def send(self, programs: int, size: int) -> None:
        self.sent += 1
        genomes = [b"%d/%d" % (self.sent, number) for number in range(programs)]
        sent = [genome.ljust(size, b".") for genome in genomes]
        better = [Program.of(genome, KEY_OF(genome), (float(self.sent),)) for genome in sent]
        head = Migrants(run="r", task="t0", source=self.source, target=self.target, number=self.sent, grant=self.grant)
        self.world.hear("n", head, pack(better))

    def takes_in(self) -> None:
        """The worker ends its generation, with all that it was given."""
        start = self.world.running[self.island]
        merged = self.world.node.foreman.islands[self.island].with_immigrants()
        self.generations += 1
        snapshot = msgspec.structs.replace(
            start.snapshot, generation=self.generations, population=pack(merged.top(200))
        )
        taken = self.world.taken[self.island]
        self.world.feed(IslandReported(start.slot, self.island, snapshot, False, False, taken=taken))


@pytest.mark.parametrize(("programs", "size"), [(MAX_TOLD_PROGRAMS, 16), (5, MAX_GENOME_BYTES)])
def test_what_waits_for_a_worker_in_a_long_evaluation_has_a_limit(programs: int, size: int) -> None:
    neighbour = Neighbour()
    for _ in range(ROUNDS):
        neighbour.send(programs, size)
    assert len(neighbour.waiting) < 2 * MAX_TOLD_PROGRAMS
    assert sum(program.size for program in neighbour.waiting) < 2 * MAX_PROGRAM_BYTES
    given = len(neighbour.orders)
    assert given < ROUNDS / 2, "nor has its worker more to read"
    neighbour.takes_in()
    # The source may rest by now, and have nothing more to send: what it sent last is not lost.
    assert len(neighbour.orders) == given + 1
    assert {program.fitness for program in neighbour.waiting} == {(float(ROUNDS),)}
    neighbour.takes_in()
    assert neighbour.waiting == []
    neighbour.send(programs, size)
    assert len(neighbour.orders) == given + 2


def test_a_large_population_has_room_for_as_many_as_it_keeps() -> None:
    neighbour = Neighbour()
    work = neighbour.world.node.foreman.islands[neighbour.island]
    assert work.run is not None
    settings = msgspec.structs.replace(work.run.settings, population_size=5 * MAX_TOLD_PROGRAMS)
    work.run = msgspec.structs.replace(work.run, settings=settings)
    for _ in range(ROUNDS // 4):
        neighbour.send(MAX_TOLD_PROGRAMS, 16)
    assert len(neighbour.waiting) == 5 * MAX_TOLD_PROGRAMS
