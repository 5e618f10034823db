"""Migration: one batch for each edge, sent until it is acknowledged, and merged once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from distevo import migration
from distevo.alarms import NEVER
from distevo.errors import LocalProtocolError
from distevo.events import IslandId
from distevo.messages import Migrants, MigrantsAck
from distevo.migration import (
    EDGE,
    MAX_EDGES,
    MAX_RESEND_SECONDS,
    RESEND_SECONDS,
    Arrivals,
    Edge,
    EdgeEvent,
    EdgeState,
    EdgeStatus,
    Migration,
)

SOURCE = IslandId("run", "task", 0)


class Wire:
    """A Migration, with all that it sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Migrants, bytes]] = []
        self.migration = Migration(lambda owner, head, payload: self.sent.append((owner, head, payload)))

    def take(self) -> list[tuple[str, int, bytes]]:
        """(owner, number, block) of what was sent since the last call."""
        taken = [(owner, head.number, block) for owner, head, block in self.sent]
        self.sent.clear()
        return taken

    def emigrate(self, block: bytes, now: float, owner: str = "b-1", target: int = 1, grant: int = 3) -> None:
        self.migration.emigrate(SOURCE, grant, target, owner, block, now)

    def status(self, target: int = 1) -> EdgeStatus:
        (found,) = [one for one in self.migration.status() if one.edge.target == target]
        return found


def ack(number: int, accepted: int = 0, known: int = 0, refused: str | None = None, grant: int = 3) -> MigrantsAck:
    return MigrantsAck(
        run="run",
        task="task",
        source=0,
        target=1,
        number=number,
        grant=grant,
        accepted=accepted,
        known=known,
        refused=refused,
    )


def everywhere(owner: str | None) -> Callable[[str, str, int], str | None]:
    return lambda _run, _task, _island: owner


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_emigrants_are_sent_at_once(wire: Wire) -> None:
    wire.emigrate(b"programs", 10.0)
    head = Migrants(run="run", task="task", source=0, target=1, number=1, grant=3)
    assert wire.sent == [("b-1", head, b"programs")]
    assert wire.status() == EdgeStatus(Edge("run", "task", 0, 1), "b-1", True, 1, 0, 0, None)
    assert wire.migration.next_deadline() == 10.0 + RESEND_SECONDS


def test_an_acknowledgement_ends_it(wire: Wire) -> None:
    wire.emigrate(b"programs", 10.0)
    wire.migration.acked(ack(1, accepted=3, known=2), "b-1", 10.5)
    assert wire.status() == EdgeStatus(Edge("run", "task", 0, 1), "b-1", False, 1, 3, 2, 10.5)
    assert wire.migration.next_deadline() == NEVER
    wire.take()
    wire.migration.tick(1000.0)
    assert wire.take() == []


def test_what_is_not_acknowledged_is_sent_again_less_and_less_often(wire: Wire) -> None:
    wire.emigrate(b"programs", 0.0)
    times = [0.0]
    while len(times) < 7:
        due = wire.migration.next_deadline()
        assert due is not None
        wire.take()
        wire.migration.tick(due - 0.001)
        assert wire.take() == []
        wire.migration.tick(due)
        assert wire.take() == [("b-1", 1, b"programs")]
        times.append(due)
    waits = [later - sooner for sooner, later in pairwise(times)]
    assert waits == [5.0, 10.0, 20.0, 30.0, 30.0, 30.0]
    assert max(waits) == MAX_RESEND_SECONDS
    assert wire.status().sent == 1


def test_the_newest_batch_takes_the_waiting_ones_place(wire: Wire) -> None:
    wire.emigrate(b"old", 0.0)
    wire.migration.tick(5.0)
    wire.emigrate(b"new", 6.0)
    assert wire.take() == [("b-1", 1, b"old"), ("b-1", 1, b"old"), ("b-1", 2, b"new")]
    assert wire.migration.next_deadline() == 11.0
    wire.migration.tick(1000.0)
    assert wire.take() == [("b-1", 2, b"new")]


