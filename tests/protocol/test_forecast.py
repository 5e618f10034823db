"""The forecast of what an island takes that nobody began."""

from __future__ import annotations

import pytest

from distevo.forecast import NOTHING, Forecast, seconds_between
from distevo.plan import RunPlan, RunState, TaskPlan, TaskState
from distevo.run import Budget, ProblemUse


def run(*closed: float) -> RunPlan:
    tasks = {f"t{n}": TaskPlan(state=TaskState.DONE, evaluations=5, seconds=took) for n, took in enumerate(closed)}
    tasks["open"] = TaskPlan(seconds=77.0, evaluations=5)
    tasks["failed"] = TaskPlan(state=TaskState.FAILED, seconds=77.0, evaluations=5)
    tasks["cancelled before it began"] = TaskPlan(state=TaskState.DONE)
    problem = ProblemUse("toy", "", "toy", "1")
    return RunPlan(
        object="o", first_grant=1, state=RunState.RUNNING, problem=problem, islands_per_task=1, tasks=tasks,
        budget=Budget(None, 100),
    )  # fmt: skip


def test_with_nothing_closed_it_is_the_budget() -> None:
    assert Forecast.of(run()).island(10.0) == 10.0
    assert Forecast.of(run()).island(None) is None


def test_it_goes_from_the_budget_to_what_others_took() -> None:
    assert Forecast.of(run(1.0)).island(10.0) == pytest.approx(41 / 5)
    assert Forecast.of(run(*[1.0] * 400)).island(10.0) == pytest.approx(1.0, rel=0.1)
    assert Forecast.of(run(*[0.01] * 400)).island(None) == pytest.approx(0.1, rel=0.1)


def test_it_is_never_more_than_the_budget() -> None:
    assert Forecast.of(run(30.0, 40.0)).island(10.0) == 10.0


def test_tasks_of_lower_rungs_say_nothing_of_a_higher_one() -> None:
    easy = run(0.03, 0.03, 0.03)
    assert Forecast.of(easy, 2).island(5.0) == 5.0
    assert Forecast.of(easy, 0).island(5.0) < 5.0


def test_a_budget_in_evaluations_is_worth_what_the_runs_evaluations_take() -> None:
    first, second = Budget(None, 100), Budget(None, 400)
    assert seconds_between(NOTHING, first, None) is None
    assert seconds_between(NOTHING, first, 0.5) == 50.0
    assert seconds_between(first, second, 0.5) == 150.0


def test_a_budget_in_seconds_needs_no_other_measure() -> None:
    assert seconds_between(NOTHING, Budget(8.0, None), None) == 8.0
    assert seconds_between(Budget(2.0, None), Budget(8.0, None), 0.5) == 6.0


def test_of_two_limits_the_one_that_comes_first_counts() -> None:
    both = Budget(8.0, 100)
    assert seconds_between(NOTHING, both, 0.01) == 1.0
    assert seconds_between(NOTHING, both, 1.0) == 8.0
    assert seconds_between(both, both, 1.0) == 0.0
