"""The shell of the simulator around a node: clocks, standing still, lying decisions, and ends."""

from __future__ import annotations

import random
from typing import Any

import pytest

from distevo.errors import LocalProtocolError
from distevo.events import Event, InboxChanged, IslandId, StoreAnswer, Tick, WorkerReady
from distevo.instructions import Exit, Instruction, ReadObject, StartWorker
from distevo.node_settings import NodeSettings
from distevo.simulator import config
from distevo.simulator.agenda import Agenda
from distevo.simulator.boot import BOUNDED, RAISED, SPINS, Boot
from distevo.simulator.clock import Clock
from distevo.simulator.invariants.violation import Violation
from distevo.simulator.network import Network
from distevo.simulator.store import Store
from distevo.simulator.trace import Trace
from distevo.simulator.workers import Workers

SETTINGS = NodeSettings(member="m", boot="1", key="key m", kind="server", workers=1, memory_mb=1, batch_size=1)


class FakeNode:
    """Notes what it hears, and says what it was told to."""

    says: list[Instruction]
    heard: list[tuple[float, Event]]

    def __init__(self, settings: NodeSettings, rng: random.Random) -> None:
        self.heard, self.says = [], []
        self.deadline: float | None = None
        self.fault: Exception | None = None
        self.is_bounded = True

    def start(self, now: float) -> list[Instruction]:
        return []

    def handle(self, event: Event, now: float) -> list[Instruction]:
        self.heard.append((now, event))
        if self.fault is not None:
            raise self.fault
        if isinstance(event, Tick) and self.deadline is not None and now >= self.deadline:
            self.deadline = None
        said, self.says = self.says, []
        return said

    def next_deadline(self) -> float | None:
        return self.deadline

    def validate(self) -> None:
        if not self.is_bounded:
            raise LocalProtocolError("too long")


class Around:
    """The world of one boot."""

    validate_every = 1

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: Clock | None = None) -> None:
        monkeypatch.setattr("distevo.simulator.boot.Node", FakeNode)
        self.agenda, self.trace = Agenda(), Trace()
        self.network = Network(config.Network(), self.agenda, random.Random(0))
        self.store = Store(config.Bucket(latency=0.0), self.agenda, random.Random(0), self)  # type: ignore[arg-type]
        self.exits: list[Exit] = []
        work = config.Work(start_seconds=1.0)
        self.boot = Boot(
            settings=SETTINGS,
            host="m",
            latency=0.0,
            clock=clock or Clock(0, 1),
            world=self,
            slowness=lambda: 1.0,
            make_workers=lambda boot: Workers(config.Group(), work, boot, self.agenda, random.Random(0)),
            rng=random.Random(0),
        )
        node: Any = self.boot.node
        self.node: FakeNode = node
        self.boot.begin()

    def started(self, boot: Any, order: Any) -> None: ...
    def said(self, boot: Any, line: Any) -> None: ...
    def migrated(self) -> None: ...
    def generated(self, island: IslandId, grant: int, is_final: bool) -> None: ...
    def exited(self, boot: Boot, order: Exit) -> None:
        self.exits.append(order)

    def wait(self, until: float) -> None:
        self.agenda.run(until)

    def heard(self) -> list[tuple[float, type]]:
        return [(round(now, 6), type(event)) for now, event in self.node.heard]


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> Around:
    return Around(monkeypatch)


def test_instructions_are_carried_out_and_answers_come_back(around: Around) -> None:
    around.node.says = [ReadObject(1, "cluster"), StartWorker(0)]
    around.boot.feed(InboxChanged())
    around.wait(5)
    assert [kind for _, kind in around.heard()] == [InboxChanged, StoreAnswer, WorkerReady]


def test_a_tick_comes_when_the_nodes_own_clock_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    around = Around(monkeypatch, Clock(500, 1.25))
    around.node.deadline = 510.0
    around.boot.feed(InboxChanged())
    around.wait(7.9)
    assert around.heard() == [(500.0, InboxChanged)]
    around.wait(8.1)
    assert around.heard()[1:] == [(510.0, Tick)]


def test_a_deadline_that_moves_costs_no_tick(around: Around) -> None:
    around.node.deadline = 5.0
    around.boot.feed(InboxChanged())
    around.node.deadline = 9.0
    around.wait(8)
    assert len(around.heard()) == 1
    around.wait(10)
    assert around.heard()[1:] == [(9.0, Tick)]


def test_who_is_suspended_hears_everything_afterwards(around: Around) -> None:
    around.node.deadline = 5.0
    around.boot.feed(InboxChanged())
    around.boot.suspend(10)
    around.boot.feed(WorkerReady(0))
    around.wait(9)
    assert len(around.heard()) == 1
    around.wait(11)
    assert around.heard()[1:] == [(10.0, WorkerReady), (10.0, Tick)]


def test_a_paused_decision_is_carried_out_late_and_nothing_is_heard_meanwhile(around: Around) -> None:
    around.boot.pause(10)
    around.boot.feed(InboxChanged())
    around.node.says = [StartWorker(0)]
    around.boot.feed(InboxChanged())
    around.boot.feed(InboxChanged())
    around.wait(9.9)
    assert len(around.heard()) == 2
    around.wait(12)
    assert [kind for _, kind in around.heard()] == [InboxChanged, InboxChanged, InboxChanged, WorkerReady]
    assert around.heard()[2][0] == 10.0
    assert around.heard()[3][0] > 10.0


def test_a_boot_that_dies_midway_has_done_a_part(around: Around) -> None:
    around.boot.die_midway(0.5, lambda: around.boot.end(is_silent=True))
    around.node.says = [StartWorker(0)]
    around.boot.feed(InboxChanged())
    assert not around.boot.is_over, "one thing has no middle"
    around.node.says = [ReadObject(1, "cluster"), ReadObject(2, "inbox/x")]
    around.boot.feed(InboxChanged())
    assert around.boot.is_over
    around.wait(5)
    assert around.store.requests["miss"] == 1


def test_after_its_end_a_boot_hears_and_does_nothing(around: Around) -> None:
    around.node.deadline = 5.0
    around.node.says = [StartWorker(0), Exit("gone", "refused"), ReadObject(1, "cluster")]
    around.boot.feed(InboxChanged())
    around.boot.feed(InboxChanged())
    around.wait(10)
    assert len(around.heard()) == 1
    assert around.exits == [Exit("gone", "refused")]
    assert around.store.requests["miss"] == 0


def test_a_node_that_raises(around: Around) -> None:
    around.node.fault = KeyError("x")
    with pytest.raises(Violation) as caught:
        around.boot.feed(InboxChanged())
    assert caught.value.invariant == RAISED


def test_a_node_that_wants_ticks_without_end(around: Around) -> None:
    around.boot.feed(InboxChanged())
    around.node.handle = lambda event, now: []  # type: ignore[method-assign, assignment]
    around.node.deadline = 3.0
    around.boot.feed(InboxChanged())
    with pytest.raises(Violation) as caught:
        around.wait(5)
    assert caught.value.invariant == SPINS


def test_a_node_whose_queue_is_too_long(around: Around) -> None:
    around.node.is_bounded = False
    with pytest.raises(Violation) as caught:
        around.boot.feed(InboxChanged())
    assert caught.value.invariant == BOUNDED