def test_a_late_answer_is_counted_once_and_leaves_the_newest_waiting(wire: Wire) -> None:
    wire.emigrate(b"old", 0.0)
    wire.emigrate(b"new", 1.0)
    for _ in range(2):
        wire.migration.acked(ack(1, accepted=4), "b-1", 2.0)
    assert wire.status() == EdgeStatus(Edge("run", "task", 0, 1), "b-1", True, 2, 4, 0, 2.0)
    for _ in range(2):
        wire.migration.acked(ack(2, accepted=1, known=1), "b-1", 3.0)
    wire.migration.acked(ack(1, accepted=4), "b-1", 4.0)
    assert wire.status() == EdgeStatus(Edge("run", "task", 0, 1), "b-1", False, 2, 5, 1, 3.0)


def test_a_refusal_drops_the_batch(wire: Wire) -> None:
    wire.emigrate(b"programs", 0.0)
    wire.migration.acked(ack(1, refused="not mine"), "b-1", 1.0)
    assert wire.status() == EdgeStatus(Edge("run", "task", 0, 1), "b-1", False, 1, 0, 0, None)
    assert wire.migration.next_deadline() == NEVER
    wire.emigrate(b"more", 2.0)
    assert wire.take()[1:] == [("b-1", 2, b"more")]


@pytest.mark.parametrize(
    ("answer", "sender"),
    [
        (ack(1, accepted=9), "c-1"),
        (ack(1, accepted=9), "b-2"),
        (ack(1, accepted=9, grant=2), "b-1"),
        (ack(1, refused="no", grant=4), "b-1"),
        (ack(2, accepted=9), "b-1"),
        (ack(0, accepted=9), "b-1"),
    ],
)
def test_an_answer_from_another_or_about_another_batch_changes_nothing(
    wire: Wire, answer: MigrantsAck, sender: str
) -> None:
    wire.emigrate(b"programs", 0.0)
    wire.migration.acked(answer, sender, 1.0)
    assert wire.status() == EdgeStatus(Edge("run", "task", 0, 1), "b-1", True, 1, 0, 0, None)
    wire.migration.tick(5.0)
    assert len(wire.take()) == 2


def test_an_answer_on_an_edge_that_nobody_knows_is_ignored(wire: Wire) -> None:
    wire.migration.acked(ack(1), "b-1", 1.0)
    assert wire.migration.status() == []


def test_a_new_owner_gets_the_waiting_batch_at_once(wire: Wire) -> None:
    wire.emigrate(b"programs", 0.0)
    wire.migration.tick(5.0)
    wire.take()
    wire.migration.moved(everywhere("b-1"), 6.0)
    assert wire.take() == []
    wire.migration.moved(everywhere("c-1"), 7.0)
    assert wire.take() == [("c-1", 1, b"programs")]
    assert wire.migration.next_deadline() == 7.0 + RESEND_SECONDS
    wire.migration.acked(ack(1, accepted=5), "b-1", 8.0)
    assert wire.status().is_waiting
    wire.migration.acked(ack(1, accepted=5), "c-1", 8.0)
    assert not wire.status().is_waiting
    wire.migration.moved(everywhere("d-1"), 9.0)
    assert wire.take() == []
    assert wire.status().owner == "d-1"


def test_a_batch_waits_while_nobody_owns_its_target(wire: Wire) -> None:
    wire.emigrate(b"programs", 0.0, owner="")
    wire.migration.tick(1000.0)
    assert wire.take() == []
    assert wire.migration.next_deadline() == NEVER
    wire.migration.moved(everywhere("b-1"), 1000.0)
    assert wire.take() == [("b-1", 1, b"programs")]
    wire.migration.moved(everywhere(""), 1001.0)
    assert wire.migration.next_deadline() == NEVER
    wire.migration.tick(2000.0)
    assert wire.take() == []


def test_edges_of_a_closed_task_are_forgotten(wire: Wire) -> None:
    wire.emigrate(b"programs", 0.0, target=1)
    wire.emigrate(b"programs", 0.0, target=2)
    wire.migration.acked(ack(1), "b-1", 1.0)
    wire.take()
    wire.migration.moved(everywhere(None), 2.0)
    assert wire.migration.status() == []
    assert wire.migration.next_deadline() == NEVER
    wire.migration.tick(1000.0)
    assert wire.take() == []


def test_numbers_rise_along_each_edge_even_when_it_was_forgotten(wire: Wire) -> None:
    for target in (1, 2, 1):
        wire.emigrate(b"", 0.0, target=target)
    wire.migration.moved(everywhere(None), 1.0)
    wire.emigrate(b"", 2.0, target=1)
    numbers = [head.number for _, head, _ in wire.sent if head.target == 1]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 3


