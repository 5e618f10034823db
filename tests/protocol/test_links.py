"""Links: greetings, strangers, faults, and two links at once."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.programs  # noqa: F401 - loads the profile without time limits
from distevo.contact import Contact
from distevo.dialling import LONGEST_WAIT
from distevo.events import Malformed
from distevo.instructions import Dial, Send
from distevo.link import (
    CROSSING_SECONDS,
    FAULT_SECONDS,
    GREETING_SECONDS,
    MAX_FAULTS,
    LinkState,
)
from distevo.links import MAX_WAITING
from distevo.messages import VERSION, Code, Command, Welcome
from tests.protocol.ends import OTHER_BOOT, A, B, C, End, errors, heads, hung_up
from tests.protocol.network import Member, Net, boot_of, heartbeat, key_of


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"versions": [VERSION + 1]}, Code.VERSION),
        ({"cluster": "c2"}, Code.CLUSTER),
        ({"member": C}, Code.IDENTITY),
        ({"member": A}, Code.IDENTITY),
        ({"member": "stranger"}, Code.IDENTITY),
    ],
)
def test_a_hello_that_cannot_be_right_is_refused(changes: dict[str, object], code: Code) -> None:
    end = End(B, C)
    end.opened(1)
    out = end.hello(1, **changes)
    assert (errors(out), hung_up(out)) == ([code], [1])
    assert end.a.links == []
    assert end.a.strangers == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": VERSION + 1}, Code.VERSION),
        ({"cluster": "c2"}, Code.CLUSTER),
        ({"member": C}, Code.IDENTITY),
    ],
)
def test_a_welcome_that_cannot_be_right_is_refused(changes: dict[str, object], code: Code) -> None:
    end = End(B, C)
    end.dials()
    end.opened(1, is_dialled=True)
    out = end.welcome(1, **changes)
    assert (errors(out), hung_up(out)) == ([code], [1])
    # It will hardly be right a second later.
    assert [i for i in end.wait(LONGEST_WAIT / 2 - 0.1) if isinstance(i, Dial)] == []
    assert [i.member for i in end.wait(LONGEST_WAIT) if isinstance(i, Dial)] == [B]


def test_faults_of_long_ago_are_forgotten() -> None:
    end = End()
    end.accepted(1)
    for _ in range(3):
        for _ in range(MAX_FAULTS):
            end.event(Malformed(1, Code.MALFORMED, ""))
        end.wait(FAULT_SECONDS + 1)
    assert end.state(1) is LinkState.OPEN


def test_an_old_boot_that_says_hello_is_refused() -> None:
    end = End()
    end.follow(boot=OTHER_BOOT)
    end.opened(1)
    out = end.hello(1)
    assert (errors(out), hung_up(out), end.a.strangers) == ([Code.IDENTITY], [1], [])
    end.opened(2)
    end.hello(2, boot="cafe")
    assert end.a.strangers == [key_of(B)], "a boot that was never seen may be a newer one"


def test_a_boot_is_right_if_the_plan_says_so_whatever_it_said_before() -> None:
    end = End()
    end.follow(boot=OTHER_BOOT)
    end.follow(boot=boot_of(B))
    end.accepted(1)


def test_the_link_of_a_boot_ends_with_it() -> None:
    end = End()
    end.accepted(1)
    end.follow(boot=OTHER_BOOT)
    assert hung_up(end.out) == [1]
    assert end.says(1, heartbeat()) == []
    assert end.a.came == []
    assert end.a.evidence == [(B, False, [])], "we hung up: that says nothing of it"
    assert end.a.counts["late"] == 1


def test_our_own_key_and_id_are_nobody_elses() -> None:
    end = End()
    end.opened(1, key=key_of(A))
    assert errors(end.hello(1, "x")) == [Code.IDENTITY]
    end.opened(2, key="a copied configuration's")
    assert errors(end.hello(2, A)) == [Code.IDENTITY]
    assert end.a.strangers == []


@pytest.mark.parametrize(
    ("member", "key"), [(B, "of a new session"), ("renamed", key_of(B))], ids=["its id with another key", "its key"]
)
def test_who_is_dead_defends_neither_id_nor_key(member: str, key: str) -> None:
    end = End()
    end.opened(1, key=key)
    assert errors(end.hello(1, member, OTHER_BOOT)) == [Code.IDENTITY], "while it lives it does"
    end.contacts = {B: msgspec.structs.replace(end.contacts[B], is_alive=False)}
    end.follow()
    end.opened(2, key=key)
    assert (errors(end.hello(2, member, OTHER_BOOT)), end.a.strangers) == ([Code.NOT_YET_KNOWN], [key])
    end.contacts = end.contacts | {member: Contact(OTHER_BOOT, key)}
    end.out.clear()
    end.follow()
    assert heads(end.out) == [Command.WELCOME]
    end.opened(3)
    assert errors(end.hello(3)) == ([Code.IDENTITY] if member == B else []), "nor is it let in under it any more"


def test_the_key_of_who_lives_is_not_let_in_under_the_id_of_who_is_dead() -> None:
    end = End(B, C)
    end.contacts[C] = msgspec.structs.replace(end.contacts[C], is_alive=False)
    end.follow()
    end.opened(1, key=key_of(B))
    out = end.hello(1, C, OTHER_BOOT)
    assert (errors(out), hung_up(out), end.a.strangers) == ([Code.IDENTITY], [1], [])


def test_a_dead_boot_is_nobody_elses() -> None:
    end = End()
    end.contacts = {B: msgspec.structs.replace(end.contacts[B], is_alive=False)}
    end.follow()
    end.opened(1, key="another")
    assert (errors(end.hello(1)), end.a.strangers) == ([Code.IDENTITY], [])
    end.accepted(2)


def test_an_unknown_cluster_is_no_other_cluster() -> None:
    end = End()
    end.opened(1)
    assert heads(end.hello(1, cluster="")) == [Command.WELCOME]


def test_links_that_wait_are_bounded() -> None:
    end = End()
    end.accepted(0)
    for link in range(1, MAX_WAITING + 1):
        assert end.opened(link, f"s{link}") == []
    assert hung_up(end.opened(MAX_WAITING + 1, "one too many")) == [MAX_WAITING + 1]
    assert end.state(0) is LinkState.OPEN
    end.wait(GREETING_SECONDS)
    assert list(end.a.all_links()) == [0]


def test_the_highest_version_in_common_is_chosen() -> None:
    end = End()
    end.a.versions = [VERSION, VERSION + 1, VERSION + 2]
    end.opened(1)
    out = end.hello(1, versions=[VERSION + 1, VERSION, VERSION + 9])
    assert [i.head.version for i in out if isinstance(i, Send) and isinstance(i.head, Welcome)] == [VERSION + 1]


# --- two links at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(A, B), (B, A)])
def test_of_two_links_that_crossed_both_ends_keep_what_the_lower_id_dialled(order: tuple[str, str]) -> None:
    net = Net(Member(A, is_dialable=False), Member(B, is_dialable=False))
    net.plan()
    numbers = {}
    for who in order:
        numbers[who] = net.connect(who, B if who == A else A)
    net.run()
    assert net.linked() == {(A, B), (B, A)}
    assert list(net.members[A].all_links()) == [numbers[A]]
    assert list(net.members[B].all_links()) == [numbers[A] + 1]
    assert [net.members[who].told() for who in (A, B)] == [[("linked", B)], [("linked", A)]]
    net.run(5)
    assert [net.members[who].told() for who in (A, B)] == [[("linked", B)], [("linked", A)]], "nothing was lost"


@pytest.mark.parametrize("member", ["0", B])
def test_of_two_links_that_one_end_dialled_the_newer_is_kept_whoever_has_the_lower_id(member: str) -> None:
    end = End(member)
    end.accepted(1, member)
    end.opened(2, member)
    assert hung_up(end.hello(2, member)) == [1]


def test_a_half_open_link_gives_way_to_whoever_has_lost_it() -> None:
    end = End()
    end.dials()
    end.opened(1, is_dialled=True)
    end.welcome(1)
    end.wait(CROSSING_SECONDS + 1)
    end.opened(2)
    assert hung_up(end.hello(2)) == [1], "a is the lower id, but these two did not cross"
    assert end.a.told() == [("linked", B)]


def test_a_dial_that_is_no_longer_needed_is_hung_up() -> None:
    end = End()
    end.dials()
    end.accepted(1)
    assert hung_up(end.opened(2, is_dialled=True)) == [2]
    assert end.state(1) is LinkState.OPEN


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_links_that_cross_in_any_order_leave_one_that_both_ends_use(rng: Random) -> None:
    net = Net(Member(A, is_dialable=False), Member(B, is_dialable=False), rng=rng)
    net.plan()
    net.connect(A, B)
    net.connect(B, A)
    net.run()
    assert net.linked() == {(A, B), (B, A)}
    [link], [far_link] = (net.members[who].all_links() for who in (A, B))
    assert net.ends[link] == (B, far_link)
