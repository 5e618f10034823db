"""The store of the simulator: the semantics of the contract, and what its faults do."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from distevo.checkpoint import Checkpoint, decode_checkpoint
from distevo.events import Outcome, StoreAnswer
from distevo.instructions import (
    CreateObject,
    DeleteObject,
    ListObjects,
    ReadObject,
    ReplaceObject,
    SaveCheckpoint,
    StoreInstruction,
)
from distevo.simulator.agenda import Agenda
from distevo.simulator.config import Bucket
from distevo.simulator.faults import StoreAway, StoreFlaky
from distevo.simulator.store import Store


class Client:
    member = "m"
    owner = "m-1"
    is_over = False


class Noted:
    """A witness that writes everything down."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def swapped(self, client: Any, data: bytes) -> None:
        self.seen.append(("swapped", data.decode()))

    def created(self, client: Any, name: str, content: Any) -> None:
        self.seen.append(("created", name))

    def deleted(self, name: str) -> None:
        self.seen.append(("deleted", name))

    def listed(self, client: Any, prefix: str) -> None:
        self.seen.append(("listed", prefix))

    def durable(self, client: Any, checkpoint: Checkpoint, moment: int) -> None:
        self.seen.append(("durable", f"{checkpoint.sequence} {moment}"))


class Desk:
    """A store with one client that waits for each answer."""

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        self.agenda, self.noted = Agenda(), Noted()
        self.store = Store(Bucket(**settings), self.agenda, random.Random(seed), self.noted)

    def ask(self, order: StoreInstruction) -> StoreAnswer:
        answers: list[StoreAnswer] = []
        self.store.ask(Client(), order, answers.append)
        assert not answers, "an answer takes time"
        for _ in range(1000):
            self.agenda.run(self.agenda.now + 0.1)
            if answers:
                break
        (answer,) = answers
        assert answer.op == order.op
        return answer

    def wait(self, seconds: float) -> None:
        self.agenda.run(self.agenda.now + seconds)


def test_objects_are_created_once_read_and_deleted() -> None:
    desk = Desk()
    assert desk.ask(ReadObject(1, "inbox/a")).outcome is Outcome.MISSING
    created = desk.ask(CreateObject(2, "inbox/a", b"x"))
    assert created.outcome is Outcome.DONE
    assert desk.ask(CreateObject(3, "inbox/a", b"y")).outcome is Outcome.CONFLICT
    read = desk.ask(ReadObject(4, "inbox/a"))
    assert (read.data, read.token) == (b"x", created.token)
    for op in (5, 6):
        assert desk.ask(DeleteObject(op, "inbox/a")).outcome is Outcome.DONE
    assert desk.ask(ReadObject(7, "inbox/a")).outcome is Outcome.MISSING
    assert desk.noted.seen == [("created", "inbox/a"), ("deleted", "inbox/a")]


def test_names_are_listed_by_prefix_in_order() -> None:
    desk = Desk()
    for op, name in enumerate(("plans/2", "inbox/run-b", "inbox/run-a", "inbox/member-c")):
        desk.ask(CreateObject(op, name, b""))
    assert desk.ask(ListObjects(8, "inbox/")).names == ("inbox/member-c", "inbox/run-a", "inbox/run-b")
    assert desk.ask(ListObjects(9, "inbox/run-")).names == ("inbox/run-a", "inbox/run-b")
    assert desk.ask(ListObjects(9, "results/")).names == ()


def test_a_swap_needs_the_newest_token() -> None:
    desk = Desk()
    first = desk.ask(CreateObject(1, "cluster", b"1")).token
    desk.wait(1)
    second = desk.ask(ReplaceObject(2, "cluster", b"2", first))
    assert second.outcome is Outcome.DONE
    assert second.token > first
    desk.wait(1)
    assert desk.ask(ReplaceObject(3, "cluster", b"3", first)).outcome is Outcome.CONFLICT
    assert desk.ask(ReplaceObject(4, "other", b"3", first)).outcome is Outcome.CONFLICT
    assert [what for what, _ in desk.noted.seen] == ["swapped", "swapped"]


def test_one_object_takes_one_write_a_second() -> None:
    desk = Desk(latency=0.01)
    token = desk.ask(CreateObject(1, "cluster", b"1")).token
    refused = desk.ask(ReplaceObject(2, "cluster", b"2", token))
    assert (refused.outcome, refused.reason[:3]) == (Outcome.UNAVAILABLE, "429")
    desk.wait(1)
    assert desk.ask(ReplaceObject(3, "cluster", b"2", token)).outcome is Outcome.DONE


def test_a_request_is_carried_out_between_being_sent_and_answered() -> None:
    orders = set()
    for seed in range(20):
        desk = Desk(seed)
        answers: list[StoreAnswer] = []
        desk.store.ask(Client(), CreateObject(1, "inbox/a", b""), answers.append)
        orders.add(desk.store.has("inbox/a"))
        desk.wait(1)
        assert answers[0].outcome is Outcome.DONE
    assert orders == {True, False}