def test_of_too_many_edges_the_longest_acknowledged_goes_first(monkeypatch: pytest.MonkeyPatch, wire: Wire) -> None:
    monkeypatch.setattr(migration, "MAX_EDGES", 3)
    for target in (1, 2, 3):
        wire.emigrate(b"", 0.0, target=target)
    for target in (3, 2):
        answer = MigrantsAck(run="run", task="task", source=0, target=target, number=target, grant=3)
        wire.migration.acked(answer, "b-1", 1.0)
    for target, left in ((4, [1, 2, 4]), (5, [1, 4, 5]), (6, [4, 5, 6]), (5, [4, 5, 6]), (7, [5, 6, 7])):
        wire.emigrate(b"", 2.0, target=target)
        assert [one.edge.target for one in wire.migration.status()] == left


def test_times_that_no_longer_count_do_not_pile_up(wire: Wire) -> None:
    for number in range(3 * MAX_EDGES):
        wire.emigrate(b"", 0.0, target=1 + number % 2)
    assert len(wire.migration._due) <= 2 * MAX_EDGES
    wire.take()
    wire.migration.tick(RESEND_SECONDS)
    assert [number for _, number, _ in wire.take()] == [3 * MAX_EDGES - 1, 3 * MAX_EDGES]


# --- the table -----------------------------------------------------------------------------------


def test_every_row_of_the_table_is_taken_and_no_other(monkeypatch: pytest.MonkeyPatch, wire: Wire) -> None:
    taken = set()
    step = EDGE.step

    def spy(state: EdgeState, event: EdgeEvent) -> EdgeState:
        taken.add((state, event))
        return step(state, event)

    monkeypatch.setattr(EDGE, "step", spy)
    wire.emigrate(b"1", 0.0)
    wire.emigrate(b"2", 0.0)
    wire.migration.acked(ack(1), "b-1", 0.0)
    wire.migration.tick(5.0)
    wire.migration.moved(everywhere("c-1"), 5.0)
    wire.migration.acked(ack(2), "c-1", 6.0)
    wire.migration.acked(ack(2), "c-1", 6.0)
    wire.migration.moved(everywhere("d-1"), 7.0)
    wire.migration.moved(everywhere(None), 8.0)
    wire.emigrate(b"3", 9.0)
    wire.migration.acked(ack(3, refused="no"), "b-1", 9.0)
    wire.emigrate(b"4", 9.0)
    wire.migration.moved(everywhere(None), 10.0)
    assert taken == set(EDGE.rows)


def test_what_cannot_happen_has_no_row() -> None:
    for event in (EdgeEvent.ACKED, EdgeEvent.REFUSED, EdgeEvent.RESEND):
        with pytest.raises(LocalProtocolError):
            EDGE.step(EdgeState.IDLE, event)


# --- arrivals ------------------------------------------------------------------------------------


def batch(number: int, grant: int = 3, source: int = 0, task: str = "task") -> Migrants:
    return Migrants(run="run", task=task, source=source, target=1, number=number, grant=grant)


def test_a_batch_is_new_once() -> None:
    arrivals = Arrivals()
    assert arrivals.is_new(batch(1))
    assert arrivals.known(batch(1)) is None
    answer = arrivals.took(batch(1), accepted=3, known=2)
    assert answer == ack(1, accepted=3, known=2)
    assert not arrivals.is_new(batch(1))
    assert arrivals.known(batch(1)) == answer


def test_what_is_older_is_answered_and_not_taken() -> None:
    arrivals = Arrivals()
    arrivals.took(batch(5, grant=3), accepted=3, known=2)
    assert arrivals.known(batch(4, grant=3)) == ack(4)
    assert arrivals.known(batch(9, grant=2)) == ack(9, grant=2)
    assert arrivals.is_new(batch(6, grant=3))
    assert arrivals.is_new(batch(1, grant=4))
    assert arrivals.is_new(batch(1, source=2))
    assert arrivals.is_new(batch(1, task="other"))


def test_a_refusal_is_not_remembered() -> None:
    arrivals = Arrivals()
    assert arrivals.took(batch(1), 0, 0, refused="not here") == ack(1, refused="not here")
    assert arrivals.is_new(batch(1))


