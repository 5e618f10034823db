"""What once held up a member, a run or a whole cluster for ever: objects that cannot be read, deletes that are refused,
workers that never start."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from distevo.checkpoint import Counters
from distevo.command import Command, Verb, encode_command
from distevo.events import Death, InboxChanged, IslandId, Outcome, WorkerDied
from distevo.foreman import REREAD_SECONDS
from distevo.instructions import DeleteObject, Instruction, ReadObject, StoreInstruction
from distevo.joining import ANNOUNCE_SECONDS
from distevo.names import INBOX_COMMANDS, INBOX_MEMBERS, inbox_command, inbox_run
from distevo.news import Report
from distevo.orders import check_run
from distevo.plan import RunState
from distevo.run import Budget, ProblemUse, Run, RunSettings
from distevo.slots import MAX_BACK_OFF, MAX_CONVICTED
from distevo.speech import report_messages
from distevo.work import fresh_snapshot
from tests.node.world import World

ISLAND = IslandId("r", "t0", 0)
BAD = inbox_run("bad", "e0")
NOTHING = msgspec.Raw(b"{}")


def unreadable(order: StoreInstruction) -> Outcome | None:
    """A store with a bad sector."""
    return Outcome.UNAVAILABLE if isinstance(order, ReadObject) and order.name == BAD else None


def test_an_inbox_object_that_cannot_be_read_holds_up_no_other() -> None:
    world = World(workers=1, fault=unreadable)
    world.submit(tasks=1)
    world.objects[BAD] = b"on a bad sector", 1
    world.pass_time(20)
    assert world.command(Verb.PAUSE) == "accepted"
    assert world.plan.runs["r"].state is RunState.PAUSED


def test_what_was_read_with_one_that_cannot_be_waits_a_moment_only() -> None:
    world = World(workers=1, fault=unreadable)
    world.submit(tasks=1)
    world.objects[BAD] = b"on a bad sector", 1
    name = world.order(Verb.PAUSE)
    world.pass_time(20)
    assert world.node.outcome(name) == "accepted"


class SlowInbox(World):
    """A store that takes longer to give what lies in the inbox than passes from one listing to the next."""

    late: list[ReadObject]

    def do(self, instructions: list[Instruction]) -> None:
        for order in instructions:
            if isinstance(order, ReadObject) and order.name.startswith(INBOX_COMMANDS):
                self.late.append(order)
            else:
                super().do([order])


def test_what_comes_without_end_holds_up_nothing_that_was_read() -> None:
    world = SlowInbox(workers=1)
    world.late = []
    world.submit(tasks=1)
    first = inbox_command("00")
    world.objects[first] = encode_command(Command(verb=Verb.PAUSE, run="r")), 1
    for second in range(20):
        world.feed(InboxChanged())
        world.pass_time(1)
        # One is read when the next has been listed.
        for order in world.late[:-1] if second else ():
            world.feed(world._carry_out(order))
        del world.late[:-1]
        another = Command(verb=Verb.PRIORITY, run="r", priority=second)
        world.objects[inbox_command(f"{second + 1:02x}")] = encode_command(another), 1
    assert world.node.outcome(first) == "accepted"
    assert world.plan.runs["r"].priority > 10


def test_an_inbox_object_that_cannot_be_read_holds_up_no_takeover() -> None:
    world = World(workers=1, fault=unreadable)
    world.submit(tasks=1)
    world.objects[BAD] = b"on a bad sector", 1
    later = World(world.objects, boot="b1", workers=1, start=world.now + 100, fault=unreadable)
    later.pass_time(60)
    assert later.running


def test_a_run_whose_object_is_mended_is_worked_on() -> None:
    is_held = True
    reads = 0

    def fault(order: StoreInstruction) -> Outcome | None:
        nonlocal reads
        if isinstance(order, ReadObject) and order.name == name:
            reads += 1
            return Outcome.UNAVAILABLE if reads > 1 and is_held else None
        return None

    name = inbox_run("r", "n0")
    world = World(workers=1, fault=fault)
    world.submit(tasks=1)
    sound = world.objects[name]
    world.objects[name] = sound[0][:-5] + b"xxxxx", sound[1]
    is_held = False
    world.pass_time(40)
    assert "digest" in world.node.foreman.refused["r"]
    world.objects[name] = sound
    world.pass_time(REREAD_SECONDS + 10)
    assert world.node.foreman.refused == {}
    assert world.running


def test_a_damaged_announcement_is_made_again() -> None:
    first = World(workers=1, key="key of m")
    second = World(first.objects, member="n", boot="c0", key="key of n", start=first.now)
    second.pass_time(2)
    name = next(name for name in first.objects if name.startswith(INBOX_MEMBERS))
    data, token = first.objects[name]
    first.objects[name] = data[:-4] + b"xxxx", token
    first.feed(InboxChanged())
    for _ in range(round(ANNOUNCE_SECONDS / 2) + 10):
        first.pass_time(2)
        second.pass_time(2)
    assert second.exit is None
    assert "n" in first.plan.members


def test_a_store_that_refuses_deletes_is_asked_once_for_each() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    world.fault = lambda order: Outcome.UNAVAILABLE if isinstance(order, DeleteObject) else None
    for _ in range(5):
        world.command(Verb.PRIORITY, priority=1)
    world.pass_time(600)
    asked = len(world.node.outbox._resting)
    world.pass_time(3000)
    assert len(world.node.outbox._resting) < asked + 10  # of old plans there are some more by then


def test_workers_that_do_not_start_are_tried_for_ever() -> None:
    world = World(workers=1)
    starts = 0
    for _ in range(1100):
        world.feed(WorkerDied(0, Death.CRASHED, None, None))
        world.pass_time(MAX_BACK_OFF + 1)
        starts += 1
    assert world.node.slots.replaced == {"crashed": starts}


def test_workers_that_die_of_one_program_after_another_do_not_wait() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    begun = world.now
    for number in range(MAX_CONVICTED):
        world.feed(WorkerDied(0, Death.TIME_OUT, ISLAND, b"hangs %d" % number))
        assert ISLAND in world.running
    assert world.now == begun
    for number in range(5):
        world.feed(WorkerDied(0, Death.TIME_OUT, ISLAND, b"hangs too %d" % number))
        world.pass_time(MAX_BACK_OFF)
    assert world.node.slots.slots[0].stillborn == 5


def test_a_cancelled_run_that_nobody_can_end_is_deleted() -> None:
    world = World(workers=1)
    world.join("n")
    world.node.foreman.refused["r"] = "it is a file that was submitted elsewhere"
    world.submit(tasks=1, islands=2)
    term = world.node.term
    assert term is not None
    grant = world.plan.runs["r"].tasks["t0"].islands[0].grant
    fresh = fresh_snapshot(term.ledger.runs["r"], ISLAND, grant)
    state = msgspec.structs.replace(fresh, generation=3, sequence=1, counters=Counters(evaluations=1000))
    for head, payload in report_messages(Report(finals=[state]), "n", "c0"):
        world.hear("n", head, payload)
    world.pass_time(120)  # n is dead by now, and has told of one island only
    assert [world.command(verb) for verb in (Verb.CANCEL, Verb.DELETE)] == ["accepted", "accepted"]
    world.pass_time(120)
    assert world.plan.runs == {}


def test_a_member_without_workers_coordinates() -> None:
    world = World(workers=0)
    world.join("n")
    world.submit(tasks=1)
    assert [place.owner for place in world.plan.runs["r"].tasks["t0"].islands] == ["n-c0"]


@pytest.mark.parametrize("change", [{"name": "\u00e4" * 64}, {"tasks": {"x" * 300: NOTHING}}, {"tasks": {"": NOTHING}}])
def test_a_run_whose_results_no_store_could_hold_is_refused(change: dict[str, Any]) -> None:
    run = Run(
        name="r",
        nonce="n0",
        problem=ProblemUse("toy", "", "toy", "1"),
        submitted_through="",
        settings=RunSettings(seed=1, evaluations=1000),
        tasks={"t": NOTHING},
    )
    assert check_run(run) is None
    assert "named in the store" in (check_run(msgspec.structs.replace(run, **change)) or "")


def test_a_first_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a budget of 0 CPU seconds"):
        RunSettings(seed=1, cpu_seconds=10.0, rungs=(Budget(0.0, None),))
