"""The judge of orphans: every island has a living owner, soon."""

from __future__ import annotations

import pytest

from distevo.events import IslandId
from distevo.plan import IslandPlace, Plan, RunState, TaskPlan, TaskState
from distevo.run import Budget
from distevo.simulator.invariants import orphans
from tests.simulator.stories import A, B, a_plan, violates


def test_an_island_whose_owner_dies_is_adopted_in_time() -> None:
    judge = orphans.OrphanJudge(bound=10)
    judge.sweep(a_plan(A), [A, B], 0, 0)
    judge.sweep(a_plan(A), [B], 0, 5)
    judge.sweep(a_plan(A), [B], 0, 15)
    judge.sweep(a_plan(B, 2), [B], 0, 16)
    judge.sweep(a_plan(B, 2), [B], 0, 99)


def test_an_island_without_an_owner_may_wait_for_its_turn() -> None:
    judge = orphans.OrphanJudge(bound=10)
    two = a_plan(A)
    two.runs["r"].tasks["u"] = TaskPlan(islands=[IslandPlace()])
    for now in (0, 50):
        judge.sweep(two, [A], 0, now)


def test_who_refuses_its_run_is_not_idle_for_an_island() -> None:
    judge = orphans.OrphanJudge(bound=10)
    for now in (0, 50):
        judge.sweep(a_plan(""), [B], 0, now, {"b": ["r"]})
    with violates(orphans.ADOPTED_IN_TIME):
        for now in (60, 80):
            judge.sweep(a_plan(""), [B], 0, now, {"b": ["x"]})


def test_an_island_that_has_used_its_budget_up_needs_no_owner_until_that_is_raised() -> None:
    judge = orphans.OrphanJudge(bound=10)
    told = a_plan(A)
    judge.rests(IslandId("r", "t", 0), told.runs["r"].budget)
    for now in (0, 50):
        judge.sweep(told, [B], 0, now)
    told.runs["r"].budget = Budget(None, 200)
    with violates(orphans.ADOPTED_IN_TIME):
        for now in (51, 62):
            judge.sweep(told, [B], 0, now)


def test_nothing_rests_of_a_run_that_has_the_name_of_a_deleted_one() -> None:
    judge = orphans.OrphanJudge(bound=10)
    told = a_plan(A)
    judge.rests(IslandId("r", "t", 0), told.runs["r"].budget)
    judge.renewed("r")
    with violates(orphans.ADOPTED_IN_TIME):
        for now in (0, 11):
            judge.sweep(told, [B], 0, now)


@pytest.mark.parametrize("owner", [A, ""])
def test_an_island_that_stays_an_orphan(owner: str) -> None:
    judge = orphans.OrphanJudge(bound=10)
    judge.sweep(a_plan(owner), [B], 0, 5)
    with violates(orphans.ADOPTED_IN_TIME):
        judge.sweep(a_plan(owner), [B], 0, 15.1)


def test_the_time_of_an_orphan_begins_anew_after_a_disturbance() -> None:
    judge = orphans.OrphanJudge(bound=10)
    judge.sweep(a_plan(A), [B], 0, 5)
    judge.sweep(a_plan(A), [B], 8, 18)
    with violates(orphans.ADOPTED_IN_TIME):
        judge.sweep(a_plan(A), [B], 8, 18.1)


@pytest.mark.parametrize(
    "told",
    [a_plan(A, run=RunState.PAUSED), a_plan(A, run=RunState.CANCELLED), a_plan(A, task=TaskState.DONE, result="x")],
)
def test_nobody_has_to_work_on_what_is_over(told: Plan) -> None:
    judge = orphans.OrphanJudge(bound=10)
    for now in (0, 50):
        judge.sweep(told, [B], 0, now)