def test_arrivals_of_closed_tasks_are_forgotten() -> None:
    arrivals = Arrivals()
    for task in ("open", "closed"):
        arrivals.took(batch(1, task=task), 1, 0)
    arrivals.prune(lambda _run, task: task == "open")
    assert not arrivals.is_new(batch(1, task="open"))
    assert arrivals.is_new(batch(1, task="closed"))


def test_arrivals_are_bounded_and_the_most_silent_edge_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "MAX_EDGES", 2)
    arrivals = Arrivals()
    for number, source in enumerate((0, 1, 0, 2)):
        arrivals.took(batch(number + 1, source=source), 1, 0)
    assert [arrivals.is_new(batch(4, source=source)) for source in (0, 1, 2)] == [True, True, False]
    assert [arrivals.is_new(batch(1, source=source)) for source in (0, 1, 2)] == [False, True, False]


# --- both sides over a bad network ---------------------------------------------------------------


class BothSides(RuleBasedStateMachine):
    """Two edges over a network that loses, repeats and reorders, to a target that moves between two members."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.owner = "b-1"
        self.flying: list[tuple[str, Migrants, bytes]] = []
        self.answers: list[tuple[str, MigrantsAck]] = []
        self.migration = Migration(lambda *message: self.flying.append(message))
        self.arrivals = {"b-1": Arrivals(), "c-1": Arrivals()}
        self.merged: list[tuple[str, int, int]] = []
        self.newest: dict[int, bytes] = {}
        self.batches = 0

    @rule(to=st.integers(1, 2))
    def emigrate(self, to: int) -> None:
        self.batches += 1
        self.newest[to] = b"%d" % self.batches
        self.migration.emigrate(SOURCE, 3, to, self.owner, self.newest[to], self.now)

    @rule(seconds=st.sampled_from([0.1, 5.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        due = self.migration.next_deadline()
        if due <= self.now:
            before = len(self.flying)
            self.migration.tick(self.now)
            assert len(self.flying) > before, "a deadline at which nothing is done"
        assert self.migration.next_deadline() > self.now

    @rule(owner=st.sampled_from(["b-1", "c-1", ""]))
    def move(self, owner: str) -> None:
        self.owner = owner
        self.migration.moved(everywhere(owner), self.now)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), is_lost=st.booleans(), is_repeated=st.booleans())
    def arrive(self, data: st.DataObject, is_lost: bool, is_repeated: bool) -> None:
        place = data.draw(st.integers(0, len(self.flying) - 1))
        owner, head, _ = self.flying[place]
        if not is_repeated:
            self.flying.pop(place)
        if is_lost:
            return
        arrivals = self.arrivals[owner]
        answer = arrivals.known(head)
        if answer is None:
            self.merged.append((owner, head.target, head.number))
            answer = arrivals.took(head, 1, 0)
        self.answers.append((owner, answer))

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), is_lost=st.booleans(), is_repeated=st.booleans())
    def answer(self, data: st.DataObject, is_lost: bool, is_repeated: bool) -> None:
        place = data.draw(st.integers(0, len(self.answers) - 1))
        sender, answer = self.answers[place]
        if not is_repeated:
            self.answers.pop(place)
        if not is_lost:
            self.migration.acked(answer, sender, self.now)

    @invariant()
    def each_batch_is_merged_once_by_each_member(self) -> None:
        assert len(set(self.merged)) == len(self.merged)

    @invariant()
    def counts_are_those_of_what_was_merged(self) -> None:
        for one in self.migration.status():
            merged = sum(target == one.edge.target for _, target, _ in self.merged)
            assert one.accepted <= merged
            assert one.sent <= self.batches

    def teardown(self) -> None:
        """On a network that works, the newest batch of each edge arrives and is acknowledged."""
        self.flying.clear()
        self.answers.clear()
        self.migration.moved(everywhere("b-1"), self.now)
        waiting = {one.edge.target for one in self.migration.status() if one.is_waiting}
        self.flying.clear()
        arrived: dict[int, bytes] = {}
        while (due := self.migration.next_deadline()) < NEVER:
            self.migration.tick(due)
            for _, head, block in self.flying:
                arrived[head.target] = block
                answer = self.arrivals["b-1"].known(head) or self.arrivals["b-1"].took(head, 1, 0)
                self.migration.acked(answer, "b-1", due)
            self.flying.clear()
        assert arrived == {target: self.newest[target] for target in waiting}
        assert not any(one.is_waiting for one in self.migration.status())


TestBothSides = BothSides.TestCase
TestBothSides.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
