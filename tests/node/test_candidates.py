"""Candidates whom the store serves badly give way to whoever it serves well; and ids that were somebody's before."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from distevo.cluster import decode_cluster, encode_cluster
from distevo.command import Verb
from distevo.events import Outcome
from distevo.instructions import CreateObject, ListObjects, ReadObject, StoreInstruction
from distevo.names import CLUSTER, INBOX_RUNS, PLANS
from distevo.phase import Phase
from distevo.plan import MemberState
from tests.node.test_leavers import LONG, cluster, in_force, record, state_of, together
from tests.node.test_node import T0
from tests.node.world import World

Fault = Callable[[StoreInstruction], Outcome | None]


def gives_no_runs(order: StoreInstruction) -> Outcome | None:
    return Outcome.UNAVAILABLE if isinstance(order, ReadObject) and order.name.startswith(INBOX_RUNS) else None


def takes_no_writes(order: StoreInstruction) -> Outcome | None:
    return None if isinstance(order, ReadObject | ListObjects) else Outcome.UNAVAILABLE


def three(fault: Fault) -> tuple[World, World, World]:
    """`a` coordinates; `b`, which comes next, is served badly; `c` comes after it."""
    first, second = cluster()
    third = World(first.objects, member="c", boot="c0", key="key of c", start=first.now)
    together([first, second, third], lambda: all(len(world.plan.members) == 3 for world in (second, third)))
    second.fault = fault
    return first, second, third


def follow_each_other(leader: World, follower: World) -> bool:
    return follower.node.phase is Phase.WATCHING and follower.plan.version == leader.plan.version


@pytest.mark.parametrize("fault", [gives_no_runs, takes_no_writes])
def test_a_candidate_that_gets_no_further_follows_whoever_does(fault: Fault) -> None:
    first, second, third = three(fault)
    first.stop()
    assert first.exit == ""
    together([second, third], lambda: record(third).holder == "c")
    together([second, third], lambda: follow_each_other(third, second))
    assert state_of(third, "b") is MemberState.ALIVE


@pytest.mark.parametrize(
    ("fault", "kind", "prefix"), [(gives_no_runs, ReadObject, INBOX_RUNS), (takes_no_writes, CreateObject, PLANS)]
)
def test_for_a_lost_candidacy_nothing_is_asked_any_more(
    fault: Fault, kind: type[ReadObject | CreateObject], prefix: str
) -> None:
    first, second, third = three(fault)
    first.stop()
    together([second, third], lambda: record(third).holder == "c")
    together([second, third], lambda: follow_each_other(third, second))
    tried: list[str] = []

    def noted(order: StoreInstruction) -> Outcome | None:
        if isinstance(order, kind) and order.name.startswith(prefix):
            tried.append(order.name)
        return fault(order)

    second.fault = noted
    for _ in range(240):
        second.pass_time(0.25)
        third.pass_time(0.25)
    assert tried == []


def test_a_coordinator_that_may_write_no_more_follows_its_successor() -> None:
    first, second = cluster()
    first.fault = takes_no_writes
    first.order(Verb.PRIORITY, priority=3)
    together([first, second], lambda: record(second).holder == "b")
    together([first, second], lambda: follow_each_other(second, first))
    first.fault = lambda _: None
    second.fault = takes_no_writes
    together([first, second], lambda: record(first).holder == "a")
    assert first.node.phase is Phase.COORDINATING


def test_a_platform_that_may_not_write_ends_when_it_is_revoked() -> None:
    first, second, third = three(takes_no_writes)
    first.stop()
    together([second, third], lambda: record(third).holder == "c")
    assert third.command(Verb.REVOKE, member="b") == "accepted"
    together([second, third], lambda: second.exit_kind == "refused")


def test_a_session_with_new_keys_goes_on_where_nobody_was_left_to_see_the_last_one_end() -> None:
    before = World(key="key of the first session")
    before.submit(tasks=1, evaluations=LONG)
    before.generation(T0)
    before.pass_time(10)
    now = World(before.objects, boot="b1", key="key of the second", start=before.now + 3600)
    now.pass_time(60)
    assert now.exit is None
    assert now.running[T0].snapshot.generation == 1


def test_it_does_not_load_again_and_again_while_it_has_not_read_the_plan() -> None:
    before = World(key="key of the first session")
    before.submit(tasks=1, evaluations=LONG)
    before.pass_time(10)
    held, token = before.objects[CLUSTER]
    released = msgspec.structs.replace(decode_cluster(held), holder="", boot="")
    before.objects[CLUSTER] = encode_cluster(released), token + 1
    plans_read = candidacies = 0

    def fault(order: StoreInstruction) -> Outcome | None:
        nonlocal plans_read, candidacies
        candidacies += isinstance(order, ListObjects) and order.prefix == PLANS
        assert candidacies < 10
        if isinstance(order, ReadObject) and order.name.startswith(PLANS):
            plans_read += 1
            return Outcome.UNAVAILABLE if plans_read == 1 else None
        return None

    now = World(before.objects, boot="b1", key="key of the second", start=before.now + 3600, fault=fault)
    now.pass_time(60)
    assert T0 in now.running
    assert candidacies == 2


def test_so_it_does_where_others_died_with_it() -> None:
    first, second = cluster()
    assert record(first).holder == "a"
    now = World(first.objects, member="b", boot="b1", key="another key", start=second.now + 3600)
    now.pass_time(90)
    assert now.exit is None
    assert in_force(now).members["b"].boot == "b1"
    assert state_of(now, "a") is MemberState.DEAD


def test_a_platform_that_lives_defends_its_id_also_when_nobody_coordinates() -> None:
    first, second = cluster()
    first.fault = lambda _: Outcome.UNAVAILABLE
    copy = World(first.objects, member="b", boot="b1", key="another key", start=second.now)
    together([second, copy], lambda: record(second).holder == "b")
    assert record(second).boot == "b0"
    together([second, copy], lambda: copy.exit is not None)
    assert copy.exit_kind == "refused"
    assert second.exit is None
