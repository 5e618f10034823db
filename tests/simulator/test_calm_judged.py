"""The judge of the calm: after the faults all is well within a bound."""

from __future__ import annotations

from typing import Any

import pytest

from distevo.events import IslandId
from distevo.plan import IslandPlace, Plan, RunState
from distevo.run import MigrationSettings
from distevo.simulator.config import Times
from distevo.simulator.invariants import calm
from tests.simulator.stories import A, B, a_plan, member, record, released, violates

BOUNDS = calm.Bounds.of(Times(), slowest_generation=5.0)


def moment(waited: float, **fields: Any) -> calm.Moment:
    """So many seconds into the calm, all being well."""
    now = 100.0 + waited
    known: dict[str, Any] = {
        "record": record(1),
        "swapped_at": now,
        "plan": a_plan(),
        "living": [A, B],
        "generated_at": now,
    }
    return calm.Moment(now=now, **(known | fields))


def test_a_cluster_that_heals() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    judge.sweep(moment(0, record=None, plan=None))
    judge.sweep(moment(BOUNDS.coordinator - 1, record=record(1, "c-3")))
    judge.sweep(moment(BOUNDS.members - 1, plan=a_plan(members={"a": member("1")})))
    for waited in (BOUNDS.members + 1, BOUNDS.generation + 1):
        judge.sweep(moment(waited))
    judge.end(moment(BOUNDS.generation + 2), 0, ["inbox/command-1"], {"inbox/command-0": "cancel r"}, must_finish=False)


@pytest.mark.parametrize(
    ("invariant", "false"),
    [
        (calm.COORDINATED, {"record": None}),
        (calm.COORDINATED, {"record": released(1)}),
        (calm.COORDINATED, {"record": record(1, "c-3")}),
        (calm.COORDINATED, {"swapped_at": 100.0}),
        (calm.STEADY, {"record": record(2, B)}),
        (calm.ALL_MEMBERS, {"plan": a_plan(members={"a": member("1")})}),
        (calm.ALL_MEMBERS, {"plan": a_plan(members={"a": member("1"), "b": member("9")})}),
        (calm.ALL_MEMBERS, {"plan": None}),
        (calm.EVOLVING, {"generated_at": 100.0}),
    ],
)
def test_a_cluster_that_does_not_heal(invariant: str, false: dict[str, Any]) -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    judge.sweep(moment(BOUNDS.members + 1))
    with violates(invariant):
        judge.sweep(moment(BOUNDS.generation + 1, **false))


def test_a_coordinator_that_is_drained_in_the_calm() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    late = BOUNDS.members + 1
    judge.sweep(moment(late))
    judge.sweep(moment(late + 5, living=[B], leaving=[A]))
    judge.sweep(moment(late + 10, living=[B], record=released(1), leaving=[A]))
    assert not judge.is_settled(moment(late + 10, living=[B], leaving=[A]))
    judge.sweep(moment(late + 15, living=[B], record=record(2, B), quiet_since=100.0 + late + 11))
    # From then on it is judged as at first.
    judge.sweep(moment(late + 11 + BOUNDS.coordinator + 1, living=[B], record=record(2, B), quiet_since=111.0 + late))
    with violates(calm.STEADY):
        again = record(3, A)
        judge.sweep(moment(late + 16 + BOUNDS.coordinator, record=again, quiet_since=111.0 + late))


def test_who_is_to_leave_and_stays_excuses_nothing_any_more() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    gone: dict[str, Any] = {"record": record(1, "c-3"), "living": [B], "leaving": [A]}
    # The bound begins when it is asked to, or when something went wrong last.
    judge.sweep(moment(0, **gone))
    judge.sweep(moment(BOUNDS.leaving + 9, **gone, quiet_since=110.0))
    judge.sweep(moment(BOUNDS.leaving + 8 + BOUNDS.coordinator, **gone, quiet_since=110.0))
    with violates(calm.COORDINATED):
        judge.sweep(moment(BOUNDS.leaving + 10 + BOUNDS.coordinator, **gone, quiet_since=110.0))


def neighbours() -> Plan:
    """Two members have islands of one task."""
    told = a_plan(A)
    told.runs["r"].tasks["t"].islands.append(IslandPlace(B, 1))
    told.runs["r"].migration = MigrationSettings(interval=calm.PROMPT_INTERVAL)
    return told


def test_programs_that_do_not_migrate() -> None:
    for migrations in (1, 0):
        judge = calm.CalmJudge(BOUNDS, since=100)
        at_work = [(IslandId("r", "t", 0), A), (IslandId("r", "t", 1), B)]
        judge.sweep(moment(BOUNDS.generation + 1, plan=neighbours(), evolving=at_work))
        if migrations:
            judge.end(moment(200), 1, [], {}, must_finish=False)
        else:
            with violates(calm.MIGRATING):
                judge.end(moment(200), 0, [], {}, must_finish=False)


def test_islands_that_wait_need_not_migrate() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    judge.sweep(moment(BOUNDS.generation + 1, plan=neighbours(), evolving=[(IslandId("r", "t", 0), A)]))
    judge.end(moment(200), 0, [], {}, must_finish=False)


def test_members_that_are_not_linked() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    judge.linked(["a", "b", "c"], {"a"}, {("a", "b"), ("c", "a")})
    judge.linked(["b", "c"], set(), set())
    with violates(calm.LINKED):
        judge.linked(["a", "b", "c"], {"a"}, {("b", "c"), ("c", "a")})


def test_a_run_that_does_not_end() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    judge.end(moment(200, plan=a_plan(run=RunState.DONE)), 0, [], {}, must_finish=True)
    with violates(calm.FINISHED):
        judge.end(moment(200), 0, [], {}, must_finish=True)


def test_a_command_that_nobody_takes_in() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    handled = a_plan(handled={"inbox/command-0": "accepted"})
    judge.end(moment(200, plan=handled), 0, ["inbox/command-0"], {"inbox/command-0": "cancel r"}, must_finish=False)
    with violates(calm.CARRIED_OUT):
        judge.end(moment(200), 0, ["inbox/command-0"], {"inbox/command-0": "cancel r"}, must_finish=False)
