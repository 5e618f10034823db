"""Programs on their way to islands whose turn has not come: the last of each source are there when it has."""

from __future__ import annotations

from distevo.block import pack
from distevo.events import IslandId
from distevo.exchange import MAX_EARLY, MAX_EARLY_BYTES
from distevo.messages import Migrants
from distevo.migration import Edge
from distevo.program import MAX_GENOME_BYTES, Program
from tests.node.world import KEY_OF, World


def ring() -> tuple[World, IslandId, IslandId]:
    """A task with more islands than there are places: one that evolves, and its neighbour, which waits."""
    world = World(workers=1)
    world.submit(tasks=1, islands=40, evaluations=40_000, migration={"topology": "ring", "interval": 1, "size": 2})
    source = max(world.running)
    target = source._replace(island=source.island + 1)
    assert world.node.foreman.takes_later(target)
    return world, source, target


def end_others(world: World, *but: IslandId) -> None:
    for island in [island for island in world.running if island not in but]:
        world.generation(island, evaluations=1000)
    world.pass_time(1)


def genomes(world: World, island: IslandId) -> set[bytes]:
    return {program.genome for program in world.node.foreman.islands[island].with_immigrants()}


def accepted(world: World, source: IslandId, target: IslandId) -> tuple[int, int]:
    edge = Edge(*source, target.island)
    (status,) = [status for status in world.node.exchange.status() if status.edge == edge]
    return status.sent, status.accepted


def test_an_island_that_begins_late_has_the_last_of_what_its_neighbour_sent() -> None:
    world, source, target = ring()
    for fitness in (0.1, 0.2, 0.3):
        world.generation(source, fitness=fitness)
    assert accepted(world, source, target) == (3, 0)
    end_others(world, source, target)
    world.generation(target)
    assert b"%s:3" % str(source).encode() in genomes(world, target)
    assert accepted(world, source, target)[1] == 1
    assert world.node.exchange._early == {}


def test_what_another_platform_sends_it_waits_too() -> None:
    world, _, _ = ring()
    world.join("n")
    source = next(
        IslandId("r", "t0", index)
        for index, place in enumerate(world.node.following.plan.runs["r"].tasks["t0"].islands)
        if place.owner == "n-c0"
    )
    grant = world.node.following.plan.runs["r"].tasks["t0"].islands[source.island].grant
    program = Program.of(b"theirs", KEY_OF(b"theirs"), (9.0,))
    waiting = next(island for island in world.node.foreman._queue)
    head = Migrants(run="r", task="t0", source=source.island, target=waiting.island, number=1, grant=grant)
    world.hear("n", head, pack([program]))
    for _ in range(100):
        if waiting in world.running:
            break
        end_others(world, waiting)
    world.generation(waiting)
    assert b"theirs" in genomes(world, waiting)


def test_no_more_are_kept_than_have_a_limit() -> None:
    world, source, target = ring()
    world.generation(source)
    early = world.node.exchange._early
    assert target in early
    many = [Program.of(genome, KEY_OF(genome), (0.5,)) for genome in (b"1", b"2", b"3")]
    world.node.exchange._immigrate_or_wait(target, source.island, many)
    assert early[target] == {source.island: many[:2]}, "no more than emigrate at a time"
    for index in range(MAX_EARLY - 1):
        early[IslandId("r", "t0", 1000 + index)] = {}
    assert len(early) == MAX_EARLY
    world.node.exchange._immigrate_or_wait(next(i for i in world.node.foreman._queue if i not in early), 0, [])
    assert len(early) == MAX_EARLY
    assert target not in early, "the one that was there first goes"


def test_what_is_kept_has_a_limit_in_bytes_too() -> None:
    world, source, target = ring()
    exchange = world.node.exchange
    long = [Program.of(b"%d" % number + bytes(MAX_GENOME_BYTES - 1), bytes(32), (0.5,)) for number in range(2)]
    others = [island for island in world.node.foreman._queue if island != target]
    most = MAX_EARLY_BYTES // (2 * MAX_GENOME_BYTES)
    for number in range(3 * most + 1):
        exchange._immigrate_or_wait(others[number % len(others)], number, long)
    held = [program for early in exchange._early.values() for batch in early.values() for program in batch]
    assert sum(program.size for program in held) <= MAX_EARLY_BYTES
    assert held
    # What was begun, said again or given away does not count any more.
    exchange._early.clear()
    exchange.follow(world.plan, world.now)
    for _ in range(2 * most):
        exchange._immigrate_or_wait(target, source.island, long)
    assert list(exchange._early) == [target]
    for _ in range(2 * most):
        exchange._take_early(target)
        exchange._immigrate_or_wait(target, source.island, long)
    assert list(exchange._early) == [target]


def test_none_are_kept_for_an_island_that_went_elsewhere() -> None:
    world, source, target = ring()
    world.generation(source)
    assert target in world.node.exchange._early
    assert world.node.office.term is not None
    world.node.office.term.ledger.assign(target, "n-c0")
    world.node.office._publish()
    world.pass_time(2)
    assert target not in world.node.exchange._early
