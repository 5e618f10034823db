"""Members that are to leave: drained with all that they have handed over, or revoked and believed no more."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from distevo.checkpoint import IslandSnapshot, decode_checkpoint, restore
from distevo.cluster import ClusterRecord, decode_cluster
from distevo.command import Verb
from distevo.events import IslandId, Outcome
from distevo.handover import HandOver
from distevo.instructions import CreateObject, ReadObject, ReplaceObject, StoreInstruction
from distevo.keeper import Mark, id_of
from distevo.ledger import Ledger
from distevo.member import Announcement
from distevo.names import CHECKPOINTS, MAIL, PLANS, checkpoint_of
from distevo.orders import MAX_DENIED
from distevo.phase import Phase
from distevo.plan import MemberPlan, MemberState, Plan, decode_plan
from distevo.work import Stage
from tests.node.test_keeper import large
from tests.node.test_node import T0
from tests.node.world import World

STEP = 0.25
LONG = 10**6
"""Evaluations that nobody makes in a test."""


def together(worlds: list[World], condition: Callable[[], object], seconds: float = 120) -> None:
    """Let time pass for all of them, who hear each other through the store, until something is so."""
    for _ in range(round(seconds / STEP)):
        if condition():
            return
        for world in worlds:
            world.pass_time(STEP)
    assert condition(), f"it has not become so in {seconds} s"


def record(world: World) -> ClusterRecord:
    return decode_cluster(world.objects["cluster"][0])


def in_force(world: World) -> Plan:
    return decode_plan(world.objects[record(world).plan or ""][0])


def owners(world: World) -> list[str]:
    """Members by island, of the tasks that are open, by the plan in force."""
    tasks = [task for run in in_force(world).runs.values() for task in run.tasks.values()]
    return [place.owner.rpartition("-")[0] for task in tasks for place in task.islands]


def saved(world: World, island: IslandId) -> list[int]:
    """The generations of an island in all checkpoints."""
    names = [name for name in world.objects if name.startswith(CHECKPOINTS)]
    found = [state for name in names for state in decode_checkpoint(world.objects[name][0]).islands]
    return sorted(state.generation for state in found if (state.run, state.task, state.island) == island)


def state_of(world: World, member: str) -> MemberState:
    return in_force(world).members[member].state


def cluster(*, islands: int = 4, **settings: object) -> tuple[World, World]:
    """A coordinator and a follower, both with islands of one run that are begun."""
    first = World(member="a", boot="a0", key="key of a")
    second = World(first.objects, member="b", boot="b0", key="key of b", start=first.now)
    together([first, second], lambda: "b" in in_force(first).members)
    first.submit(tasks=1, islands=islands, **{"evaluations": LONG} | settings)
    together([first, second], lambda: first.running and second.running)
    for world in (first, second):
        for island in list(world.running):
            world.generation(island)
    together([first, second], lambda: len(first.node.standing.islands) == islands)
    return first, second


def without_mail(instruction: StoreInstruction) -> Outcome | None:
    """A fault of the store: no mail is written, so nobody is told which islands were taken."""
    is_mail = isinstance(instruction, CreateObject) and instruction.name.startswith(MAIL)
    return Outcome.UNAVAILABLE if is_mail else None


def without_checkpoints(instruction: StoreInstruction) -> Outcome | None:
    """A fault of the store: no checkpoint is written, so that nobody who hands islands over can leave."""
    is_checkpoint = isinstance(instruction, CreateObject) and instruction.name.startswith(CHECKPOINTS)
    return Outcome.UNAVAILABLE if is_checkpoint else None


# --- drained --------------------------------------------------------------------------------------


def test_the_only_platform_leaves_what_it_has_in_its_checkpoint_for_a_later_start() -> None:
    world = World()
    world.submit(tasks=1, evaluations=LONG)
    for _ in range(4):
        world.generation(T0)
    assert world.command(Verb.DRAIN, member="m") == "accepted"
    world.pass_time(10)
    assert (world.exit, world.exit_kind) == ("", "")
    assert any(log.message.startswith("drained") and log.level == "info" for log in world.logs)
    assert record(world).holder == ""
    plan = in_force(world)
    assert (plan.members["m"].state, plan.members["m"].is_draining) == (MemberState.LEFT, True)
    place = plan.runs["r"].tasks["t0"].islands[0]
    assert (place.owner, place.former) == ("", ["m-b0"])
    assert plan.waiting_after("m-b0") == 1
    assert saved(world, T0)[-1] == 4
    again = World(world.objects, boot="b1", start=world.now)
    again.pass_time(2)
    assert again.running[T0].snapshot.generation == 4
    assert not in_force(again).members["m"].is_draining
    assert again.exit is None


def test_a_platform_without_islands_leaves_at_once() -> None:
    world = World()
    world.order(Verb.DRAIN, member="m")
    assert (world.exit, record(world).holder) == ("", "")


def test_a_state_that_nobody_takes_is_kept_while_the_store_is_away() -> None:
    world = World()
    world.submit(tasks=1, evaluations=LONG)
    world.generation(T0)
    world.fault = without_checkpoints
    world.order(Verb.DRAIN, member="m")
    world.pass_time(60)
    assert world.exit is None
    assert world.node.foreman.islands[T0].stage is Stage.PARTING
    world.fault = lambda _: None
    world.pass_time(60)
    assert world.exit == ""
    assert saved(world, T0)[-1] == 1


def test_a_follower_hands_over_and_leaves_and_nothing_else_moves() -> None:
    first, second = cluster()
    before = owners(first)
    kept = {island: start.snapshot.generation for island, start in first.running.items()}
    theirs = {island for island, start in second.running.items() if start.snapshot.generation == 1}
    assert before.count("a") == before.count("b") == 2
    grants = {island: start.snapshot.grant for island, start in first.running.items()}
    assert first.command(Verb.DRAIN, member="b", boot="b0") == "accepted"
    assert owners(first) == ["a"] * 4  # In the very plan that has it leave.
    together([first, second], lambda: second.exit is not None)
    assert (second.exit, second.exit_kind) == ("", "")
    together([first], lambda: state_of(first, "b") is MemberState.LEFT, 30)
    assert {island: first.running[island].snapshot.grant for island in grants} == grants
    assert {island: first.running[island].snapshot.generation for island in kept} == kept
    assert all(first.node.foreman.islands[island].state.generation == 1 for island in theirs)


def test_who_is_drained_waits_for_what_is_durable_and_not_for_whoever_takes_it() -> None:
    """Its islands may wait in the new owner's queue for an hour, which tells nobody that it has them."""
    first, second = cluster()
    theirs = set(second.running)
    first.fault = second.fault = without_mail
    first.order(Verb.DRAIN, member="b", boot="b0")
    together([first, second], lambda: second.exit is not None, 15)
    assert all(saved(first, island)[-1] == 1 for island in theirs)
    together([first, second], lambda: theirs <= first.running.keys(), 30)
    assert all(first.running[island].snapshot.generation == 1 for island in theirs)


