"""Troubles of one member: its own way to the store, a former owner that dies, a peer that talks without end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from distevo.cluster import decode_cluster, encode_cluster
from distevo.codec import decode, encode
from distevo.command import Verb
from distevo.events import IslandId, LinkOpened, Outcome, Received
from distevo.instructions import CreateObject, DeleteObject, ListObjects, ReadObject, StoreInstruction
from distevo.intake import HAND_OVER_SECONDS
from distevo.keeper import RETRY_SECONDS
from distevo.mailboxes import LONGEST_MAIL_INTERVAL
from distevo.messages import Control, ControlVerb, ErrorReport, Hello
from distevo.names import INBOX
from distevo.news import Report
from distevo.plan import MemberPlan, MemberState, Plan, RunState
from distevo.run import Budget
from distevo.set_aside import STORE_AWAY
from distevo.speech import heartbeat
from distevo.work import Stage
from tests.node.test_leavers import together
from tests.node.test_node import T0
from tests.node.test_stages import back, replan, to_another
from tests.node.world import World

OTHER = IslandId("x", "t0", 0)


def with_holder(world: World, seconds: float) -> None:
    """Let time pass while another holds the lease and renews it."""
    for beat in range(round(seconds / 2)):
        record = decode_cluster(world.objects["cluster"][0])
        renewed = msgspec.structs.replace(record, nonce=f"{beat:x}{world.now:.0f}".replace(".", ""))
        world.objects["cluster"] = encode_cluster(renewed), world.objects["cluster"][1] + 1
        world.pass_time(2)


def another_run(plan: Plan) -> None:
    """A run of the same kind, whose object cannot be read, with an island for `m`."""
    plan.members["n"] = MemberPlan(boot="b9", kind="local", workers=1, memory_mb=4096, batch_size=1)
    run = msgspec.structs.replace(plan.runs["r"], object="inbox/run-x-1", first_grant=plan.next_grant, tasks={})
    task = msgspec.structs.replace(plan.runs["r"].tasks["t0"], islands=[])
    place = plan.runs["r"].tasks["t0"].islands[0]
    place = msgspec.structs.replace(place, owner="m-b0", grant=plan.next_grant, former=[])
    plan.runs["x"] = msgspec.structs.replace(run, tasks={"t0": msgspec.structs.replace(task, islands=[place])})
    plan.next_grant += 1


@pytest.fixture
def world() -> World:
    """One platform with an island in hand."""
    world = World()
    world.submit(tasks=1)
    world.generation(T0, fitness=0.5)
    return world


def gives_no_run(instruction: StoreInstruction) -> Outcome | None:
    is_run = isinstance(instruction, ReadObject) and instruction.name == "inbox/run-x-1"
    return Outcome.UNAVAILABLE if is_run else None


@pytest.mark.parametrize("later", [gives_no_run, lambda _: Outcome.UNAVAILABLE], ids=["one object", "the store"])
def test_what_cannot_even_be_begun_here_is_left_to_others(
    later: Callable[[StoreInstruction], Outcome | None], world: World
) -> None:
    world.fault = gives_no_run
    replan(world.objects, another_run)
    with_holder(world, 20)
    foreman = world.node.foreman
    assert foreman.islands[OTHER].stage is Stage.FETCHING
    assert foreman.refused == {}
    world.fault = later
    with_holder(world, 20)
    assert foreman.refused == {"x": STORE_AWAY}
    assert OTHER not in foreman.islands
    assert foreman.islands[T0].stage is Stage.EVOLVING, "what was begun goes on"
    world.objects["inbox/run-x-1"] = world.objects["inbox/run-r-n0"]
    # A store may refuse deletes for ever.
    world.node.outbox.delete("mail/n-n0/1")
    world.fault = lambda asked: Outcome.UNAVAILABLE if isinstance(asked, DeleteObject) else None
    with_holder(world, 32)
    assert foreman.refused == {}
    assert OTHER in world.running


def test_an_answer_about_the_run_that_had_the_name_before_says_nothing_about_this_one(world: World) -> None:
    held = {"inbox/run-x-1", "inbox/run-x-2"}
    world.fault = lambda order: Outcome.UNAVAILABLE if isinstance(order, ReadObject) and order.name in held else None

    def renewed(plan: Plan) -> None:
        run = plan.runs["x"]
        run.object, run.first_grant = "inbox/run-x-2", plan.next_grant
        run.tasks["t0"].islands[0].grant = plan.next_grant + 1
        plan.next_grant += 2

    replan(world.objects, another_run)
    with_holder(world, 20)
    replan(world.objects, renewed)
    with_holder(world, 60)
    assert world.node.foreman.refused == {"x": STORE_AWAY}
    held.remove("inbox/run-x-1")
    with_holder(world, 60)
    assert world.node.foreman.refused == {"x": STORE_AWAY}


def test_nothing_is_waited_for_from_a_former_owner_that_dies(world: World) -> None:
    replan(world.objects, to_another)
    with_holder(world, 6)
    work = world.node.foreman.islands[T0]
    replan(world.objects, back)
    with_holder(world, 6)
    assert work.stage is Stage.RETURNING

    def dead(plan: Plan) -> None:
        plan.members["n"].state = MemberState.DEAD

    replan(world.objects, dead)
    with_holder(world, HAND_OVER_SECONDS / 2 - 1)
    assert work.stage is Stage.EVOLVING


def test_after_an_outage_the_next_checkpoint_is_not_waited_for_long(world: World) -> None:
    world.fault = lambda i: Outcome.UNAVAILABLE if isinstance(i, CreateObject | ListObjects) else None
    world.generation(T0)
    world.pass_time(100)
    keeper = world.node.keeper
    world.generation(T0)
    due = keeper.due()
    assert due is not None
    assert due > world.now + RETRY_SECONDS
    world.fault = lambda _: None
    world.pass_time(30)
    assert not keeper.has_news


def link(world: World) -> None:
    """A member `n` with an open link."""
    replan_key = "k" * 40

    def known(plan: Plan) -> None:
        plan.members["n"] = MemberPlan(boot="b9", kind="local", workers=1, memory_mb=4096, batch_size=1, key=replan_key)

    term = world.node.term
    assert term is not None
    known(term.ledger.plan)
    term.settle("n", "b9", MemberState.ALIVE, world.now)
    term._publish()
    world.pass_time(5)
    world.feed(LinkOpened(1, replan_key, None))
    record = decode_cluster(world.objects["cluster"][0])
    hello = Hello(versions=[1], cluster=record.cluster, member="n", boot="b9", incarnation=0, heartbeat_interval=10.0)
    world.feed(Received(1, hello, b""))


def test_a_member_that_complains_without_end_fills_no_log(world: World) -> None:
    link(world)
    for number in range(1000):
        world.feed(Received(1, ErrorReport(code=number, reason="x" * 100), b""))
    lines = [line for line in world.logs if line.message == "a member complains"]
    assert 1 <= len(lines) <= 15
    world.pass_time(11)
    world.feed(Received(1, ErrorReport(code=10**6, reason="again"), b""))
    assert [line for line in world.logs if line.fields.get("reason") == "again"]


def test_a_member_that_says_inbox_without_end_makes_one_listing_a_second(world: World) -> None:
    link(world)
    listings: list[float] = []

    def count(instruction: StoreInstruction) -> Outcome | None:
        if isinstance(instruction, ListObjects) and instruction.prefix == INBOX:
            listings.append(world.now)
        return None

    world.fault = count
    for _ in range(300):
        world.feed(Received(1, Control(verb=ControlVerb.INBOX), b""))
        world.pass_time(0.01)
    assert 3 <= len(listings) <= 5
    world.pass_time(2)
    assert listings[-1] >= world.now - 3, "the last word is not lost"


@pytest.mark.parametrize(("here", "there"), [(15.0, LONGEST_MAIL_INTERVAL), (LONGEST_MAIL_INTERVAL,) * 2])
def test_who_writes_mail_seldom_stays_alive(here: float, there: float) -> None:
    first = World(member="a", boot="a0", key="key of a", mail_interval=here)
    second = World(first.objects, member="b", boot="b0", key="key of b", start=first.now, mail_interval=there)
    together([first, second], lambda: first.node.table.heard_at("b"), 10 * LONGEST_MAIL_INTERVAL)
    first.logs.clear()
    for _ in range(7200):
        for world in (first, second):
            world.pass_time(1)
    assert [log for log in first.logs if log.message == "member dead"] == []


def test_mail_that_could_keep_nobody_alive_is_no_setting() -> None:
    with pytest.raises(ValueError, match="mail every 121 s: at most 120 s"):
        World(mail_interval=121.0)


def test_islands_of_a_run_that_is_gone_are_told_over_without_harm() -> None:
    world = World()
    world.submit(tasks=1)
    assert world.command(Verb.CANCEL) == "accepted"
    world.pass_time(60)
    assert world.command(Verb.DELETE) == "accepted"
    world.pass_time(5)
    term = world.node.term
    assert term is not None
    assert "r" not in term.ledger.plan.runs
    term.report("n-b9", Report(empty=[(IslandId("r", "t0", 0), 1)]), world.now)
    world.pass_time(5)
    assert world.node.term is term


@pytest.mark.parametrize("says", [{"boot": "no boot"}, {"boot": ""}, {"workers": -1}, {"memory_mb": -1}])
def test_an_announcement_that_no_daemon_makes_is_refused(says: dict[str, Any]) -> None:
    world = World()
    world.join("n", **says)
    assert "n" not in world.plan.members
    assert any("inbox" in str(line.fields) for line in world.logs if line.level == "warning")


def test_checkpoints_of_a_run_whose_object_is_damaged_stay_until_it_goes_on() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    for _ in range(30):
        world.generation(T0)
        world.pass_time(1)
    name = world.plan.runs["r"].object
    sound = world.objects[name]
    world.objects[name] = sound[0][:50], sound[1]
    later = World(world.objects, boot="b1", workers=1, start=world.now + 100)
    later.pass_time(120)
    assert later.plan.runs["r"].state is RunState.FAILED
    later.objects[name] = sound
    assert later.command(Verb.EXTEND, budget=Budget(None, 2000)) == "accepted"
    later.pass_time(40)
    assert later.running[T0].snapshot.generation == 30


def test_a_platform_that_can_work_on_none_of_many_runs_says_so_in_one_heartbeat() -> None:
    world = World(workers=1)
    world.node.foreman.refused |= {f"run-{number}": "it needs another version. " * 40 for number in range(3000)}
    told = heartbeat(world.node.foreman, incarnation=0, progress=1, interval=10.0)
    assert len(told.refuses) == 3000
    assert all(told.refuses.values())
    assert decode(encode(told)) == (told, b"")
