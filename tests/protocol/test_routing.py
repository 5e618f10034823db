"""Routing: direct, through a relay, by mail; who is credited with what; and never a second hop."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.programs  # noqa: F401 - loads the profile without time limits
from distevo.beats import Beats
from distevo.codec import encode
from distevo.errors import LocalProtocolError
from distevo.events import LinkClosed
from distevo.instructions import Send
from distevo.link import MAX_FAULTS
from distevo.messages import (
    Code,
    Command,
    ErrorReport,
    Forward,
    Goodbye,
    Head,
    Hello,
    PopulationKind,
    PopulationState,
)
from distevo.path import DIRECT, MAIL, NONE, Path, PathKind
from distevo.routes import BAD_SECONDS, MAX_RELAYS
from tests.protocol.ends import A, B, C, End, errors, hung_up
from tests.protocol.network import HEARTBEAT, Member, Net, boot_of, heartbeat
from tests.protocol.network import MAIL as MAIL_INTERVAL


def apart(*relays: str, beats: bool = False, ranks: dict[str, int] | None = None) -> Net:
    """`a` and `b` that no link can join, and relays that both are linked with."""
    net = Net(Member(A), Member(B), *(Member(relay) for relay in relays))
    net.cut(A, B)
    for member in net.members.values():
        member.beats = beats
    net.plan(ranks=ranks)
    net.run()
    assert net.linked() >= {(A, relay) for relay in relays} | {(B, relay) for relay in relays}
    return net


def via(relay: str) -> Path:
    return Path(PathKind.VIA, relay)


def bye(reason: str) -> Goodbye:
    return Goodbye(reason=reason)


def unreachable(target: str) -> ErrorReport:
    return ErrorReport(code=Code.UNREACHABLE, reason="", about=Command.FORWARD, target=target)


# --- the three paths -----------------------------------------------------------------------------


def test_a_link_is_the_first_choice() -> None:
    net = Net(Member(A), Member(B))
    net.plan()
    net.run()
    assert net.send(A, B, bye("1")) == DIRECT
    net.run()
    [delivery] = net.members[B].came
    assert (delivery.sender, delivery.boot, delivery.head, delivery.path) == (A, boot_of(A), bye("1"), DIRECT)
    assert delivery.is_fresh


def test_without_a_link_one_relay_is() -> None:
    net = apart("r")
    assert net.send(A, B, PopulationState(kind=PopulationKind.FINAL), b"payload") == via("r")
    net.run()
    [delivery] = net.members[B].came
    assert (delivery.sender, delivery.boot, delivery.payload, delivery.path) == (A, boot_of(A), b"payload", via("r"))
    assert net.members["r"].came == []


def test_without_either_mail_is() -> None:
    net = apart()
    assert net.send(A, B, bye("1")) == MAIL
    assert net.members[A].router.path(B) == MAIL


def test_there_is_no_way_to_somebody_unknown() -> None:
    net = apart("r")
    assert net.send(A, "nobody", bye("1")) == NONE == net.members[A].router.path("nobody")
    assert net.members[A].counts["unroutable"] == 1


def test_a_message_for_ourselves_is_a_fault_of_ours() -> None:
    net = apart()
    with pytest.raises(LocalProtocolError):
        net.send(A, A, bye("1"))


def test_a_link_that_opens_is_used_at_once() -> None:
    net = apart("r")
    net.send(A, B, bye("1"))
    net.heal(A, B)
    net.run(60)
    assert net.send(A, B, bye("2")) == DIRECT


def test_a_relay_that_is_lost_is_replaced_and_its_peers_are_named() -> None:
    net = apart("r", "s")
    net.send(B, A, bye("hello through r"))
    net.run()
    assert net.members[A].router.path(B) == via("r")
    net.kill("r")
    net.run()
    assert net.members[A].evidence == [("r", True, [B])]
    assert net.send(A, B, bye("2")) == via("s")
    net.run()
    assert net.members[B].heads()[-1] == (A, bye("2"))


def test_coordinator_and_standbys_are_the_first_relays() -> None:
    net = apart("p", "q", "r", ranks={"r": 0, "q": 1})
    assert net.members[A].router.path(B) == via("r")
    net.kill("r")
    net.run()
    assert net.members[A].router.path(B) == via("q")
    net.kill("q")
    net.run()
    assert net.members[A].router.path(B) == via("p")


def test_the_relay_through_which_a_peer_was_heard_goes_before_them() -> None:
    net = apart("q", "r", ranks={"q": 0})
    net.cut(B, "q")
    net.run()
    net.send(B, A, bye("1"))
    net.run()
    assert net.members[A].came[-1].path == via("r")
    assert net.send(A, B, bye("2")) == via("r")


def test_the_path_is_learned_from_refusals_and_forgotten_after_a_while() -> None:
    net = apart("q", "r")
    net.cut(B, "q")
    net.cut(B, "r")
    net.run()
    assert [net.send(A, B, bye(str(n))) for n in range(3)] == [via("q")] * 3
    net.run()
    assert net.send(A, B, bye("3")) == via("r")
    net.run()
    assert net.send(A, B, bye("4")) == MAIL
    net.run(BAD_SECONDS - 0.1)
    assert net.members[A].router.path(B) == MAIL
    net.run(0.1)
    assert net.members[A].router.path(B) == via("q")
    assert net.members[A].counts["forwards_refused"] == 2


def test_a_new_link_is_tried_as_a_relay_even_while_others_are_bad() -> None:
    net = apart("q", "r")
    net.cut(A, "r")
    net.cut(B, "q")
    net.run()
    net.send(A, B, bye("1"))
    net.run()
    assert net.members[A].router.path(B) == MAIL
    net.heal(A, "r")
    net.run(20)
    assert net.members[A].router.path(B) == via("r")


def test_no_more_than_some_relays_are_tried() -> None:
    relays = [f"r{n:02}" for n in range(MAX_RELAYS + 4)]
    net = apart(*relays)
    for relay in relays:
        net.cut(B, relay)
    net.run()
    paths = []
    for n in range(MAX_RELAYS + 1):
        paths.append(net.send(A, B, bye(str(n))))
        net.run()
    assert paths == [*map(via, relays[:MAX_RELAYS]), MAIL]


def test_heartbeats_find_the_path_that_holds_at_once() -> None:
    net = apart("p", "q", "r", beats=True)
    for relay in ("p", "q"):
        net.cut(B, relay)
    net.run(5)
    assert net.members[A].came[-1].path == via("r")
    assert net.members[B].came[-1].path == via("r")


def test_another_boot_is_another_peer() -> None:
    end = End(B, C)
    end.accepted(1, C)
    end.says(1, Forward(to=A, origin=B, boot=boot_of(B)), encode(bye("1")))
    assert len(end.a.came) == 1
    end.follow(boot="beef")
    end.says(1, Forward(to=A, origin=B, boot=boot_of(B)), encode(bye("1")))
    assert len(end.a.came) == 1
    assert end.a.counts["forwards_of_strangers"] == 1


def test_a_relay_that_refused_an_old_boot_is_asked_for_the_new_one() -> None:
    end = End(B, C)
    end.accepted(1, C)
    end.a.router.send(B, bye("1"), b"", end.now)
    end.says(1, unreachable(B))
    assert end.a.router.path(B) == MAIL
    end.follow(boot="beef")
    assert end.a.router.path(B) == via(C)


def test_a_relay_that_was_heard_through_is_good_again() -> None:
    end = End(B, C)
    end.accepted(1, C)
    end.a.router.send(B, bye("1"), b"", end.now)
    end.says(1, unreachable(B))
    end.says(1, Forward(to=A, origin=B, boot=boot_of(B)), encode(bye("2")))
    assert end.a.router.path(B) == via(C)
    end.event(LinkClosed(1))
    assert end.a.router.path(B) == MAIL
    end.accepted(2, C)
    assert end.a.router.path(B) == via(C)


def test_the_relay_that_was_heard_through_is_the_first_again_when_it_comes_back() -> None:
    relays = [f"r{n:02}" for n in range(MAX_RELAYS + 4)]
    end = End(B, *relays)
    for link, relay in enumerate(relays):
        end.accepted(link, relay)
    end.says(len(relays) - 1, Forward(to=A, origin=B, boot=boot_of(B)), encode(bye("1")))
    end.event(LinkClosed(len(relays) - 1))
    for link in range(len(relays) - 1):
        end.a.router.send(B, bye("2"), b"", end.now)
        end.says(link, unreachable(B))
    assert end.a.router.path(B) == MAIL
    end.accepted(99, relays[-1])
    assert end.a.router.path(B) == via(relays[-1])


# --- relaying ------------------------------------------------------------------------------------


def test_a_relay_stamps_whom_the_link_belongs_to() -> None:
    end = End(B, C)
    end.accepted(1, B)
    end.accepted(2, C)
    frame = encode(bye("1"))
    out = end.says(1, Forward(to=C), frame)
    assert out == [Send(2, Forward(to=C, origin=B, boot=boot_of(B)), frame)]
    assert end.a.signs == [(B, DIRECT, end.now)]
    assert end.a.came == []


def test_a_relay_without_a_link_says_so() -> None:
    end = End(B, C)
    end.accepted(1, B)
    for target in (C, "nobody"):
        [answer] = end.says(1, Forward(to=target), encode(bye("1")))
        assert isinstance(answer, Send)
        assert isinstance(answer.head, ErrorReport)
        assert (answer.link, answer.head.code, answer.head.target) == (1, Code.UNREACHABLE, target)


@pytest.mark.parametrize(
    "head",
    [
        Forward(to=C, origin=C, boot=boot_of(C)),
        Forward(to=C, origin=B, boot=boot_of(B)),
        Forward(to=B),
        Forward(to=A),
        Forward(to=A, origin=B, boot=boot_of(B)),
        Forward(to=A, origin=A, boot=boot_of(A)),
    ],
    ids=["a second hop", "stamped by its sender", "back", "not relayed", "of the relay itself", "of ourselves"],
)
def test_a_forward_that_cannot_be_right_is_refused(head: Forward) -> None:
    end = End(B, C)
    end.accepted(1, B)
    end.accepted(2, C)
    out = end.says(1, head, encode(bye("1")))
    assert errors(out) == [Code.UNEXPECTED]
    assert all(isinstance(i, Send) and i.link == 1 for i in out)
    assert end.a.came == []
    for _ in range(MAX_FAULTS):
        out = end.says(1, head, encode(bye("1")))
    assert hung_up(out) == [1]


def test_what_is_relayed_is_credited_to_its_sender_and_never_to_the_relay() -> None:
    end = End(B, C)
    end.accepted(1, C)
    end.says(1, Forward(to=A, origin=B, boot=boot_of(B)), encode(bye("1")))
    [delivery] = end.a.came
    assert (delivery.sender, delivery.path) == (B, via(C))
    assert end.a.signs == []


@pytest.mark.parametrize("origin", ["nobody", A])
def test_whom_the_plan_does_not_show_is_not_heard_through_a_relay(origin: str) -> None:
    end = End(B, C)
    end.accepted(1, C)
    end.says(1, Forward(to=A, origin=origin, boot=boot_of(origin)), encode(bye("1")))
    end.says(1, Forward(to=A, origin=B, boot="beef"), encode(bye("1")))
    end.says(1, Forward(to=A, origin=B), encode(bye("1")))
    assert end.a.came == []
    assert end.a.signs == []


def test_a_malformed_message_within_is_its_senders_fault() -> None:
    end = End(B, C)
    end.accepted(1, C)
    frame = encode(bye("1"))[:-1]
    for _ in range(2 * MAX_FAULTS):
        [answer] = end.says(1, Forward(to=A, origin=B, boot=boot_of(B)), frame)
        assert isinstance(answer, Send)
        assert answer.head == Forward(to=B)
    assert end.a.came == []
    assert end.a.counts["malformed"] == 2 * MAX_FAULTS


def test_a_greeting_within_is_dropped() -> None:
    end = End(B, C)
    end.accepted(1, C)
    hello = Hello(versions=[1], cluster="", member=B, boot=boot_of(B), incarnation=0, heartbeat_interval=1)
    assert end.says(1, Forward(to=A, origin=B, boot=boot_of(B)), encode(hello)) == []
    assert end.a.came == []


def test_errors_are_for_the_node_but_unreachable_is_for_the_routes() -> None:
    end = End(B, C)
    end.accepted(1, B)
    end.says(1, ErrorReport(code=Code.BUSY, reason="full"))
    assert [head for _, head in end.a.heads()] == [ErrorReport(code=Code.BUSY, reason="full")]
    for target in (C, "nobody", A, B):
        assert end.says(1, unreachable(target)) == []
    assert end.says(1, ErrorReport(code=Code.UNREACHABLE, reason="")) == []
    assert len(end.a.came) == 1
    assert [member for member, _, _ in end.a.signs] == [B] * 5


def test_a_relay_that_refuses_what_it_was_never_asked_changes_nothing() -> None:
    net = apart("q", "r")
    net.members["r"].router.send(A, unreachable(B), b"", net.now)
    assert net.send(A, B, bye("1")) == via("q")
    net.run()
    assert net.members[A].router.path(B) == via("q")


@settings(max_examples=60)
@given(
    size=st.integers(3, 6),
    rng=st.randoms(use_true_random=False),
    broken=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=9),
    steps=st.lists(st.tuples(st.sampled_from("ssssscht"), st.integers(0, 5), st.integers(0, 5)), max_size=30),
)
def test_a_message_arrives_at_most_once_by_two_links_at_most(
    size: int, rng: Random, broken: set[tuple[int, int]], steps: list[tuple[str, int, int]]
) -> None:
    names = [f"m{n}" for n in range(size)]
    net = Net(*(Member(name, is_dialable=rng.random() < 0.7) for name in names), rng=rng)
    for one, other in sorted(broken):
        if one != other and max(one, other) < size:
            net.cut(names[one], names[other])
    for member in net.members.values():
        member.beats = rng.random() < 0.5
    net.plan(ranks={"m1": 0})
    sent: dict[bytes, tuple[str, str, Path]] = {}
    for step, first, second in steps:
        one, other = names[first % size], names[second % size]
        if step == "t":
            net.run(rng.choice([0, 0.5, 4, 20]))
        elif one == other:
            continue
        elif step == "c":
            net.cut(one, other)
        elif step == "h":
            net.heal(one, other)
        else:
            payload = b"message %d" % len(sent)
            sent[payload] = (one, other, net.send(one, other, PopulationState(kind=PopulationKind.FINAL), payload))
    net.run(60)
    came: Counter[bytes] = Counter()
    for member in net.members.values():
        for delivery in member.came:
            assert delivery.boot == boot_of(delivery.sender)
            assert delivery.path.via not in {delivery.sender, member.id}
            if delivery.payload:
                came[delivery.payload] += 1
                assert sent[delivery.payload][:2] == (delivery.sender, member.id)
    assert max(came.values(), default=1) == 1
    hops = Counter((frame, head.origin) for _, _, head, frame in net.sent if isinstance(head, Forward))
    for (frame, _), times in hops.items():
        if any(payload in frame for payload in sent):
            assert times == 1
    for one, other in combinations(names, 2):
        net.heal(one, other)
    net.run(40)
    for one, other in combinations(names, 2):
        if net.members[one].is_dialable or net.members[other].is_dialable:
            assert net.send(one, other, bye("last")) == DIRECT


# --- heartbeats ----------------------------------------------------------------------------------


def due(end: End, seconds: float = 0.0) -> list[str]:
    end.now += seconds
    return end.a.router.due_heartbeats(end.now)


def send(end: End, to: str, head: Head) -> None:
    end.a.router.send(to, head, b"", end.now)
    end.a.outbox.take()


def test_a_heartbeat_is_due_after_an_interval_without_one() -> None:
    end = End()
    end.accepted(1)
    assert due(end, HEARTBEAT - 0.1) == []
    assert due(end, 0.1) == [B]
    assert due(end) == [], "once an interval, whether it was sent or not"
    assert due(end, HEARTBEAT) == [B]
    for _ in range(30):
        send(end, B, heartbeat())
        assert due(end, HEARTBEAT / 2) == []


def test_the_deadline_follows_the_heartbeats_and_nothing_else() -> None:
    end = End()
    end.accepted(1)
    end.wait(7.0)
    send(end, B, heartbeat())
    assert end.a.router.next_deadline() == 7.0 + HEARTBEAT
    end.now = 16.0
    send(end, B, bye("1"))
    assert end.a.router.next_deadline() == 7.0 + HEARTBEAT
    send(end, B, heartbeat())
    assert end.a.router.next_deadline() == 16.0 + HEARTBEAT


@pytest.mark.parametrize("kind", [PathKind.DIRECT, PathKind.VIA, PathKind.MAIL])
def test_who_is_sent_much_else_hears_heartbeats_as_often(kind: PathKind) -> None:
    net = apart("r") if kind is PathKind.VIA else apart()
    if kind is PathKind.DIRECT:
        net.heal(A, B)
        net.run(30)
    net.members[A].beats = True
    paths = set()
    for n in range(150):
        paths.add(net.send(A, B, bye(str(n))).kind)
        net.run(2)
    assert paths == {kind}
    heard = sum(head == heartbeat() for sender, head in net.members[B].heads() if sender == A)
    assert heard == pytest.approx(300 / (MAIL_INTERVAL if kind is PathKind.MAIL else HEARTBEAT), abs=2)


def test_by_mail_they_are_as_rare_as_boxes() -> None:
    net = apart()
    net.members[A].beats = True
    net.run(300)
    boxes = net.members[A].counts["boxes_written"]
    assert boxes == pytest.approx(300 / MAIL_INTERVAL, abs=1)
    assert boxes <= net.members[A].counts["sent_heartbeat"] <= 1.2 * boxes
    signs = [at for member, path, at in net.members[B].signs if path == MAIL]
    assert len(signs) >= boxes - 2


def test_a_path_that_has_become_shorter_is_noticed_within_two_of_its_intervals() -> None:
    intervals = {B: 15.0}
    beats = Beats(intervals.__getitem__, 5.0)
    beats.watch(B, 0.0)
    assert beats.due(5.0) == []
    intervals[B] = 5.0
    assert beats.next_deadline() == 10.0
    assert beats.due(10.0) == [B]
    intervals[B] = 15.0
    assert [now for now in range(11, 60) if beats.due(now)] == [25, 40, 55]


def test_a_beat_on_a_path_that_is_a_little_longer_wakes_nobody_before() -> None:
    beats = Beats({B: 13.0}.__getitem__, 10.0)
    beats.watch(B, 0.0)
    assert beats.due(10.0) == []  # the path was not known yet when it was greeted
    moments = []
    while (at := beats.next_deadline()) < 60:
        moments.append((at, beats.due(at)))
    assert moments == [(13.0, [B]), (26.0, [B]), (39.0, [B]), (52.0, [B])]


def test_a_lost_link_makes_one_due_on_another_path() -> None:
    net = apart("r", beats=True)
    net.heal(A, B)
    net.run(50)
    assert net.members[A].router.is_linked(B)
    net.cut(A, B)
    net.run(0.5)
    assert net.members[B].came[-1].path == net.members[A].came[-1].path == via("r")


def test_a_lost_relay_makes_one_due_for_those_behind_it() -> None:
    net = apart("r", "s", beats=True)
    net.run(50)
    assert net.members[B].came[-1].path in {via("r"), DIRECT}
    net.kill("r")
    net.run(0.5)
    for who in (A, B):
        [last] = [delivery for delivery in net.members[who].came[-2:] if delivery.sender in {A, B}][-1:]
        assert last.path == via("s")


def test_who_is_gone_is_owed_nothing() -> None:
    end = End(B, C)
    end.accepted(1, B)
    end.follow(B)
    assert due(end, 100) == [C]
    end.follow(C)
    assert due(end, 100) == []
    assert end.a.router.peers() == []


def test_a_plan_that_changes_nothing_costs_nothing() -> None:
    end = End(B, C)
    end.accepted(1, B)
    end.out.clear()
    for _ in range(3):
        end.follow()
    assert end.out == []


def test_messages_are_counted_by_command() -> None:
    net = apart("r")
    net.send(A, B, bye("1"))
    net.send(A, "r", heartbeat())
    net.run()
    assert net.members[A].counts["sent_goodbye"] == net.members[B].counts["received_goodbye"] == 1
    assert net.members["r"].counts["received_heartbeat"] == 1
    assert (net.members[A].counts["sent_hello"], net.members["r"].counts["received_hello"]) == (1, 2)
    assert net.members["r"].counts["sent_welcome"] == 2
    assert net.members["r"].counts["forwards_relayed"] == net.members[A].counts["sent_forward"] == 1
