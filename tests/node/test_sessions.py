"""A notebook whose time is limited: its islands are elsewhere before it ends."""

from __future__ import annotations

import pytest

from distevo.command import Verb, decode_command
from distevo.events import CheckpointWanted, IslandId
from distevo.instructions import CreateObject
from distevo.keeper import Keeper
from distevo.outbox import Outbox
from distevo.plan import MemberPlan, Plan
from distevo.session import DRAIN_SECONDS, FORESIGHT_SECONDS, Session
from tests.node.test_leavers import in_force, record, together
from tests.node.world import Objects, World


def plan(*names: str) -> Plan:
    members = {name: MemberPlan(boot="b", kind="local", workers=1, memory_mb=4096, batch_size=1) for name in names}
    return Plan(epoch=1, version=1, members=members)


def session(limit: float | None) -> tuple[Session, Keeper, Outbox, list[float]]:
    outbox, told = Outbox(), []
    keeper = Keeper("m", "b", 5, 60.0, 30.0, outbox)
    made = Session("m", "b", limit, 30.0, keeper, outbox, told.append)
    made.begin(1000.0)
    return made, keeper, outbox, told


def test_without_a_limit_nothing_is_foreseen() -> None:
    made, _, outbox, _ = session(None)
    made.tick(10.0**9, plan("m", "n"))
    assert (made.next_deadline(), outbox.take()) == (float("inf"), [])


def test_before_the_end_checkpoints_come_often_and_the_platform_asks_to_be_drained() -> None:
    hours = 12 * 3600.0
    made, keeper, outbox, _ = session(hours)
    keeper.generation(IslandId("r", "t", 0), 1000.0)
    assert keeper.due() == 1060.0
    assert made.next_deadline() == 1000.0 + hours - FORESIGHT_SECONDS
    made.tick(made.next_deadline(), plan("m", "n"))
    assert keeper.due() == 1024.0
    assert made.next_deadline() == 1000.0 + hours - DRAIN_SECONDS
    outbox.take()
    made.tick(made.next_deadline(), plan("m", "n"))
    (create,) = [order for order in outbox.take() if isinstance(order, CreateObject)]
    command = decode_command(create.data)
    assert (command.verb, command.member, command.boot) == (Verb.DRAIN, "m", "b")
    assert made.next_deadline() == float("inf")


@pytest.mark.parametrize("ends", ["a", "b"])
def test_whoever_ends_is_drained_at_once_also_where_it_coordinates(ends: str) -> None:
    objects: Objects = {}
    limit = {ends: 60.0}
    worlds = [World(objects, member=name, session_limit=limit.get(name)) for name in ("a", "b")]
    together(worlds, lambda: in_force(worlds[0]).members.keys() == {"a", "b"})
    assert record(worlds[0]).holder == "a"
    worlds[0].submit(tasks=2)
    together(worlds, lambda: all(world.running for world in worlds))
    together(worlds, lambda: in_force(worlds[0]).members[ends].is_draining)
    # It needs no listing that is due anyway; without a link, the other has to wait for one.
    assert worlds[0].now - 154.0 < {"a": 1.0, "b": 15.0}[ends]


def test_alone_a_platform_works_to_the_end() -> None:
    made, _, outbox, _ = session(600.0)
    while made.next_deadline() < float("inf"):
        made.tick(made.next_deadline(), plan("m"))
    made.tick(1600.0, plan("m", "n"))
    assert not [order for order in outbox.take() if isinstance(order, CreateObject)]


def test_who_comes_in_the_last_moments_of_a_session_is_given_the_islands() -> None:
    made, _, outbox, _ = session(1200.0)
    while made.next_deadline() < 2110.0:
        made.tick(made.next_deadline(), plan("m"))
    assert not [order for order in outbox.take() if isinstance(order, CreateObject)]
    made.tick(made.next_deadline(), plan("m", "n"))
    assert len([order for order in outbox.take() if isinstance(order, CreateObject)]) == 1
    assert made.next_deadline() == float("inf")


def test_one_that_leaves_by_itself_foresees_nothing() -> None:
    made, _, outbox, _ = session(600.0)
    made.end()
    made.tick(1600.0, plan("m", "n"))
    assert outbox.take() == []


def test_what_is_in_hand_becomes_durable_at_once_when_the_disk_fills() -> None:
    world = World()
    world.submit(tasks=1)
    world.generation(IslandId("r", "t0", 0))
    world.pass_time(10)
    before = len([name for name in world.objects if name.startswith("checkpoints/")])
    world.feed(CheckpointWanted("the disk is full"))
    world.pass_time(1.1)
    assert len([name for name in world.objects if name.startswith("checkpoints/")]) >= before
    assert not world.node.keeper.has_news