@pytest.mark.parametrize(
    ("fault", "outcome", "is_there_then", "is_there_later"),
    [
        ({"lost": 1.0}, Outcome.UNKNOWN, True, True),
        ({"late": 1.0, "late_seconds": 50.0}, Outcome.UNKNOWN, False, True),
        ({"dropped": 1.0}, Outcome.UNKNOWN, False, False),
        ({"retried": 1.0}, Outcome.CONFLICT, True, True),
    ],
)
def test_a_flaky_store(fault: dict[str, float], outcome: Outcome, is_there_then: bool, is_there_later: bool) -> None:
    desk = Desk(seed=3)
    flaky = StoreFlaky(at=0, seconds=10, **fault)
    desk.store.begin(flaky)
    assert not desk.store.is_well
    assert desk.ask(CreateObject(1, "inbox/a", b"")).outcome is outcome
    assert desk.store.has("inbox/a") is is_there_then
    desk.store.end(flaky)
    assert desk.store.is_well
    desk.wait(60)
    assert desk.store.has("inbox/a") is is_there_later


def test_a_late_swap_is_judged_when_it_arrives() -> None:
    desk = Desk(seed=3)
    token = desk.ask(CreateObject(1, "cluster", b"old")).token
    desk.wait(1)
    flaky = StoreFlaky(at=0, seconds=10, late=1.0, late_seconds=50.0)
    desk.store.begin(flaky)
    assert desk.ask(ReplaceObject(2, "cluster", b"late", token)).outcome is Outcome.UNKNOWN
    desk.store.end(flaky)
    assert desk.ask(ReplaceObject(3, "cluster", b"new", token)).outcome is Outcome.DONE
    desk.wait(60)
    assert desk.store.peek("cluster") == b"new"


def test_a_slow_store_answers_late() -> None:
    desk = Desk(latency=0.1)
    desk.store.begin(StoreFlaky(at=0, seconds=10, slowness=40.0))
    desk.ask(ReadObject(1, "cluster"))
    assert desk.agenda.now >= 2


def test_a_store_that_is_away_for_some() -> None:
    desk = Desk()
    for members, outcome in ((["other"], Outcome.DONE), (["m"], Outcome.UNAVAILABLE), ([], Outcome.UNAVAILABLE)):
        away = StoreAway(at=0, seconds=1, members=members)
        desk.store.begin(away)
        assert desk.ask(CreateObject(1, f"inbox/{members}", b"")).outcome is outcome
        desk.store.end(away)


def checkpoint(sequence: int) -> Checkpoint:
    return Checkpoint(cluster="c", member="m", boot="1", sequence=sequence, islands=[], resource_usage={})


def test_a_checkpoint_is_kept_as_bytes_when_somebody_reads_it() -> None:
    desk = Desk()
    done: list[tuple[bool, str]] = []
    desk.store.save(Client(), SaveCheckpoint(7, checkpoint(7)), lambda is_saved, why: done.append((is_saved, why)))
    desk.wait(1)
    assert done == [(True, "")]
    assert decode_checkpoint(desk.ask(ReadObject(1, "checkpoints/m-1/7")).data) == checkpoint(7)
    assert desk.noted.seen == [("created", "checkpoints/m-1/7"), ("durable", "7 1")]


def test_of_what_the_dead_had_asked_for_some_is_done_and_nothing_is_confirmed() -> None:
    outcomes = set()
    for seed in range(20):
        desk, client = Desk(seed), Client()
        desk.store.save(client, SaveCheckpoint(7, checkpoint(7)), lambda is_saved, _: None)
        client.is_over = True
        desk.wait(1)
        outcomes.add(tuple(what for what, _ in desk.noted.seen))
    assert outcomes == {(), ("created",)}


@pytest.mark.parametrize(("fault", "is_saved"), [({"lost": 1.0}, False), ({"retried": 1.0}, True)])
def test_only_a_confirmed_checkpoint_is_durable(fault: dict[str, float], is_saved: bool) -> None:
    desk = Desk()
    desk.store.begin(StoreFlaky(at=0, seconds=10, **fault))
    done: list[bool] = []
    desk.store.save(Client(), SaveCheckpoint(7, checkpoint(7)), lambda is_saved, _: done.append(is_saved))
    desk.wait(10)
    assert done == [is_saved]
    assert Counter(what for what, _ in desk.noted.seen)["durable"] == is_saved


def test_requests_are_counted_by_class() -> None:
    desk = Desk()
    desk.ask(CreateObject(1, "inbox/a", b""))
    desk.ask(CreateObject(1, "inbox/a", b""))
    desk.ask(ReadObject(1, "inbox/a"))
    desk.ask(ReadObject(1, "inbox/b"))
    desk.ask(ListObjects(1, "inbox/"))
    desk.ask(DeleteObject(1, "inbox/a"))
    desk.store.begin(StoreAway(at=0, seconds=1))
    desk.ask(ReadObject(1, "inbox/a"))
    assert desk.store.requests == {"insert": 2, "list": 1, "read": 2, "miss": 1, "delete": 1}