def test_whoever_takes_what_was_handed_over_has_all_that_the_last_checkpoint_of_it_holds() -> None:
    """Else that would lie in the store until the task is closed, and be listed and read by each new owner."""
    first, second = cluster()
    sent: dict[IslandId, IslandSnapshot] = {}
    second.node.handover._send = lambda _, state: sent.update({id_of(state): state})
    first.order(Verb.DRAIN, member="b", boot="b0")
    together([first, second], lambda: second.exit is not None)
    last = max((name for name in first.objects if name.startswith(f"{CHECKPOINTS}b-b0/")), key=checkpoint_of)
    left = {id_of(state): state for state in decode_checkpoint(first.objects[last][0]).islands}
    assert len(sent) == 2
    for island, state in sent.items():
        taken = restore([state], state.grant + 1)
        assert taken is not None
        assert left[island].sequence <= taken.cover[left[island].grant]


def test_the_coordinator_hands_over_its_islands_and_then_the_lease() -> None:
    first, second = cluster()
    mine = set(first.running)
    assert second.order(Verb.DRAIN, member="a")
    together([first, second], lambda: first.exit is not None)
    assert (first.exit, record(first).holder) == ("", "")
    assert owners(second) == ["b"] * 4
    assert state_of(second, "a") is MemberState.LEFT
    together([second], lambda: second.node.lease.is_held, 30)
    assert all(second.node.foreman.islands[island].state.generation == 1 for island in mine)


