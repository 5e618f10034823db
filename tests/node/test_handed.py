"""States that other members hand over: whose they may be, of what, and from which of them an island goes on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from distevo.block import pack
from distevo.checkpoint import Checkpoint, Counters, IslandSnapshot, encode_checkpoint
from distevo.codec import decode, encode
from distevo.command import Verb
from distevo.events import IslandId
from distevo.messages import MAX_COUNT, MAX_SECONDS, Heartbeat, IslandRef, PopulationKind, PopulationState
from distevo.names import checkpoint_name
from distevo.plan import IslandPlace
from distevo.program import Program
from distevo.speech import hand_over_message
from tests.node.world import KEY_OF, World

ISLAND = IslandId("r", "t0", 0)


def place(world: World, island: IslandId = ISLAND) -> IslandPlace:
    return world.plan.runs[island.run].tasks[island.task].islands[island.island]


def adopted(**settings: Any) -> World:
    """An island that another platform had, which is dead."""
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1, **settings)
    world.pass_time(60)
    assert (place(world).owner, place(world).former) == ("m-b0", ["n-c0"])
    return world


def handed(world: World, island: IslandId = ISLAND, **fields: Any) -> IslandSnapshot:
    """A state of an island with one program, as another owner may hand it over."""
    program = Program.of(b"theirs", KEY_OF(b"theirs"), (9.0,))
    some = next(iter(world.running.values())).snapshot
    known: dict[str, Any] = {"task": island.task, "island": island.island, "grant": 1, "sequence": 7, "cover": {}}
    return msgspec.structs.replace(some, **(known | {"population": pack([program])} | fields))


def hears(world: World, state: IslandSnapshot, sender: str = "n") -> None:
    world.hear(sender, *hand_over_message(state, sender, "c0"))


def genomes(world: World) -> set[bytes]:
    return {program.genome for program in world.node.foreman.islands[ISLAND].with_immigrants()}


def test_what_a_former_owner_hands_over_late_is_taken_in() -> None:
    world = adopted()
    world.generation(ISLAND)
    hears(world, handed(world))
    assert b"theirs" in genomes(world)


@pytest.mark.parametrize(
    ("sender", "fields"),
    [
        ("x", {}),
        ("n", {"problem": "other"}),
        ("n", {"version": "2"}),
    ],
)
def test_what_nobody_can_have_handed_over_is_not(sender: str, fields: dict[str, Any]) -> None:
    world = adopted()
    world.generation(ISLAND)
    hears(world, handed(world, **fields), sender)
    assert b"theirs" not in genomes(world)


def test_a_state_of_another_problem_ends_no_daemon() -> None:
    world = adopted(islands=2)
    island = next(IslandId("r", "t0", index) for index in range(2) if place(world, IslandId("r", "t0", index)).former)
    foreign = handed(world, island, problem="other")
    world.generation(island, evaluations=500)
    world.pass_time(1)
    hears(world, foreign)
    assert world.exit is None


def test_a_run_takes_nothing_of_an_earlier_one_of_its_name() -> None:
    world = adopted()
    world.generation(ISLAND, evaluations=1000)
    world.pass_time(1)
    world.verify()
    world.pass_time(2)
    assert world.command(Verb.DELETE) == "accepted"
    world.pass_time(30)
    world.submit(tasks=1, nonce="n1")
    assert place(world).grant > 2
    for plan in (world.plan, world.node.following.plan):
        plan.runs["r"].tasks["t0"].islands[0].former = ["n-c0"]  # It had this one, too.
    world.generation(ISLAND)
    hears(world, handed(world))
    assert b"theirs" not in genomes(world)


def test_larger_numbers_than_a_heartbeat_holds_are_told_as_the_largest_that_it_does() -> None:
    world, island = waiting("n-c0")
    saved(world, handed(world, island, generation=2**63 - 1, counters=Counters(cpu_seconds=1e300)), "n")
    assert begun(world, island).generation == 2**63 - 1
    told, _ = decode(encode(world.node.dispatch._heartbeat(is_answer=False)))
    assert isinstance(told, Heartbeat)
    (progress,) = (each for each in told.islands if (each.run, each.task, each.island) == island)
    assert (progress.generation, progress.seconds) == (MAX_COUNT, MAX_SECONDS)


# --- before the island is begun -------------------------------------------------------------------


def waiting(*former: str) -> tuple[World, IslandId]:
    """An island that waits in this platform's queue, and was these owners'."""
    world = World(workers=1)
    world.submit(tasks=8)
    island, there = next(iter(world.node.foreman._queue.items()))
    place(world, island).former = there.former = list(former)
    return world, island


def saved(world: World, state: IslandSnapshot, member: str) -> None:
    """A checkpoint of another member."""
    content = Checkpoint(cluster="", member=member, boot="c0", sequence=9, islands=[state], resource_usage={})
    world.objects[checkpoint_name(member, "c0", 9)] = encode_checkpoint(content), 1


def give(world: World, island: IslandId, owner: str) -> None:
    """Let the plan give an island to somebody."""
    term = world.node.term
    assert term is not None
    if place(world, island).owner != owner:
        term.ledger.assign(island, owner)
        world.node.office._publish()
        world.pass_time(2)
    assert place(world, island).owner == owner


def not_begun(world: World, island: IslandId, member: str) -> None:
    head = PopulationState(kind=PopulationKind.HAND_OVER, empty=[IslandRef(*island, place(world, island).grant)])
    world.hear(member, head)


def begun(world: World, island: IslandId) -> IslandSnapshot:
    """The state from which the island is begun, when its turn has come."""
    for _ in range(100):
        if island in world.running:
            return world.running[island].snapshot
        for other in list(world.running):
            world.generation(other, evaluations=1000)
        world.pass_time(1)
        world.verify()
        world.pass_time(1)
    raise AssertionError("its turn never came")


def test_who_had_not_begun_hides_nobody_who_had() -> None:
    world, island = waiting("z-c0", "y-c0")
    hears(world, handed(world, island, grant=place(world, island).grant - 1, generation=40), "z")
    not_begun(world, island, "y")
    assert begun(world, island).generation == 40


def test_what_was_handed_over_before_the_island_went_elsewhere_is_no_beginning() -> None:
    world, island = waiting("z-c0")
    hears(world, handed(world, island, grant=place(world, island).grant - 1, generation=1), "z")
    world.join("n")
    give(world, island, "n-c0")
    far = handed(world, island, grant=place(world, island).grant, generation=40, counters=Counters(evaluations=400))
    saved(world, far, "n")
    world.pass_time(60)
    assert place(world, island).owner == "m-b0"
    assert begun(world, island).generation == 40


def test_what_is_handed_over_before_the_plan_that_says_so_is_a_beginning() -> None:
    world, island = waiting()
    world.join("n")
    give(world, island, "n-c0")
    hears(world, handed(world, island, grant=place(world, island).grant, generation=40))
    give(world, island, "m-b0")
    assert begun(world, island).generation == 40


def test_what_is_handed_over_after_it_went_on_is_kept_for_nobody() -> None:
    world, island = waiting()
    world.join("n")
    world.join("o")
    give(world, island, "n-c0")
    earlier = place(world, island).grant
    give(world, island, "o-c0")
    hears(world, handed(world, island, grant=earlier, generation=40))
    assert island not in world.node.foreman._intake._handed


def test_a_state_under_our_own_grant_is_no_beginning() -> None:
    world, island = waiting("z-c0")
    hears(world, handed(world, island, grant=place(world, island).grant, generation=40), "z")
    assert begun(world, island).generation == 0


def test_who_said_long_ago_that_it_had_nothing_may_have_something_by_now() -> None:
    world, island = waiting("z-c0")
    grant = place(world, island).grant
    head = PopulationState(kind=PopulationKind.HAND_OVER, empty=[IslandRef(*island, grant - 2)])
    world.hear("z", head)
    saved(world, handed(world, island, grant=grant - 1, generation=40), "z")
    assert begun(world, island).generation == 40
