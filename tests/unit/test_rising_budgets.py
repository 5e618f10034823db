"""Rungs as data: which budgets may follow each other, and which rung comes next."""

from __future__ import annotations

import msgspec
import pytest

from distevo.checkpoint import Counters
from distevo.events import IslandId
from distevo.plan import IslandPlace, RunPlan, RunState, TaskPlan
from distevo.run import Budget, ProblemUse, Run, RunSettings
from distevo.rungs import next_rung
from distevo.work import fresh_snapshot

PROBLEM = ProblemUse("toy", "", "toy", "1")


def plan(*rungs: Budget, islands: int = 1, rung: int = 0) -> RunPlan:
    return RunPlan(
        object="o", first_grant=1, state=RunState.RUNNING, problem=PROBLEM, islands_per_task=islands,
        budget=Budget(None, 100), rungs=list(rungs),
        tasks={"t": TaskPlan(islands=[IslandPlace() for _ in range(islands)], rung=rung)},
    )  # fmt: skip


def test_the_next_rung_is_the_first_that_gives_some_island_more_to_do() -> None:
    run = Run(
        name="r", nonce="", problem=PROBLEM, settings=RunSettings(seed=1, evaluations=1), tasks={}, submitted_through=""
    )

    def states(*evaluations: int) -> list[object]:
        return [
            msgspec.structs.replace(
                fresh_snapshot(run, IslandId("r", "t", index), 1), counters=Counters(evaluations=count)
            )
            for index, count in enumerate(evaluations)
        ]

    two = plan(Budget(None, 20), Budget(None, 40))
    assert [next_rung(two, "t", states(count)) for count in (20, 39, 40, 99, 100)] == [1, 1, 2, 2, None]  # type: ignore[arg-type]
    assert next_rung(plan(), "t", states(20)) is None  # type: ignore[arg-type]
    shared = plan(Budget(None, 20), Budget(None, 40), islands=2)
    assert next_rung(shared, "t", states(50, 10)) == 1  # type: ignore[arg-type]
    assert next_rung(shared, "t", states(50, 20)) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rungs", "why"),
    [
        ([(None, 200)], "rise"),
        ([(None, 50), (None, 50)], "rise"),
        ([(1.0, None)], "one unit"),
        ([(None, 2)], "leaves some of 3 islands none"),
        ([(None, count + 3) for count in range(40)], "more than 32"),
    ],
)
def test_budgets_that_do_not_rise_are_refused(rungs: list[tuple[float | None, int | None]], why: str) -> None:
    settings = {
        "seed": 1,
        "evaluations": 100,
        "islands_per_task": 3,
        "rungs": [{"cpu_seconds": cpu, "evaluations": evaluations} for cpu, evaluations in rungs],
    }
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert(settings, RunSettings)


def test_tasks_and_runs_have_their_turn() -> None:
    run = plan(Budget(None, 20))
    run.tasks |= {"u": TaskPlan(rung=1), "v": TaskPlan()}
    run.tasks["t"].rung = 1
    assert [task for task, _ in run.in_turn()] == ["v", "t", "u"]
    assert [run.budget_at(rung).evaluations for rung in range(2)] == [20, 100]
