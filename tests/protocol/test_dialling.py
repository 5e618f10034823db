"""Which links a member wishes for, who dials, and when again."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.programs  # noqa: F401 - loads the profile without time limits
from distevo.contact import CANDIDATES, FAR, FULL_MESH, Contact, wished, with_relays
from distevo.dialling import LONGEST_WAIT, STABLE_SECONDS, YIELD_SECONDS
from distevo.events import DialFailed, LinkClosed
from distevo.instructions import Dial
from distevo.link import LinkState
from distevo.links import SURPLUS_SECONDS
from tests.protocol.ends import OTHER_BOOT, A, B, C, End
from tests.protocol.network import Member, Net, boot_of, contact, key_of

# --- dialling ------------------------------------------------------------------------------------


def dialled_at(net: Net, who: str) -> list[float]:
    return [at for at, dialler, _ in net.dials if dialler == who]


def test_the_lower_id_dials_and_the_other_only_after_a_while() -> None:
    net = Net(Member(A), Member(B))
    net.plan()
    net.run(20)
    assert net.dials == [(0.0, A, B)]
    net = Net(Member(A), Member(B))
    net.cut(A, B)
    net.plan()
    net.run(YIELD_SECONDS)
    assert dialled_at(net, B) == [YIELD_SECONDS]


def test_who_cannot_be_dialled_dials_at_once() -> None:
    net = Net(Member(A), Member(B, is_dialable=False), Member(C, is_dialable=False))
    net.plan()
    net.run(60)
    assert net.dials == [(0.0, B, A), (0.0, C, A)]
    assert net.linked() == {(A, B), (B, A), (A, C), (C, A)}


def test_a_link_that_lasted_is_dialled_again_at_once_and_then_with_growing_waits() -> None:
    net = Net(Member(A), Member(B))
    net.plan()
    net.run(STABLE_SECONDS)
    net.cut(A, B)
    net.run(200)
    times = dialled_at(net, A)[1:]
    assert times[0] == STABLE_SECONDS
    waits = [later - earlier for earlier, later in pairwise(times)]
    longest = [1, 2, 4, 8, 16, 30, 30, 30]
    assert len(waits) >= len(longest)
    for wait, most in zip(waits, longest, strict=False):
        assert most / 2 <= wait < most
    assert len(set(waits)) == len(waits), "each wait has its own jitter"


def test_both_ends_try_within_a_second_of_a_loss() -> None:
    net = Net(Member(A), Member(B))
    net.plan()
    net.run(STABLE_SECONDS)
    net.cut(A, B)
    net.run(0.9)
    assert dialled_at(net, A)[1:] != []
    assert dialled_at(net, B) != []


def test_a_link_that_never_lasts_is_not_dialled_without_rest() -> None:
    net = Net(Member(A), Member(B))
    net.plan()
    for _ in range(600):
        net.run(0.1)
        for number in net.members[A].all_links():
            net.drop(number)
    assert len(net.dials) < 12


def test_a_new_endpoint_or_boot_is_dialled_without_waiting() -> None:
    end = End()
    end.dials()
    for _ in range(6):
        end.event(DialFailed(B, "no"))
        end.wait(LONGEST_WAIT)
    end.event(DialFailed(B, "no"))
    for changed in (
        Contact(boot_of(B), key_of(B), ("tcp://elsewhere",)),
        Contact(OTHER_BOOT, key_of(B), ("tcp://elsewhere",)),
    ):
        end.out.clear()
        end.contacts = {B: changed}
        end.follow()
        assert [i.endpoints for i in end.out if isinstance(i, Dial)] == [("tcp://elsewhere",)]
        end.event(DialFailed(B, "no"))


def test_a_rank_that_changes_changes_no_dial() -> None:
    end = End()
    end.dials()
    end.event(DialFailed(B, "no"))
    end.out.clear()
    end.contacts = {B: Contact(boot_of(B), key_of(B), contact(B).endpoints, rank=0)}
    end.follow()
    assert end.out == []


def test_the_jitter_is_the_same_every_time_and_another_for_each_member() -> None:
    def waits(who: str) -> list[float]:
        net = Net(Member(who), Member("z"))
        net.cut(who, "z")
        net.plan()
        net.run(100)
        return dialled_at(net, who)

    assert waits(A) == waits(A) != waits(B)


# --- which links ---------------------------------------------------------------------------------


def plan_of(size: int, ranks: dict[str, int]) -> dict[str, Contact]:
    return {f"m{n}": contact(f"m{n}", rank=ranks.get(f"m{n}", FAR)) for n in range(size)}


def wishes(shown: dict[str, Contact]) -> dict[str, set[str]]:
    return {
        me: set(wished(me, entry.rank, {other: shown[other] for other in shown if other != me}))
        for me, entry in shown.items()
    }


def test_up_to_a_size_all_are_linked_with_all() -> None:
    wish = wishes(plan_of(FULL_MESH, {"m5": 0}))
    assert all(wish[me] == wish.keys() - {me} for me in wish)


@settings(max_examples=20)
@given(st.integers(FULL_MESH + 1, 120), st.integers(0, 3))
def test_in_a_larger_cluster_links_are_few_mutual_and_connected(size: int, candidates: int) -> None:
    wish = wishes(plan_of(size, {f"m{7 * rank}": rank for rank in range(candidates)}))
    assert all(me in wish[other] for me in wish for other in wish[me])
    assert all(wish[f"m{7 * rank}"] == wish.keys() - {f"m{7 * rank}"} for rank in range(candidates))
    others = [len(wish[me]) for me in wish if me not in {f"m{7 * rank}" for rank in range(candidates)}]
    assert min(others) >= 6
    assert max(others) <= 6 + CANDIDATES
    reached, edge = {"m1"}, {"m1"}
    while edge:
        edge = {other for me in edge for other in wish[me]} - reached
        reached |= edge
    assert reached == wish.keys()


def test_those_who_can_be_dialled_are_linked_with_all_where_no_candidate_can() -> None:
    order = {f"m{n}": n for n in range(60)}
    ranks = with_relays(order, {"m40", "m50", "m55"})
    assert {member for member in ranks if ranks[member] < CANDIDATES} == {"m0", "m1", "m2", "m40", "m50"}
    wish = wishes(plan_of(60, ranks))
    assert all({"m40", "m50"} - {me} <= wish[me] for me in wish)
    assert all(me in wish[other] for me in wish for other in wish[me])
    assert with_relays(order, {"m0", "m2", "m50"}) == order, "candidates that can be dialled relay themselves"
    assert with_relays({}, {"m0"}) == {}


def test_few_wishes_change_when_one_member_comes() -> None:
    shown = plan_of(100, {"m0": 0})
    before = wishes({member: entry for member, entry in shown.items() if member != "m50"})
    after = wishes(shown)
    assert sum(before[me] != after[me] - {"m50"} for me in before) <= 6


def test_whom_the_node_wants_is_linked_too() -> None:
    shown = plan_of(60, {})
    contacts = {member: entry for member, entry in shown.items() if member != "m0"}
    far = next(member for member in contacts if member not in wished("m0", FAR, contacts))
    assert far in wished("m0", FAR, contacts, [far, "nobody"])


def test_a_cluster_of_fifty_makes_the_links_it_wishes_for() -> None:
    ranks = {"m0": 0, "m1": 1, "m2": 2}
    net = Net(*(Member(f"m{n}", is_dialable=n % 3 != 1) for n in range(50)))
    net.plan(ranks=ranks)
    net.run(YIELD_SECONDS + 1)
    linked = net.linked()
    assert all((other, me) in linked for me, other in linked)
    for me in net.members:
        assert ("m0", me) in linked or me == "m0"
    for member in net.members.values():
        for other in member.router.peers():
            can = member.is_dialable or net.members[other].is_dialable
            assert ((member.id, other) in linked) == can


def test_who_was_dialled_does_not_end_a_link_that_it_needs_no_more() -> None:
    end = End(*[f"m{n:03}" for n in range(FULL_MESH + 20)])
    far = next(member for member in end.contacts if member not in wished(A, FAR, end.contacts))
    end.accepted(1, far)
    end.wait(10 * SURPLUS_SECONDS)
    assert end.state(1) is LinkState.OPEN
    end.event(LinkClosed(1))
    assert end.a.evidence == [(far, False, [])], "perhaps it was surplus for the other end"
