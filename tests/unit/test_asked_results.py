"""Results as people ask a daemon for them: whoever is told that a task is done is told its result, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from distevo.plan import RunPlan, RunState, TaskPlan, TaskState
from distevo.result import Result, encode_result
from distevo.run import Budget, ProblemUse
from distevo.view import Unreadable
from distevod import results
from distevod.results import Found, Results
from distevod.store import Store, open_store


def run(**objects: str) -> RunPlan:
    """A run whose tasks are done, with these results; open where there is none."""
    return RunPlan(
        object="inbox/run-a", first_grant=1, state=RunState.RUNNING, problem=ProblemUse("toy", "", "toy", "1"),
        islands_per_task=1, budget=Budget(None, 10),
        tasks={
            task: TaskPlan(state=TaskState.DONE, result=name) if name else TaskPlan() for task, name in objects.items()
        },
    )  # fmt: skip


def write(store: Store, *names: str) -> None:
    for name in names:
        result = Result(
            run="a", task="t", fit=False, solved=None, program=name, key=None, fitness=[1.0], evaluations=1, seconds=1.0
        )
        store.create(name, encode_result(result, b""))


class Counted:
    """A store's reading side that notes what is read."""

    def __init__(self, store: Store) -> None:
        self.store, self.read_names = store, list[str]()

    def read(self, name: str) -> tuple[bytes, int]:
        self.read_names.append(name)
        return self.store.read(name)

    def list(self, prefix: str) -> list[str]:
        return self.store.list(prefix)


class Asked:
    """Results of a store in a folder, asked for while the plan goes through several states."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(str(folder))
        self.reader = Counted(self.store)
        self.threads = ThreadPoolExecutor(1)
        self.results = Results(self.reader, self.threads)

    def of(self, *plans: RunPlan, task: str | None = None) -> tuple[RunPlan, Found]:
        """The last plan stays."""
        states = list(plans)
        return asyncio.run(self.results.of(lambda: states.pop(0) if len(states) > 1 else states[0], task))


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


def programs(found: Found, *names: str) -> Sequence[str | None]:
    return [result.program for name in names if isinstance(result := found[name], Result)]


def test_what_becomes_done_while_others_are_read_is_read_too(asked: Asked) -> None:
    write(asked.store, "results/a", "results/b")
    plan, found = asked.of(run(t="results/a", u=""), run(t="results/a", u="results/b"))
    assert plan.tasks["u"].state is TaskState.DONE
    assert programs(found, "results/a", "results/b") == ["results/a", "results/b"]


def test_each_object_is_read_once_and_of_one_task_no_other(asked: Asked) -> None:
    write(asked.store, "results/a", "results/b")
    both = run(t="results/a", u="results/b")
    assert set(asked.of(both, task="u")[1]) == {"results/b"}
    assert set(asked.of(both)[1]) == {"results/a", "results/b"}
    asked.of(both)
    assert asked.reader.read_names == ["results/b", "results/a"]


def test_a_result_that_is_superseded_while_it_is_read_is_no_loss(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "SUPERSEDED_WAIT_SECONDS", 0.01)
    write(asked.store, "results/high")
    plan, found = asked.of(*[run(t="results/low")] * 2, run(t="results/high"))
    assert plan.tasks["t"].result == "results/high"
    assert programs(found, "results/high") == ["results/high"]


def test_of_a_result_that_is_gone_or_damaged_that_is_said_and_the_others_are_there(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "SUPERSEDED_WAIT_SECONDS", 0.01)
    write(asked.store, "results/a")
    asked.store.create("results/damaged", b"damaged")
    _, found = asked.of(run(t="results/a", u="results/gone", v="results/damaged"))
    assert programs(found, "results/a") == ["results/a"]
    gone, damaged = found["results/gone"], found["results/damaged"]
    assert isinstance(gone, Unreadable)
    assert (gone.error, gone.is_missing) == ("it is not there", True)
    assert isinstance(damaged, Unreadable)
    assert not damaged.is_missing
    write(asked.store, "results/gone")
    assert programs(asked.of(run(u="results/gone"))[1], "results/gone") == ["results/gone"], "it is looked for again"


def test_more_than_are_kept_are_all_told_and_the_latest_stay(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "KEPT", 2)
    write(asked.store, "results/a", "results/b", "results/c", "results/d")
    three = run(t="results/a", u="results/b", v="results/c")
    assert len(asked.of(three)[1]) == 3
    asked.of(run(t="results/d"))
    assert len(asked.of(three)[1]) == 3
    assert len(asked.reader.read_names) == 3 + 1 + 2
