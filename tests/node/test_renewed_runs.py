"""A run that is deleted, and submitted anew under its name, both between two plans that a member follows.

Nothing that the member had of the earlier one is taken for the new one's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from distevo.command import Command, Verb
from distevo.events import (
    CheckpointWanted,
    InboxChanged,
    IslandFailed,
    IslandId,
    IslandReported,
    Outcome,
    ProblemMissing,
)
from distevo.instructions import DeleteObject, Instruction, ReadObject, ReplaceObject, SkipKeys, StoreInstruction
from distevo.names import RESULTS, inbox_run
from distevo.plan import RunState, TaskPlan
from distevo.program import Program
from distevo.result import decode_result
from distevo.run import Budget, ProblemUse, Run, RunSettings, encode_run
from tests.node.world import KEY_OF, World

ISLAND = IslandId("r", "t0", 0)
RING = {"topology": "ring", "interval": 1, "size": 2}


def task(world: World) -> TaskPlan:
    return world.node.following.plan.runs["r"].tasks["t0"]


def renew(world: World, **settings: Any) -> None:
    """Delete the run and submit another under its name, all in one plan."""
    term = world.node.term
    assert term is not None
    for verb in (Verb.CANCEL, Verb.DELETE):
        assert term.orders.carry_out(Command(verb=verb, run="r"), world.now) == "accepted"
    run = Run(
        name="r",
        nonce="n1",
        problem=ProblemUse("toy", "", "toy", "1"),
        submitted_through="",
        settings=msgspec.convert({"seed": 1} | settings, RunSettings),
        tasks={"t0": msgspec.Raw(b'{"other": 1}')},
    )
    world.objects[inbox_run("r", "n1")] = encode_run(run), 1
    assert term.orders.adopt(run, inbox_run("r", "n1")) == "accepted"
    term._change_now()
    term._place(world.now)
    world.node.office._publish()
    world.feed(InboxChanged())
    world.pass_time(0.6)
    assert world.node.following.plan.runs["r"].object == inbox_run("r", "n1")


def close(world: World, island: IslandId, *, fit: bool = False) -> None:
    world.generation(island, fit=fit, evaluations=10 if fit else 1000)
    world.pass_time(2)
    world.verify()
    world.pass_time(2)


def test_the_object_of_a_run_stays_until_the_plan_that_deletes_it_is_in_force() -> None:
    world = World()

    def is_read(instruction: StoreInstruction) -> bool:
        return isinstance(instruction, ReadObject) and instruction.name == "cluster"

    # The plan with the run is in force, and nobody knows while the run is cancelled and deleted.
    world.lost = lambda instruction: isinstance(instruction, ReplaceObject)
    world.fault = lambda instruction: Outcome.UNAVAILABLE if is_read(instruction) else None
    world.submit()
    world.order(Verb.CANCEL)
    world.order(Verb.DELETE)
    # Then somebody knows, and can put no other in force.
    world.lost = lambda _: False
    world.fault = lambda instruction: Outcome.UNAVAILABLE if isinstance(instruction, ReplaceObject) else None
    world.pass_time(12)
    assert "r" in world.node.following.plan.runs
    assert "r" not in world.plan.runs
    assert inbox_run("r", "n0") in world.objects
    world.fault = lambda _: None
    world.pass_time(40)
    assert "r" not in world.node.following.plan.runs
    assert inbox_run("r", "n0") not in world.objects


def test_programs_that_waited_for_an_island_of_the_earlier_run_are_gone() -> None:
    world = World(workers=1)
    world.submit(tasks=1, islands=40, evaluations=40_000, migration=RING)
    source = max(world.running)
    target = source._replace(island=source.island + 1)
    world.generation(source, fitness=9.0)
    assert target in world.node.exchange._early
    renew(world, islands_per_task=40, evaluations=4000, migration=RING)
    assert world.node.foreman.takes_later(target)
    assert target not in world.node.exchange._early


def test_keys_that_the_earlier_run_has_evaluated_are_not_skipped() -> None:
    world = World(workers=1)
    world.submit(tasks=1, islands=2)
    told: list[tuple[str, bytes]] = []
    do = world.do

    def listen(instructions: list[Instruction]) -> None:
        run = world.node.following.plan.runs["r"].object
        told.extend((run, order.keys) for order in instructions if isinstance(order, SkipKeys))
        do(instructions)

    world.do = listen  # type: ignore[method-assign]
    state = msgspec.structs.replace(world.running[ISLAND].snapshot, generation=1)
    for key in (b"k" * 16, b"q" * 16):
        world.feed(IslandReported(0, ISLAND, state, False, False, evaluated=key))
        world.feed(CheckpointWanted(""))
        world.pass_time(1.5)
    renew(world, islands_per_task=2, evaluations=1000)
    world.pass_time(10)
    assert told, "what was told while the earlier run was there"
    assert not [keys for run, keys in told if run == inbox_run("r", "n1")]


def test_the_result_does_not_count_the_evaluations_of_the_earlier_run() -> None:
    world = World(workers=1)
    world.submit(tasks=1, islands=2, evaluations=40_000)
    one, other = sorted(world.running)
    world.generation(one, evaluations=900)
    renew(world, islands_per_task=2, evaluations=40_000)
    world.pass_time(1)
    close(world, other, fit=True)
    assert decode_result(world.objects[task(world).result or ""][0])[0].evaluations == 10


def test_a_complaint_about_the_earlier_run_is_in_no_result_of_the_new_one() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    world.node.news.warn(("r", "t0"), "of the earlier run")
    renew(world, evaluations=1000)
    world.pass_time(1)
    close(world, ISLAND)
    assert task(world).result is not None
    assert task(world).error is None


def test_that_the_earlier_run_was_refused_says_nothing_of_the_new_one() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    world.feed(ProblemMissing(0, ISLAND, "No module named 'mine'"))
    world.pass_time(1)
    assert "r" in world.node.foreman.refused
    renew(world, evaluations=1000)
    world.pass_time(30)
    assert world.node.foreman.refused == {}
    assert ISLAND in world.running


def test_what_was_sent_along_edges_of_the_earlier_run_is_not_counted() -> None:
    world = World(workers=1)
    world.submit(tasks=1, islands=2, evaluations=40_000, migration=RING)
    for island in sorted(world.running):
        world.generation(island)
    assert sum(edge.sent for edge in world.node.exchange.status()) == 2
    renew(world, islands_per_task=2, evaluations=4000, migration=RING)
    world.pass_time(1)
    assert sum(edge.sent for edge in world.node.exchange.status()) == 0


def test_the_rates_of_the_earlier_run_are_not_those_of_the_new_one() -> None:
    world = World(workers=1)
    world.submit(tasks=2)
    close(world, next(iter(world.running)))
    assert world.node.standing.progress("r").tasks_per_hour() > 0
    renew(world, evaluations=1000)
    assert world.node.standing.progress("r").tasks_per_hour() == 0.0
    world.pass_time(1)
    close(world, ISLAND)
    assert world.node.standing.progress("r").tasks_per_hour() > 0


def test_what_others_found_for_the_earlier_run_is_not_merged_into_the_new_one() -> None:
    world = World(workers=1)
    world.submit(tasks=1, islands=2)
    merging = world.node.exchange.merging
    merging.came(("r", "t0"), [Program.of(b"theirs", KEY_OF(b"theirs"), (9.0,))])
    assert len(merging.of(("r", "t0"))) == 1
    renew(world, islands_per_task=2, evaluations=1000)
    assert len(merging.of(("r", "t0"))) == 0


def test_a_late_delete_of_a_result_does_not_hit_the_same_one_of_the_next_run() -> None:
    is_slow = False

    def fault(order: StoreInstruction) -> Outcome | None:
        is_delete = isinstance(order, DeleteObject) and order.name.startswith(RESULTS)
        return Outcome.UNKNOWN if is_slow and is_delete else None

    world = World(workers=1, fault=fault)
    world.submit(tasks=1)
    world.feed(IslandFailed(0, ISLAND, "a fault of the problem"))
    world.running.clear()
    world.pass_time(5)
    earlier = task(world).result
    is_slow = True
    assert world.command(Verb.DELETE) == "accepted"
    world.pass_time(2)
    world.submit(tasks=1, nonce="n1")
    world.feed(IslandFailed(0, ISLAND, "a fault of the problem"))
    world.pass_time(5)
    named = task(world).result
    assert named not in {earlier, None}
    is_slow = False
    world.pass_time(60)
    assert [name for name in world.objects if name.startswith(RESULTS)] == [named]


def test_a_command_that_comes_late_does_nothing_to_the_next_run() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    meant = world.node.following.plan.runs["r"].first_grant
    renew(world, evaluations=1000)
    for verb in (Verb.CANCEL, Verb.DELETE):
        assert "another run has its name" in world.command(verb, first_grant=meant)
    assert not world.node.following.plan.runs["r"].state.is_over
    assert world.command(Verb.CANCEL, first_grant=world.node.following.plan.runs["r"].first_grant) == "accepted"


def test_runs_that_never_had_an_island_are_told_apart_too() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    for name in ("a", "b"):
        world.submit(name=name, tasks=1)
        world.command(Verb.CANCEL, name)
    runs = world.node.following.plan.runs
    assert runs["a"].first_grant != runs["b"].first_grant


def test_a_copy_of_a_deleted_run_that_comes_late_is_not_taken_in() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    copy = world.objects[inbox_run("r", "n0")]
    assert [world.command(verb) for verb in (Verb.CANCEL, Verb.DELETE)] == ["accepted", "accepted"]
    world.pass_time(40)
    world.objects[inbox_run("r", "n0")] = copy
    world.pass_time(20)
    assert world.node.following.plan.runs == {}
    assert inbox_run("r", "n0") not in world.objects


def test_the_object_of_the_earlier_run_that_is_read_late_is_not_the_next_ones() -> None:
    is_away = False

    def fault(order: StoreInstruction) -> Outcome | None:
        is_its = isinstance(order, ReadObject) and order.name == inbox_run("r", "n0")
        return Outcome.UNAVAILABLE if is_away and is_its else None

    first = World(workers=1, fault=fault)
    first.submit(tasks=1)
    close(first, ISLAND)
    world = World(first.objects, boot="b1", workers=1, start=first.now + 100, fault=fault)  # It need not read the run.
    world.pass_time(10)
    is_away = True
    assert world.command(Verb.EXTEND, budget=Budget(None, 2000)) == "accepted"
    assert [world.command(verb) for verb in (Verb.CANCEL, Verb.DELETE)] == ["accepted", "accepted"]
    world.pass_time(2)
    world.submit(tasks=1, nonce="n1")
    world.pass_time(1)
    is_away = False
    world.pass_time(40)
    assert world.plan.runs["r"].state is RunState.RUNNING
