"""The referee passes on to the judges what happens, and judges by itself what nodes say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from distevo.cluster import ClusterRecord, encode_cluster
from distevo.instructions import Log, StartIsland
from distevo.plan import Plan, encode_plan
from distevo.run import Budget
from distevo.simulator.agenda import Agenda
from distevo.simulator.config import Group, Scenario
from distevo.simulator.invariants import plan as plan_judge
from distevo.simulator.invariants.flaps import COMES_TO_REST, MOST_MOVES
from distevo.simulator.invariants.violation import Violation
from distevo.simulator.measures import Measures
from distevo.simulator.referee import CLUSTER_STAYS, SOUND, Referee
from distevo.simulator.workers import PROBLEM
from tests.simulator.stories import ISLAND, A, B, a_plan, snapshot, violates

CLIENT: Any = SimpleNamespace(member="a", owner="a-1", key="k")


class Court:
    """A referee over a store that holds what the test says."""

    def __init__(self) -> None:
        self.taken_over: list[str] = []
        self.planned: list[Plan] = []
        scenario = Scenario(members=[Group()])
        self.referee = Referee(scenario, Agenda(), Measures(), list, self.taken_over.append, self.planned.append)
        self.objects: dict[str, bytes] = {}
        store: Any = SimpleNamespace(peek=self.objects.get, moment=1)
        network: Any = SimpleNamespace(acknowledged=0)
        self.referee.watch(store, network)

    def swap(self, epoch: int, version: int) -> None:
        record = ClusterRecord(
            cluster="c",
            epoch=epoch,
            holder="a",
            boot="1",
            nonce="n",
            ttl=1,
            plan=f"plans/{version}",
            plan_version=version,
        )
        self.referee.swapped(CLIENT, encode_cluster(record))


@pytest.fixture
def court() -> Court:
    made = Court()
    made.objects["plans/1"] = encode_plan(Plan(epoch=1, version=1))
    return made


def test_a_pointer_has_to_name_a_plan_of_its_own_version(court: Court) -> None:
    court.swap(1, 1)
    assert court.referee.plan == Plan(epoch=1, version=1)
    assert court.taken_over == ["a-1"]
    assert court.planned == [Plan(epoch=1, version=1)]
    for content in (None, b"no plan", encode_plan(Plan(epoch=1, version=7))):
        court = Court()
        if content is not None:
            court.objects["plans/1"] = content
        with pytest.raises(Violation) as caught:
            court.swap(1, 1)
        assert caught.value.invariant == plan_judge.POINTER_HOLDS


def test_what_is_in_use_is_not_deleted(court: Court) -> None:
    court.swap(1, 1)
    court.referee.deleted("plans/0")
    for name, invariant in (("cluster", CLUSTER_STAYS), ("plans/1", plan_judge.POINTER_HOLDS)):
        with pytest.raises(Violation) as caught:
            court.referee.deleted(name)
        assert caught.value.invariant == invariant


def test_an_error_that_a_node_finds_in_what_nodes_wrote(court: Court) -> None:
    court.referee.said(CLIENT, Log("warning", "a nuisance"))
    court.referee.said(CLIENT, Log("error", "a checkpoint could not be written; another follows"))
    court.referee.said(CLIENT, Log("error", "a result cannot be read", {"name": "results/r/t/of-a-former-plan"}))
    court.referee.said(CLIENT, Log("error", "a run is set aside", {"run": "deleted"}))
    with pytest.raises(Violation) as caught:
        court.referee.said(CLIENT, Log("error", "a damaged checkpoint is skipped", {"name": "checkpoints/a-1/3"}))
    assert caught.value.invariant == SOUND


def test_whoever_knows_an_earlier_run_of_a_name_finds_its_object_gone(court: Court) -> None:
    follower: Any = SimpleNamespace(owner=A, node=SimpleNamespace(following=SimpleNamespace(plan=a_plan())))
    gone = Log("error", "a run is set aside", {"run": "r", "reason": "is missing from the store"})
    anew = a_plan()
    anew.runs["r"].object = "inbox/run-r-1"
    court.objects["plans/1"] = encode_plan(anew)
    court.swap(1, 1)
    court.referee.said(follower, gone)
    for known in (anew, a_plan(runs={})):
        follower.node.following.plan = known
        with violates(SOUND):
            court.referee.said(follower, gone)


def test_a_last_generation_of_an_earlier_run_leaves_nothing_at_rest(court: Court) -> None:
    court.objects["plans/1"] = encode_plan(a_plan(first_grant=5))
    court.swap(1, 1)
    for grant, resting in ((4, {}), (5, {ISLAND: Budget(None, 100)})):
        court.referee.generated(ISLAND, grant, is_final=True)
        assert court.referee._orphans._resting == resting


def test_an_island_that_was_started_follows_idle_workers_no_more(court: Court) -> None:
    def go_on(version: int) -> None:
        starter: Any = SimpleNamespace(owner=(A, B)[version % 2])
        court.objects[f"plans/{version}"] = encode_plan(a_plan(starter.owner, version, version=version))
        court.swap(1, version)
        begun = snapshot(version, 1.0)
        court.referee.started(starter, StartIsland(0, ISLAND, PROBLEM, b"{}", 1, 10, Budget(None, 100), begun, 0))

    for version in range(1, MOST_MOVES + 2):
        go_on(version)
    with violates(COMES_TO_REST):
        go_on(MOST_MOVES + 2)
