"""The judge of runs: one that was confirmed stays until a user has it deleted, and goes on as users say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from distevo.command import Verb
from distevo.plan import RunState
from distevo.simulator.invariants import runs
from tests.simulator.stories import a_plan, violates

OBJECT = "inbox/run-r-0"


def test_a_run_is_taken_in_and_deleted_when_a_user_says_so() -> None:
    judge = runs.RunJudge()
    judge.confirmed(OBJECT, "r")
    judge.in_force(a_plan(runs={}))
    judge.in_force(a_plan())
    judge.asked("r", Verb.DELETE)
    judge.in_force(a_plan(runs={}))
    judge.deleted(OBJECT)


@pytest.mark.parametrize(
    "tell",
    [
        lambda judge: judge.in_force(a_plan(runs={})),
        lambda judge: judge.in_force(a_plan(runs={}, handled={OBJECT: "refused"})),
        lambda judge: judge.deleted(OBJECT),
    ],
)
def test_a_run_that_is_forgotten(tell: Callable[[runs.RunJudge], None]) -> None:
    judge = runs.RunJudge()
    judge.confirmed(OBJECT, "r")
    judge.in_force(a_plan())
    with violates(runs.RUN_STAYS):
        tell(judge)


def test_the_object_of_a_run_that_is_to_be_deleted_stays_while_the_plan_in_force_has_the_run() -> None:
    judge = runs.RunJudge()
    judge.confirmed(OBJECT, "r")
    judge.in_force(a_plan())
    judge.asked("r", Verb.DELETE)
    with violates(runs.RUN_STAYS):
        judge.deleted(OBJECT)


def test_another_run_of_the_name_of_a_deleted_one_stays() -> None:
    judge = runs.RunJudge()
    judge.confirmed("inbox/run-r-earlier", "r")
    judge.asked("r", Verb.DELETE)
    judge.renewed("r")
    judge.confirmed(OBJECT, "r")
    judge.in_force(a_plan(handled={"inbox/run-r-earlier": "deleted"}))
    judge.deleted("inbox/run-r-earlier")
    with violates(runs.RUN_STAYS):
        judge.deleted(OBJECT)


def test_a_run_that_is_refused_at_once() -> None:
    judge = runs.RunJudge()
    judge.confirmed(OBJECT, "r")
    with violates(runs.RUN_STAYS):
        judge.in_force(a_plan(runs={}, handled={OBJECT: "refused"}))


@pytest.mark.parametrize(("state", "verb"), [(RunState.CANCELLED, Verb.CANCEL), (RunState.PAUSED, Verb.PAUSE)])
def test_what_was_asked_of_a_deleted_run_is_not_done_to_the_next_of_its_name(state: RunState, verb: Verb) -> None:
    judge = runs.RunJudge()
    judge.asked("r", verb)
    judge.in_force(a_plan(run=state))
    judge.renewed("r")
    judge.in_force(a_plan())
    with violates(runs.AS_ASKED):
        judge.in_force(a_plan(run=state))


def test_what_was_asked_while_no_run_had_the_name_may_be_done_to_the_next() -> None:
    judge = runs.RunJudge()
    judge.asked("r", Verb.CANCEL, is_of_any=True)
    judge.in_force(a_plan())
    judge.in_force(a_plan(runs={}))
    judge.asked("r", Verb.PAUSE, is_of_any=True)
    judge.renewed("r")
    judge.in_force(a_plan(run=RunState.PAUSED))
    with violates(runs.AS_ASKED):  # That was asked of the one before.
        judge.in_force(a_plan(run=RunState.CANCELLED))
