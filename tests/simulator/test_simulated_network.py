"""The network of the simulator: connections between boots, and what its faults do to them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from distevo.events import DialFailed, Event, LinkClosed, LinkOpened, Malformed, Received
from distevo.instructions import Dial, Send
from distevo.messages import Code, Command, Goodbye
from distevo.simulator import config
from distevo.simulator.agenda import Agenda
from distevo.simulator.faults import Cut, Lossy, Partition, Undialable
from distevo.simulator.network import End, Network, endpoint_of


class Peer:
    """A boot that only listens."""

    def __init__(self, member: str) -> None:
        self.host, self.key, self.latency = member, f"key {member}", 0.01
        self.denied: frozenset[str] | None = frozenset()
        self.links: dict[int, End] = {}
        self.is_suspended = False
        self.heard: list[Event] = []
        self._links = 0

    def next_link(self) -> int:
        self._links += 1
        return self._links

    def feed(self, event: Event) -> None:
        self.heard.append(event)

    def reasons(self) -> list[str]:
        """Of the messages heard, in order: each carries its own."""
        return [
            event.head.reason for event in self.heard if isinstance(event, Received) and isinstance(event.head, Goodbye)
        ]

    def kinds(self) -> list[type]:
        return [type(event) for event in self.heard]


class Wire:
    """Two boots on a network."""

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        self.agenda = Agenda()
        self.network = Network(config.Network(**settings), self.agenda, random.Random(seed))
        self.a, self.b = Peer("a"), Peer("b")
        self.network.join(self.a)
        self.network.join(self.b)

    def dial(self, key: str = "key b", *endpoints: str) -> None:
        self.network.dial(self.a, Dial("b", endpoints or (endpoint_of("b"),), key))
        self.wait(10)

    def connected(self) -> Wire:
        self.dial()
        self.a.heard.clear()
        self.b.heard.clear()
        return self

    def say(self, *reasons: str, to: str = "b") -> None:
        source = self.a if to == "b" else self.b
        for reason in reasons:
            self.network.send(source, Send(1, Goodbye(reason=reason)))

    def wait(self, seconds: float = 5) -> None:
        self.agenda.run(self.agenda.now + seconds)


@pytest.mark.parametrize(("denied", "reason"), [(None, "it lets nobody in yet"), (frozenset({"key a"}), "not let in")])
def test_who_is_not_let_in_learns_it(denied: frozenset[str] | None, reason: str) -> None:
    wire = Wire()
    wire.b.denied = denied
    wire.dial()
    assert (wire.a.heard, wire.b.heard) == ([DialFailed("b", reason)], [])


def test_both_ends_learn_of_a_connection_and_of_the_others_key() -> None:
    wire = Wire()
    wire.dial()
    assert wire.a.heard == [LinkOpened(1, "key b", "b")]
    assert wire.b.heard == [LinkOpened(1, "key a")]


def test_frames_arrive_in_order() -> None:
    wire = Wire(jitter=1.0).connected()
    said = [str(number) for number in range(50)]
    wire.say(*said)
    wire.say("back", to="a")
    wire.wait()
    assert wire.b.reasons() == said
    assert wire.a.reasons() == ["back"]
    assert wire.network.sent == {Command.GOODBYE: 51}


def test_dialling_what_cannot_be_dialled() -> None:
    for spoil, reason in (
        (lambda wire: wire.dial("key c"), "it has another key"),
        (lambda wire: wire.network.dial(wire.a, Dial("b", (), "key b")), "it has no endpoint"),
        (lambda wire: (wire.network.leave(wire.b, False), wire.dial()), "refused"),
        (lambda wire: (wire.network.leave(wire.b, True), wire.dial()), "no answer"),
        (lambda wire: (setattr(wire.b, "is_suspended", True), wire.dial()), "no answer"),
        (lambda wire: (wire.network.begin(Undialable(at=0, seconds=9, member="b")), wire.dial()), "no answer"),
        (lambda wire: (wire.network.begin(Cut(at=0, seconds=9, source="b", target="a")), wire.dial()), "no answer"),
    ):
        wire = Wire()
        spoil(wire)
        wire.wait()
        assert wire.a.heard == [DialFailed("b", reason)]


def test_hanging_up_closes_the_other_side_after_what_was_sent() -> None:
    wire = Wire().connected()
    wire.say("last")
    wire.network.hang_up(wire.a, 1)
    wire.say("too late")
    wire.wait()
    assert wire.b.kinds() == [Received, LinkClosed]
    assert wire.a.heard == []
    assert wire.network.lost == 1


def test_a_process_that_dies_closes_its_connections_and_a_machine_does_not() -> None:
    for is_silent, kinds in ((False, [LinkClosed]), (True, [])):
        wire = Wire().connected()
        wire.network.leave(wire.a, is_silent)
        wire.wait()
        assert wire.b.kinds() == kinds


def test_a_machine_that_is_back_refuses_the_frames_of_its_former_life() -> None:
    wire = Wire().connected()
    wire.network.leave(wire.b, True)
    wire.say("lost")
    wire.wait()
    assert wire.a.heard == []
    reborn = Peer("b")
    wire.network.join(reborn)
    wire.say("refused")
    wire.wait()
    assert wire.a.kinds() == [LinkClosed]
    assert reborn.heard == []


def test_a_cut_swallows_one_direction() -> None:
    wire = Wire().connected()
    cut = Cut(at=0, seconds=9, source="a", target="b")
    wire.network.begin(cut)
    wire.say("lost")
    wire.say("heard", to="a")
    wire.wait()
    assert (wire.a.reasons(), wire.b.reasons()) == (["heard"], [])
    wire.network.end(cut)
    wire.say("again")
    wire.wait()
    assert wire.b.reasons() == ["again"]


@pytest.mark.parametrize(("closes_after", "kinds"), [(None, []), (2.0, [LinkClosed])])
def test_a_partition_is_noticed_or_not(closes_after: float | None, kinds: list[type]) -> None:
    wire = Wire().connected()
    wire.network.begin(Partition(at=0, seconds=9, sides=[["a"], ["b"]], closes_after=closes_after))
    wire.say("lost")
    wire.wait()
    assert wire.a.kinds() == wire.b.kinds() == kinds


def test_who_is_on_no_side_of_a_partition_reaches_all() -> None:
    wire = Wire().connected()
    wire.network.begin(Partition(at=0, seconds=9, sides=[["a"], ["c"]]))
    wire.say("heard")
    wire.wait()
    assert wire.b.reasons() == ["heard"]


def test_a_lost_frame_holds_up_those_behind_it_or_costs_the_connection() -> None:
    for breaks in (0.0, 1.0):
        wire = Wire().connected()
        wire.network.begin(Lossy(at=0, seconds=9, loss=1.0, breaks=breaks))
        wire.say("1", "2", "3")
        wire.wait(10)
        assert wire.b.reasons() == ([] if breaks else ["1", "2", "3"])
        assert (LinkClosed in wire.a.kinds()) is (LinkClosed in wire.b.kinds()) is bool(breaks)


def test_harsher_than_any_connection_frames_come_twice_and_out_of_order() -> None:
    wire = Wire(jitter=0.5).connected()
    wire.network.begin(Lossy(at=0, seconds=9, loss=0.0, duplicates=0.5, reorders=0.5))
    said = [str(number) for number in range(50)]
    wire.say(*said)
    wire.wait()
    heard = wire.b.reasons()
    assert set(heard) == set(said)
    assert len(heard) > len(said)
    assert list(dict.fromkeys(heard)) != said


def test_a_reset_closes_both_ends() -> None:
    wire = Wire().connected()
    wire.network.reset("b")
    wire.network.reset("nobody")
    assert wire.a.kinds() == wire.b.kinds() == [LinkClosed]


def test_frames_may_travel_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(has_codec=True).connected()
    wire.say("hello")
    wire.wait()
    assert wire.b.reasons() == ["hello"]
    monkeypatch.setattr("distevo.simulator.network.encode", lambda head, payload: b"garbage")
    wire.say("hello")
    wire.wait()
    (event,) = wire.b.heard[1:]
    assert isinstance(event, Malformed)
    assert event.code == Code.MALFORMED
