"""Rows of the state tables that clusters take seldom: reports that come late, stops and faults at odd moments."""

from __future__ import annotations

import msgspec
import pytest

from distevo.block import pack
from distevo.checkpoint import Checkpoint, IslandSnapshot, encode_checkpoint
from distevo.cluster import decode_cluster, encode_cluster
from distevo.command import Verb
from distevo.events import IslandId, IslandReported, Outcome, StopRequested, WorkersFinished
from distevo.instructions import ReadObject, ReplaceObject
from distevo.intake import HAND_OVER_SECONDS
from distevo.names import checkpoint_name
from distevo.phase import Phase
from distevo.plan import MemberPlan, Plan, decode_plan, encode_plan
from distevo.program import Program, keyer
from distevo.work import Stage, population_of
from tests.node.test_node import T0
from tests.node.world import Objects, World


def late(world: World, snapshot: IslandSnapshot) -> None:
    """A report that was on its way when the island stopped."""
    newer = msgspec.structs.replace(snapshot, generation=snapshot.generation + 1)
    world.feed(IslandReported(0, T0, newer, fit=False, is_spent=False))


def replan(objects: Objects, change: object) -> None:
    """Another coordinator takes over with a changed plan."""
    record = decode_cluster(objects["cluster"][0])
    plan = decode_plan(objects[record.plan or ""][0])
    plan.epoch, plan.version = record.epoch + 1, record.plan_version + 1
    assert callable(change)
    change(plan)
    name = f"plans/{plan.epoch}-{plan.version}-abc"
    objects[name] = encode_plan(plan), 1
    taken = msgspec.structs.replace(
        record, epoch=plan.epoch, holder="n", boot="b9", nonce="abc", plan=name, plan_version=plan.version
    )
    objects["cluster"] = encode_cluster(taken), objects["cluster"][1] + 1


def to_another(plan: Plan) -> None:
    """Give the island to the member `n`."""
    plan.members["n"] = MemberPlan(boot="b9", kind="local", workers=1, memory_mb=4096, batch_size=1)
    place = plan.runs["r"].tasks["t0"].islands[0]
    place.former, place.owner, place.grant = [place.owner], "n-b9", plan.next_grant
    plan.next_grant += 1


def back(plan: Plan) -> None:
    """Give it back."""
    place = plan.runs["r"].tasks["t0"].islands[0]
    place.former, place.owner, place.grant = [*place.former, place.owner], "m-b0", plan.next_grant
    plan.next_grant += 1


@pytest.fixture
def world() -> World:
    """One platform with an island in hand."""
    world = World()
    world.submit(tasks=1)
    world.generation(T0, fitness=0.5)
    return world


def test_the_cover_of_an_island_that_comes_back_again_and_again_stays_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distevo.checkpoint.COVER_GRANTS", 3)
    grants = []
    for _ in range(6):
        grants.append(world.node.foreman.islands[T0].grant)
        replan(world.objects, back)
        world.pass_time(6)
    assert list(world.node.foreman.islands[T0].state.cover) == grants[-3:]


def test_a_late_report_of_a_suspended_island_changes_nothing(world: World) -> None:
    snapshot = world.running[T0].snapshot
    world.command(Verb.PAUSE)
    late(world, snapshot)
    assert world.node.foreman.islands[T0].stage is Stage.SUSPENDED
    assert world.node.foreman.islands[T0].state.generation == 1


def test_a_suspended_island_ends_with_its_run(world: World) -> None:
    world.command(Verb.PAUSE)
    assert world.command(Verb.CANCEL) == "accepted"
    assert [order.genome for order in world.verifying] == [b"r/t0/0:1"]


def test_a_late_report_of_a_final_island_changes_nothing(world: World) -> None:
    snapshot = world.running[T0].snapshot
    world.command(Verb.CANCEL)
    work = world.node.foreman.islands[T0]
    assert work.stage is Stage.FINAL
    late(world, snapshot)
    assert (work.stage, work.state.generation) == (Stage.FINAL, 1)


@pytest.mark.parametrize("is_paused", [False, True])
def test_an_island_that_parts_is_kept_until_it_is_durable_and_may_come_back(world: World, is_paused: bool) -> None:
    if is_paused:
        world.command(Verb.PAUSE)
    snapshot = world.node.foreman.islands[T0].state
    replan(world.objects, to_another)
    world.pass_time(6)
    work = world.node.foreman.islands[T0]
    assert work.stage is Stage.PARTING
    assert T0 not in world.running
    late(world, snapshot)
    assert work.state.generation == 1
    old = work.grant
    replan(world.objects, back)
    world.pass_time(6)
    assert work.grant > old
    assert work.stage is Stage.RETURNING
    late(world, snapshot)
    assert work.state.generation == 1
    world.pass_time(HAND_OVER_SECONDS)
    assert work.state.grant == work.grant
    assert old in work.state.cover
    assert work.stage is (Stage.SUSPENDED if is_paused else Stage.EVOLVING)
    if not is_paused:
        assert world.running[T0].snapshot.generation == 1


