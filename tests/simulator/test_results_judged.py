"""The judge of results: they are as good as every durable checkpoint of their task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from distevo.events import IslandId
from distevo.names import owner_checkpoints
from distevo.plan import IslandPlace, TaskPlan, TaskState
from distevo.result import Result
from distevo.simulator.invariants import results
from distevo.simulator.invariants.worth import Worth
from distevo.simulator.workers import ABSENT
from tests.simulator.stories import ISLAND, A, B, a_plan, snapshot, violates


def a_result(fitness: float, *, fit: bool = False) -> Result:
    return Result(
        run="r",
        task="t",
        fit=fit,
        solved=None,
        program="x",
        key="0",
        fitness=[fitness],
        evaluations=1,
        seconds=1.0,
    )


NAME = "results/r/t/0"
ENTRY = TaskPlan(state=TaskState.DONE, islands=[IslandPlace(B, 2, [A])], result=NAME)
GRANTS = {ISLAND: {1: A, 2: B}}


def judged(result: Result | None, *told: Callable[[results.ResultJudge], None], entry: TaskPlan = ENTRY) -> None:
    """A result, after what is told; `b` is the owner and closes, `a` is a former owner."""
    judge = results.ResultJudge(GRANTS)
    judge.in_force(a_plan(B, 2))
    for tell in told:
        tell(judge)
    judge.created(NAME, B, 100)
    judge.named("r", "t", entry, 1, result)


def durable(owner: str, grant: int, fitness: float, moment: int, *, fit: bool = False) -> Any:
    return lambda judge: judge.durable(owner, snapshot(grant, fitness, fit=fit), moment)


def listed(moment: int, *sought: IslandId, owner: str = A) -> Any:
    return lambda judge: judge.listed(B, owner_checkpoints(owner), moment, frozenset(sought or {ISLAND}))


def test_a_result_that_is_good_enough() -> None:
    judged(a_result(3.0), durable(A, 1, 3.0, 10), durable(B, 2, 2.0, 20))
    # A fit program beats every fitness.
    judged(a_result(1.0, fit=True), durable(B, 2, 2.0, 20))
    # Written after the result, under a grant that nobody had, or for a run of the same name before.
    judged(a_result(1.0), durable(B, 2, 2.0, 101))
    judged(a_result(1.0), durable(A, 2, 2.0, 20))
    judged(a_result(1.0), durable(A, 0, 2.0, 20))
    # Written by a former owner after its checkpoints were last listed; what is listed after the result is no help.
    judged(a_result(1.0), listed(15), durable(A, 1, 2.0, 20))
    judged(a_result(1.0), listed(15), durable(A, 1, 2.0, 20), listed(110))
    # Nor is one for another island.
    judged(a_result(1.0), listed(15), durable(A, 1, 2.0, 20), listed(25, IslandId("r", "t", 1)))
    # A task that failed promises nothing.
    failed = TaskPlan(state=TaskState.FAILED, islands=ENTRY.islands, result=NAME)
    judged(a_result(1.0), durable(B, 2, 2.0, 20), entry=failed)


@pytest.mark.parametrize(
    "told",
    [
        [durable(B, 2, 2.0, 20)],
        [durable(A, 1, 2.0, 20)],
        [durable(A, 1, 2.0, 20), listed(25)],
        [durable(B, 2, 0.5, 20, fit=True)],
        # The last listing counts, and a listing of others' names is none.
        [durable(A, 1, 2.0, 20), listed(15), listed(25)],
        [durable(A, 1, 2.0, 20), listed(15, owner=B)],
        [durable(A, 1, 2.0, 20), listed(15), listed(25, IslandId("r", "t", 1), ISLAND)],
    ],
)
def test_a_result_that_lost_something(told: list[Any]) -> None:
    with violates(results.NOTHING_LOST):
        judged(a_result(1.0), *told)


def test_a_guess_that_nobody_looked_at() -> None:
    with violates(results.LOOKED_AT):
        judged(a_result(1.0), entry=TaskPlan(state=TaskState.DONE, islands=ENTRY.islands, result=NAME, error=ABSENT))


def test_an_extended_task_keeps_what_its_first_result_had() -> None:
    for fitness, moment in ((2.0, 101), (1.5, 99), (2.0, 99)):
        judge = results.ResultJudge(GRANTS | {ISLAND: {1: A, 2: B, 3: A}})
        judge.in_force(a_plan(B, 2))
        judge.created(NAME, B, 100)
        judge.named("r", "t", ENTRY, 1, a_result(2.0))
        judge.durable(B, snapshot(2, fitness), moment)
        judge.in_force(a_plan(A, 3, result=NAME))
        judge.created("results/r/t/1", B, 200)
        extended = TaskPlan(state=TaskState.DONE, islands=[IslandPlace(A, 3)], result="results/r/t/1")
        if (fitness, moment) == (2.0, 99):
            with violates(results.NOTHING_LOST):
                judge.named("r", "t", extended, 1, a_result(1.5))
        else:
            judge.named("r", "t", extended, 1, a_result(1.5))


@pytest.mark.parametrize("grant", [2, 3])
def test_what_is_saved_on_a_later_rung_counts(grant: int) -> None:
    judge = results.ResultJudge(GRANTS | {ISLAND: {1: A, 2: B, 3: A}})
    judge.in_force(a_plan(B, 2))
    judge.created(NAME, B, 100)
    # The plan that has the task go on gives its island to somebody at once, under grant 3.
    promoted = TaskPlan(islands=[IslandPlace(A, 3)], result=NAME, rung=1, first_grant=3)
    judge.named("r", "t", promoted, 1, a_result(1.0))
    judge.in_force(a_plan(A, 3, result=NAME, rung=1))
    judge.durable({2: B, 3: A}[grant], snapshot(grant, 2.0), 150)
    judge.created("results/r/t/1", A, 200)
    done = TaskPlan(state=TaskState.DONE, result="results/r/t/1", rung=1, first_grant=3)
    if grant == 3:
        with violates(results.NOTHING_LOST):
            judge.named("r", "t", done, 1, a_result(1.0))
    else:
        judge.named("r", "t", done, 1, a_result(1.0))  # That rung was over.


def test_a_result_that_is_not_there_or_goes() -> None:
    with violates(results.NAMED_STAYS):
        judged(None)
    judge = results.ResultJudge(GRANTS)
    judge.in_force(a_plan(task=TaskState.DONE, result=NAME))
    with violates(results.NAMED_STAYS):
        judge.deleted(NAME)
    judge.in_force(a_plan(runs={}))
    judge.deleted(NAME)


def test_what_a_refuted_guess_was_said_to_be_is_not_asked_for() -> None:
    def refuted(judge: results.ResultJudge) -> None:
        judge.refuted("r", "t")

    judged(a_result(1.0), durable(B, 2, 2.0, 20, fit=True), refuted)
    with violates(results.NOTHING_LOST):
        judged(a_result(1.0), durable(B, 2, 2.0, 20, fit=True), refuted, lambda judge: judge.renewed("r"))


@pytest.mark.parametrize("worth", [Worth(False, (1.0,)), Worth(True, (2.0,))])
def test_a_result_is_worth_what_its_program_is_worth(worth: Worth) -> None:
    result = a_result(1.0, fit=True)
    results.reproduced(NAME, ENTRY, result, Worth(True, (1.0,)))
    # Where nobody could look, that is said.
    results.reproduced(NAME, replace(ENTRY, error="nobody looked"), result, worth)
    with violates(results.REPRODUCED):
        results.reproduced(NAME, ENTRY, result, worth)


def test_a_result_is_as_good_as_what_lies_beside_it() -> None:
    beside = [Worth(False, (1.0,)), Worth(False, (2.0,))]
    results.well_chosen(NAME, ENTRY, a_result(2.0), beside)
    results.well_chosen(NAME, ENTRY, a_result(1.0, fit=True), beside)
    results.well_chosen(NAME, replace(ENTRY, state=TaskState.FAILED), a_result(1.0), beside)
    with violates(results.WELL_CHOSEN):
        results.well_chosen(NAME, ENTRY, a_result(1.0), beside)
