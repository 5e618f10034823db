"""The judge of plans: how one may follow another."""

from __future__ import annotations

import pytest

from distevo.plan import MemberState, Plan, TaskState
from distevo.simulator.invariants import plan
from tests.simulator.stories import ISLAND, A, B, a_plan, member, violates


def test_an_island_changes_hands_and_its_task_ends_and_is_extended() -> None:
    judge = plan.PlanJudge()
    for told in (
        a_plan(""),
        a_plan(A, 1),
        # Its owner has died: somebody else will be found.
        a_plan(A, 1, members={"b": member("2")}),
        a_plan(B, 2),
        a_plan(B, 2, task=TaskState.DONE, result="x"),
        a_plan("", 0, result="x"),
        a_plan(A, 3, result="x"),
        a_plan("", 0, result="w"),
        a_plan(A, 4, result="w"),
        a_plan(A, 4, task=TaskState.DONE, result="y"),
    ):
        judge.in_force(told)
    assert judge.grants == {ISLAND: {1: A, 2: B, 3: A, 4: A}}


@pytest.mark.parametrize(
    ("invariant", "before", "after"),
    [
        (plan.GRANT_RISES, a_plan(A, 2), a_plan(B, 2)),
        (plan.GRANT_RISES, a_plan(A, 2), a_plan(A, 1)),
        (plan.GRANT_RISES, a_plan(A, 2), a_plan("", 0)),
        (plan.COUNTERS_RISE, a_plan(A, 2), a_plan(A, 10)),
        (plan.COUNTERS_RISE, a_plan(A, 2), a_plan(A, 2, next_grant=9)),
        (plan.OWNERS_LIVE, a_plan(""), a_plan(members={"a": member("1", MemberState.DEAD)})),
        (plan.OWNERS_LIVE, a_plan(B), a_plan(A, 2, members={"a": member("9")})),
        (plan.REVOKED_ARE_DEAD, a_plan(""), a_plan(denied=["key 1"])),
        (plan.NO_MORE_FOR_LEAVERS, a_plan(""), a_plan(members={"a": member("1", is_draining=True)})),
        (plan.STAYS_REVOKED, a_plan(denied=["key 7"]), a_plan()),
        (plan.RESULT_STAYS, a_plan(task=TaskState.DONE, result="x"), a_plan(task=TaskState.DONE, result="y")),
        (plan.RESULT_STAYS, a_plan(task=TaskState.DONE, result="x"), a_plan(A, 2)),
        (plan.RUNG_RISES, a_plan(), a_plan(rung=1)),
        (plan.RUNG_RISES, a_plan(result="x"), a_plan(result="x", rung=1)),
        (plan.RUNG_RISES, a_plan(result="x", rung=2), a_plan(result="y", rung=1)),
    ],
)
def test_a_false_plan(invariant: str, before: Plan, after: Plan) -> None:
    judge = plan.PlanJudge()
    judge.in_force(before)
    with violates(invariant):
        judge.in_force(after)


def test_a_task_goes_on_to_another_rung() -> None:
    judge = plan.PlanJudge()
    for told in (a_plan(), a_plan("", 0, result="x", rung=1), a_plan(B, 5, result="x", rung=1)):
        judge.in_force(told)


def test_who_is_to_leave_keeps_what_it_has_until_somebody_takes_it() -> None:
    judge = plan.PlanJudge()
    for told in (a_plan(A, 1), a_plan(A, 1, members={"a": member("1", is_draining=True)}), a_plan(B, 2)):
        judge.in_force(told)


def test_a_key_that_somebody_lets_in_again() -> None:
    judge = plan.PlanJudge()
    judge.in_force(a_plan(denied=["key 7", "key 8"]))
    judge.may_return("key 7")
    judge.in_force(a_plan(denied=["key 8"]))
    with violates(plan.STAYS_REVOKED):
        judge.in_force(a_plan())


def test_a_grant_that_comes_back_with_another_owner() -> None:
    judge = plan.PlanJudge()
    judge.in_force(a_plan(A, 2))
    # The place was empty for a while, so the step from plan to plan shows nothing.
    judge.in_force(a_plan("", 2))
    with violates(plan.ONE_OWNER):
        judge.in_force(a_plan(B, 2))