def test_an_island_that_comes_back_goes_on_from_what_another_made_of_it(world: World) -> None:
    replan(world.objects, to_another)
    world.pass_time(6)
    work = world.node.foreman.islands[T0]
    toy = keyer(work.state.problem, work.state.version)
    better = Program.of(b"better", toy(b"better"), (0.9,))
    theirs = msgspec.structs.replace(work.state, grant=3, sequence=1, generation=7, population=pack([better]))
    cluster = decode_cluster(world.objects["cluster"][0]).cluster
    made = Checkpoint(cluster=cluster, member="n", boot="b9", sequence=1, islands=[theirs], resource_usage={})
    world.objects[checkpoint_name("n", "b9", 1)] = encode_checkpoint(made), 1
    own = {program.genome for program in work.population()}
    replan(world.objects, back)
    world.pass_time(6 + HAND_OVER_SECONDS)
    state = world.running[T0].snapshot
    assert (state.generation, state.grant) == (7, 4)
    assert {program.genome for program in population_of(state)} == {b"better", *own}
    assert state.cover.keys() == {2, 3}


def test_what_is_handed_over_after_the_island_was_told_as_final_is_told_and_not_saved(world: World) -> None:
    replan(world.objects, to_another)
    world.pass_time(6)
    replan(world.objects, back)
    world.pass_time(6 + HAND_OVER_SECONDS)
    foreman, news = world.node.foreman, world.node.news
    world.generation(T0, fitness=0.6, evaluations=1000)
    work = foreman.islands[T0]
    assert work.stage is Stage.FINAL
    grant, told = news.finals[T0]
    (saved,) = foreman.snapshots()
    assert (grant, told) == (4, saved)
    toy = keyer(saved.problem, saved.version)
    for sequence, genome in enumerate((b"late", b"later"), 7):
        theirs = msgspec.structs.replace(
            saved, grant=3, sequence=sequence, cover={}, population=pack([Program.of(genome, toy(genome), (0.9,))])
        )
        for _ in range(2):  # said again, it changes nothing
            foreman.handed_over("n-b9", theirs, world.now)
            grant, told = news.finals[T0]
            assert told is not None
            assert genome in {program.genome for program in population_of(told)}
            assert (told.grant, told.cover[3]) == (4, sequence)
    assert told.sequence == saved.sequence + 2
    assert {b"late", b"later"} < {program.genome for program in population_of(told)}
    assert foreman.snapshots() == [saved]
    assert 2 not in saved.cover or saved.cover[2] < 7


def test_an_island_that_comes_back_may_go_again_or_end_before_it_is_there(world: World) -> None:
    replan(world.objects, to_another)
    world.pass_time(6)
    replan(world.objects, back)
    world.pass_time(6)
    work = world.node.foreman.islands[T0]
    assert work.stage is Stage.RETURNING
    replan(world.objects, to_another)
    world.pass_time(6)
    assert work.stage is Stage.PARTING
    replan(world.objects, back)
    world.pass_time(6)
    assert work.stage is Stage.RETURNING

    def close(plan: Plan) -> None:
        del plan.runs["r"]

    replan(world.objects, close)
    world.pass_time(6)
    assert work.stage is Stage.GONE
    assert T0 not in world.node.foreman.islands


def test_an_island_that_nobody_takes_is_let_go_of_once_it_is_durable(world: World) -> None:
    replan(world.objects, to_another)
    for beat in range(12):
        record = decode_cluster(world.objects["cluster"][0])
        renewed = msgspec.structs.replace(record, nonce=f"{beat:x}")
        world.objects["cluster"] = encode_cluster(renewed), world.objects["cluster"][1] + 1
        world.pass_time(5)
    assert T0 not in world.node.foreman.islands


# --- phases ---------------------------------------------------------------------------------------