def test_who_is_drained_takes_no_lease_while_another_can() -> None:
    first, second = cluster()
    third = World(first.objects, member="c", boot="c0", key="key of c", start=first.now)
    together([first, second, third], lambda: "c" in in_force(first).members)
    together([first, second, third], lambda: len(third.node.plan.members) == 3)
    second.fault = without_checkpoints
    first.order(Verb.DRAIN, member="b")
    # The coordinator is gone, and who came second, and cannot leave yet, would succeed it.
    together([second, third], lambda: record(third).epoch > 1)
    assert (record(third).holder, second.exit) == ("c", None)
    second.fault = lambda _: None
    together([second, third], lambda: second.exit == "")
    together([third], lambda: owners(third) == ["c"] * 4)
    assert record(third).epoch == 2


def test_who_is_drained_leaves_the_lease_alone_also_when_the_other_does_not_get_it() -> None:
    first, second = cluster()
    third = World(first.objects, member="c", boot="c0", key="key of c", start=first.now)
    together([first, second, third], lambda: len(third.node.plan.members) == 3)
    third.fault = lambda i: Outcome.UNAVAILABLE if isinstance(i, ReplaceObject) else None
    second.fault = without_checkpoints
    first.order(Verb.DRAIN, member="b")
    together([second, third], lambda: third.node.phase is Phase.TAKING)
    for world in (second, third) * 40:
        world.pass_time(STEP)
    second.fault = lambda _: None
    together([second, third], lambda: second.exit == "")
    assert third.node.phase is Phase.TAKING
    assert record(third).epoch == 1
    third.fault = lambda _: None
    together([third], lambda: record(third).holder == "c")


def test_who_is_drained_takes_the_lease_when_it_is_alone_and_then_leaves() -> None:
    first, second = cluster()
    second.fault = without_checkpoints
    first.order(Verb.DRAIN, member="b")
    second.pass_time(STEP)
    # The coordinator is gone before anything was handed over, and there is nobody else.
    together([second], lambda: record(second).epoch == 2, 300)
    second.fault = lambda _: None
    together([second], lambda: second.exit is not None, 300)
    assert (second.exit, record(second).epoch, record(second).holder) == ("", 2, "")
    again = World(second.objects, member="a", boot="a1", key="key of a", start=second.now)
    again.pass_time(5)
    assert len(again.running) == 4
    assert {start.snapshot.generation for start in again.running.values()} == {1}


def test_one_that_dies_while_it_is_drained_is_as_dead_as_any_other() -> None:
    first, _second = cluster()
    first.order(Verb.DRAIN, member="b")
    assert owners(first) == ["a"] * 4
    together([first], lambda: state_of(first, "b") is MemberState.DEAD)
    again = World(first.objects, member="b", boot="b1", key="key of b", start=first.now)
    together([first, again], lambda: in_force(first).members["b"].boot == "b1")
    assert not in_force(first).members["b"].is_draining
    together([first, again], lambda: "b" in owners(first))
    assert again.exit is None


def test_islands_that_rest_move_too_and_their_task_still_ends() -> None:
    first, second = cluster(islands=2, evaluations=60)
    (resting,) = list(second.running)
    while resting in second.running:
        second.generation(resting, fitness=0.9)
    together([first, second], lambda: first.node.term and first.node.term.closing.ends.is_final(resting))
    first.order(Verb.DRAIN, member="b")
    together([first, second], lambda: second.exit == "")
    assert owners(first) == ["a", "a"]
    together([first], lambda: first.node.foreman.islands[resting].stage is Stage.FINAL)
    (other,) = list(first.running)
    while other in first.running:
        first.generation(other)
    first.verify()
    first.pass_time(2)
    task = in_force(first).runs["r"].tasks["t0"]
    assert (task.result is not None, task.evaluations) == (True, 60)


@pytest.mark.parametrize("verb", [Verb.DRAIN, Verb.REVOKE])
def test_a_platform_that_is_not_there(verb: Verb) -> None:
    assert World(key="k").command(verb, member="nobody") == "there is no platform 'nobody'"


def test_whom_nobody_can_drain() -> None:
    first, second = cluster()
    assert "started again" in first.command(Verb.DRAIN, member="b", boot="b9")
    assert state_of(first, "b") is MemberState.ALIVE
    second.stop()
    together([first], lambda: state_of(first, "b") is MemberState.LEFT, 30)
    assert "'b' has left already" in first.command(Verb.DRAIN, member="b")
    assert not in_force(first).members["b"].is_draining


def test_draining_again_is_accepted() -> None:
    first, _second = cluster()
    assert [first.command(Verb.DRAIN, member="b") for _ in range(2)] == ["accepted", "accepted"]


def test_who_takes_over_knows_who_had_left_from_who_is_dead() -> None:
    first, second = cluster()
    third = World(first.objects, member="c", boot="c0", key="key of c", start=first.now)
    together([first, second, third], lambda: "c" in second.node.following.plan.members)
    second.stop()
    together([third], lambda: record(third).holder == "c", 600)
    members = in_force(third).members
    assert {name: member.state for name, member in members.items()} == {
        "a": MemberState.DEAD, "b": MemberState.LEFT, "c": MemberState.ALIVE,
    }  # fmt: skip


# --- revoked --------------------------------------------------------------------------------------


def test_a_revoked_member_ends_and_its_islands_move_as_of_a_dead_one() -> None:
    first, second = cluster()
    assert first.command(Verb.REVOKE, member="b") == "accepted"
    plan = in_force(first)
    assert (plan.denied, plan.members["b"].state) == (["key of b"], MemberState.DEAD)
    assert owners(first) == ["a"] * 4
    together([second], lambda: second.exit is not None, 30)
    assert second.exit_kind == "refused"
    assert "key was revoked" in (second.exit or "")


def test_what_a_revoked_member_says_changes_nothing() -> None:
    first, second = cluster()
    first.order(Verb.REVOKE, member="b")
    # It does not obey, works on, and writes mail about it.
    second.node.joining.is_revoked = lambda _plan: False  # type: ignore[method-assign]
    grant = in_force(first).next_grant
    second.generation(next(iter(second.running)), fit=True)
    for _ in range(60):
        for world in (first, second):
            world.pass_time(1)
    assert second.exit is None
    assert any(name.startswith("mail/b-") for name in first.objects)
    assert state_of(first, "b") is MemberState.DEAD
    assert (owners(first), in_force(first).next_grant) == (["a"] * 4, grant)
    assert not first.node.news.fits


def test_a_revoked_key_joins_no_more_until_that_is_undone() -> None:
    first, second = cluster()
    first.order(Verb.REVOKE, member="b")
    together([first, second], lambda: second.exit is not None, 30)
    again = World(first.objects, member="other", boot="b1", key="key of b", start=first.now)
    again.pass_time(5)
    assert again.exit_kind == "refused"
    assert first.command(Verb.UNREVOKE, member="b") == "accepted"
    assert in_force(first).denied == []
    assert "is not revoked" in first.command(Verb.UNREVOKE, member="b")
    third = World(first.objects, member="b", boot="b2", key="key of b", start=first.now)
    together([first, third], lambda: state_of(first, "b") is MemberState.ALIVE and "b" in owners(first))


def test_a_key_can_be_let_in_again_when_its_owner_left_the_plan_long_ago() -> None:
    first, second = cluster()
    first.order(Verb.REVOKE, member="b")
    together([first, second], lambda: second.exit is not None, 30)
    for _ in range(200):
        first.pass_time(500)
    assert "b" not in in_force(first).members
    assert "is not revoked" in first.command(Verb.UNREVOKE, member="b")
    assert first.command(Verb.UNREVOKE, member="key of b") == "accepted"


def test_whose_island_is_too_large_for_any_object_leaves_with_its_best_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = cluster()
    monkeypatch.setattr("distevo.checkpoint.MAX_CONTENT_BYTES", 50_000)
    monkeypatch.setattr("distevo.keeper.MOST_BYTES", 10_000)
    island = next(iter(second.running))
    second.node.foreman.islands[island].snapshot = msgspec.structs.replace(
        second.running[island].snapshot, generation=77, population=large(0, 60).population
    )
    first.order(Verb.DRAIN, member="b")
    together([first, second], lambda: second.exit is not None)
    assert second.exit == ""
    together([first], lambda: island in first.running)
    assert first.running[island].snapshot.generation == 77


def test_a_member_that_wakes_up_after_a_day_is_taken_in_again() -> None:
    first = World(member="a", key="key of a", workers=0)
    first.submit(tasks=1)  # waits for somebody with workers
    first.pass_time(600)
    first.join("b")
    first.pass_time(120)
    assert state_of(first, "b") is MemberState.DEAD
    for _ in range(25):
        first.pass_time(3600)
    # It finds that no plan has it, and announces itself.
    assert "b" not in in_force(first).members