def test_a_stop_while_the_lease_is_being_taken() -> None:
    held = World()
    held.fault = lambda i: Outcome.UNAVAILABLE if isinstance(i, ReplaceObject) else None
    record = decode_cluster(held.objects["cluster"][0])
    released = msgspec.structs.replace(record, holder="", boot="", nonce="x")
    other = World(
        {**held.objects, "cluster": (encode_cluster(released), 99)},
        boot="b3",
        member="o",
        start=2000.0,
        fault=lambda i: Outcome.UNAVAILABLE if isinstance(i, ReplaceObject) else None,
    )
    other.pass_time(2)
    assert other.node.phase is Phase.TAKING
    other.feed(StopRequested())
    other.pass_time(6)
    assert other.exit is not None


def test_workers_that_never_finish_do_not_keep_the_node() -> None:
    world = World()
    world.finishes = False
    world.feed(StopRequested())
    world.pass_time(5)
    assert world.node.phase is Phase.GONE
    assert "in time" in (world.exit or "")


def damage(objects: Objects) -> None:
    """Flip bytes of `cluster`."""
    data, token = objects["cluster"]
    objects["cluster"] = data[:20] + b"?" + data[21:], token + 1


def test_a_damaged_cluster_ends_a_node_that_works_or_leaves() -> None:
    working = World()
    damage(working.objects)
    working.fault = lambda i: Outcome.CONFLICT if isinstance(i, ReplaceObject) else None
    working.pass_time(20)
    assert "damaged" in (working.exit or "")
    leaving = World()
    leaving.submit(tasks=1)
    leaving.fault = lambda i: Outcome.CONFLICT if isinstance(i, ReplaceObject) else None
    damage(leaving.objects)
    leaving.feed(StopRequested())
    leaving.pass_time(3)
    assert "damaged" in (leaving.exit or "")


def test_a_damaged_cluster_ends_a_node_that_finishes_or_takes() -> None:
    finishing = World()
    finishing.finishes = False
    finishing.pass_time(4)
    damage(finishing.objects)
    finishing.fault = lambda i: Outcome.CONFLICT if isinstance(i, ReplaceObject) else None
    finishing.feed(StopRequested())
    finishing.pass_time(2)
    assert "damaged" in (finishing.exit or "")
    finishing.feed(WorkersFinished())  # Nobody is there any more.
    taking = World({}, fault=lambda i: Outcome.UNKNOWN if not isinstance(i, ReadObject) and i_is_cluster(i) else None)
    taking.objects["cluster"] = b"rubbish\n", 7
    taking.pass_time(3)
    assert "damaged" in (taking.exit or "")


def i_is_cluster(instruction: object) -> bool:
    """Whether an instruction is about `cluster`."""
    return getattr(instruction, "name", "") == "cluster"


def test_a_plan_that_cannot_be_read_ends_a_node_that_loads_or_watches() -> None:
    world = World()
    world.submit(tasks=1)
    name = decode_cluster(world.objects["cluster"][0]).plan or ""
    world.objects[name] = b"rubbish", 1
    again = World(world.objects, boot="b1", start=world.now)
    assert "cannot be read" in (again.exit or "")
    watching = World(world.objects, boot="b2", member="w", start=world.now)
    watching.pass_time(20)
    assert "cannot be read" in (watching.exit or "")


def test_who_was_an_owner_only_under_plans_that_it_skipped_says_once_that_it_has_nothing() -> None:
    world = World()
    world.submit(tasks=2, cpu_seconds=10**6)
    told: list[tuple[str, list[IslandId]]] = []
    world.node.foreman._tell_unbegun = lambda owner, islands: told.append((owner, islands))
    world.generation(T0)

    def elsewhere(plan: Plan) -> None:
        for task in plan.runs["r"].tasks.values():
            for place in task.islands:
                place.owner, place.grant, place.former = "n-b9", plan.next_grant, ["m-b0"]
                plan.next_grant += 1
        plan.runs["r"].tasks["t9"] = msgspec.structs.replace(plan.runs["r"].tasks["t0"])

    replan(world.objects, elsewhere)
    world.pass_time(20)
    said = [island for owner, islands in told for island in islands if owner == "n-b9"]
    assert IslandId("r", "t9", 0) in said
    assert len(said) == len(set(said))
    assert T0 not in said, "its state is in the checkpoints here"


def test_what_is_still_here_of_an_island_that_went_elsewhere_counts_when_its_task_is_closed(world: World) -> None:
    replan(world.objects, to_another)
    world.pass_time(6)
    work = world.node.foreman.islands[T0]
    assert work.stage is Stage.PARTING
    toy = keyer(work.state.problem, work.state.version)
    theirs = Program.of(b"theirs", toy(b"theirs"), (0.1,))
    merged = world.node.exchange.merging.final(T0[:2], [[theirs]])
    assert [program.fitness for program in merged] == [(0.5,), (0.1,)]