def test_members_gone_for_long_leave_the_plan_though_no_term_lasts_half_an_hour() -> None:
    first, _second = cluster()
    for term in range(2 * 30):
        first.pass_time(1500)
        first.stop()
        first = World(first.objects, member="a", boot=f"c{term:x}", key="key of a", start=first.now)
    assert list(in_force(first).members) == ["a"]


def test_the_ledger_takes_in_no_announcement_of_a_revoked_key() -> None:
    first, _second = cluster()
    first.order(Verb.REVOKE, member="b")
    plan = in_force(first)
    says = plan.members["b"]
    for member in ("b", "other"):
        assert Ledger(plan, {}).join(Announcement(member=member, says=says, after="b0")) == "its key was revoked"
    assert not Ledger(plan, {}).settle("b", "b0", MemberState.ALIVE)


def test_an_announcement_makes_nobody_leave() -> None:
    says = MemberPlan(boot="1", kind="k", workers=1, memory_mb=1, batch_size=1, is_draining=True)
    ledger = Ledger(Plan(epoch=1, version=1), {})
    assert ledger.join(Announcement(member="x", says=says)) is None
    assert list(ledger.hosts()) == ["x"]


def test_who_is_revoked_does_not_take_a_lease_that_is_free() -> None:
    first, second = cluster()
    first.order(Verb.REVOKE, member="b")
    first.stop()
    assert record(first).holder == ""
    thief = World(first.objects, member="b", boot="b1", key="key of b", start=first.now)
    thief.pass_time(30)
    assert (thief.exit_kind, record(first).holder, record(first).epoch) == ("refused", "", 1)
    second.pass_time(30)
    assert (second.exit_kind, record(first).epoch) == ("refused", 1)


def test_who_is_revoked_by_the_plan_that_it_loads_takes_no_lease() -> None:
    first, _second = cluster()
    first.order(Verb.REVOKE, member="b")
    first.stop()
    tries: list[str] = []

    def fault(instruction: StoreInstruction) -> Outcome | None:
        """The first read of the plan, by which it would follow it, fails; that for the lease does not."""
        if isinstance(instruction, ReadObject) and instruction.name.startswith(PLANS):
            tries.append(instruction.name)
            return Outcome.UNAVAILABLE if len(tries) == 1 else None
        return None

    thief = World(first.objects, member="b", boot="b1", key="key of b", start=first.now, fault=fault)
    assert (len(tries), thief.exit_kind, thief.node.plan.members) == (2, "refused", {})


def test_a_dead_member_can_be_revoked() -> None:
    first, _second = cluster()
    together([first], lambda: state_of(first, "b") is MemberState.DEAD)
    assert "'b' is dead already" in first.command(Verb.DRAIN, member="b")
    assert first.command(Verb.REVOKE, member="b") == "accepted"
    assert first.command(Verb.REVOKE, member="b") == "the key of 'b' is revoked already"


def test_whom_nobody_can_revoke() -> None:
    assert "no key" in World().command(Verb.REVOKE, member="m")
    world = World(key="key of m")
    assert world.command(Verb.REVOKE, member="m") == "'m' is the coordinator: drain it first, then revoke it"
    assert world.plan.denied == []
    assert world.exit is None


def test_the_list_of_revoked_keys_has_an_end() -> None:
    first, _second = cluster()
    assert first.node.term is not None
    first.node.term.ledger.plan.denied = [f"key {number}" for number in range(MAX_DENIED)]
    assert "there is room for no more" in first.command(Verb.REVOKE, member="b")
    assert state_of(first, "b") is MemberState.ALIVE
    assert first.command(Verb.UNREVOKE, member="key 7") == "accepted"
    assert first.command(Verb.REVOKE, member="b") == "accepted"
    assert len(in_force(first).denied) == MAX_DENIED


def test_what_was_durable_before_the_drain_is_let_go_of_with_it() -> None:
    sent: list[str] = []
    over: list[IslandId] = []
    handover = HandOver(lambda owner, _: sent.append(owner), over.append)
    world = World()
    world.submit(tasks=1)
    state = world.running[T0].snapshot
    handover.part(T0, state, "n-c0", 100.0)
    handover.durable([Mark(T0, state.grant, state.sequence, {})])
    assert (sent, over) == (["n-c0"], [])
    handover.leave()
    assert over == [T0]
