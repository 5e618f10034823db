"""Tasks of `grids`: the named sets, ARC's JSON forms, and an error that names the place for everything else."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from distevo.errors import TaskError
from distevod.problems.grids import Grids
from distevod.problems.grids.tasks import checked_task, named_tasks, tasks_from_json

GOOD: dict[str, Any] = {
    "train": [{"input": [[1, 2], [3, 4]], "output": [[2, 1], [4, 3]]}, {"input": [[5]], "output": [[5]]}],
    "test": [{"input": [[1, 0]], "output": [[0, 1]]}],
}


def test_splits_have_400_tasks_each_and_share_none() -> None:
    training, evaluation = named_tasks("training"), named_tasks("evaluation")
    assert len(training) == len(evaluation) == 400
    assert not training.keys() & evaluation.keys()
    assert list(training) == sorted(training)


def test_a_range_includes_both_ends_over_ids_in_sorted_order() -> None:
    ids = list(named_tasks("training"))
    assert list(named_tasks("training:0-39")) == ids[:40]
    assert list(named_tasks("training:399-399")) == ids[399:]


def test_ids_are_taken_from_either_split_in_the_order_given() -> None:
    first, second = list(named_tasks("training"))[7], next(iter(named_tasks("evaluation")))
    assert list(named_tasks(f"{second},{first}")) == [second, first]


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "train",
        "training:",
        "training:5-3",
        "training:0-400",
        "training:-1-3",
        "00000000",
        "007bbfb7,,",
        "training,007bbfb7",
    ],
)
def test_another_text_is_refused_with_what_is_taken(spec: str) -> None:
    with pytest.raises(TaskError, match=r"grids has no tasks|a range runs"):
        Grids.tasks(spec)


def test_every_training_task_passes_the_check() -> None:
    for name, data in named_tasks("training").items():
        task = checked_task(data, name)
        assert task.train_inputs[0].dtype == np.uint8
        assert task.train_inputs[0].tolist() == data["train"][0]["input"]


def test_a_file_holds_one_task_or_an_object_of_tasks() -> None:
    assert tasks_from_json(GOOD) == {"default": GOOD}
    assert tasks_from_json({"a": GOOD, "b": GOOD}) == {"a": GOOD, "b": GOOD}


def test_test_outputs_may_be_missing_and_then_nothing_is_verified() -> None:
    task = copy.deepcopy(GOOD)
    del task["test"][0]["output"]
    assert checked_task(task).test_outputs is None
    assert Grids(task).verify is None
    assert Grids(GOOD).verify is not None


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy of the good task with one place changed; the value `...` takes the place out."""
    task = copy.deepcopy(GOOD)
    place: Any = task
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return task


GRID = ("train", 1, "input")
DEEP: Any = []
for _ in range(100_000):
    DEEP = [DEEP]

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("no train", changed(("train",), ...), 'has no "train"'),
    ("no test", changed(("test",), ...), 'has no "test"'),
    ("no train pairs", changed(("train",), []), '"train" has 0 pairs'),
    ("no test pairs", changed(("test",), []), '"test" has 0 pairs'),
    ("pairs no list", changed(("train",), 7), '"train" must be a list of pairs, is 7'),
    ("pair no object", changed(("train", 1), [1]), "train pair 1 must be an object, is a list"),
    ("no input", changed(GRID, ...), 'train pair 1: has no "input"'),
    ("no output", changed(("train", 0, "output"), ...), 'train pair 0: has no "output"'),
    ("null output", changed(("train", 0, "output"), None), "train pair 0, output: must be a list of rows, is None"),
    ("no rows", changed(GRID, []), "train pair 1, input: has 0 rows"),
    ("no cells", changed(GRID, [[]]), "train pair 1, input: row 0 has 0 cells"),
    ("ragged", changed(GRID, [[1, 2], [3]]), "train pair 1, input: row 1 has 1 cells, row 0 has 2"),
    ("31 rows", changed(GRID, [[1]] * 31), "train pair 1, input: has 31 rows, must have 1 to 30"),
    ("31 columns", changed(GRID, [[1] * 31]), "train pair 1, input: row 0 has 31 cells, must have 1 to 30"),
    ("colour 10", changed(GRID, [[10]]), "train pair 1, input: row 0, cell 0 must be a whole number 0 to 9, is 10"),
    ("colour -1", changed(GRID, [[1, -1]]), "row 0, cell 1 must be a whole number 0 to 9, is -1"),
    ("NaN", changed(GRID, [[float("nan")]]), "cell 0 must be a whole number 0 to 9, is nan"),
    ("float", changed(GRID, [[1.0]]), "cell 0 must be a whole number 0 to 9, is 1.0"),
    ("bool", changed(GRID, [[True]]), "cell 0 must be a whole number 0 to 9, is True"),
    ("text", changed(GRID, [["1"]]), "cell 0 must be a whole number 0 to 9, is text"),
    ("row no list", changed(GRID, [3]), "row 0 must be a list of colours, is 3"),
    ("100,000 deep", changed(GRID, DEEP), "row 0, cell 0 must be a whole number 0 to 9, is a list"),
    (
        "some test outputs",
        changed(("test",), [*GOOD["test"], {"input": [[1]]}]),
        '1 has no "output", and others have',
    ),
]


@pytest.mark.parametrize(("task", "message"), [(t, m) for _, t, m in BAD], ids=[name for name, _, _ in BAD])
def test_bad_content_is_named_with_task_pair_and_place(task: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError) as caught:
        tasks_from_json({"mine": task})
    assert str(caught.value).startswith("task mine")
    assert message in str(caught.value)
    with pytest.raises(TaskError):
        Grids(task)


@pytest.mark.parametrize("data", [None, [], 3, "x", {}, {"a": 1}, {"a": []}, [GOOD]])
def test_a_file_that_is_no_tasks_is_refused(data: Any) -> None:
    with pytest.raises(TaskError):
        tasks_from_json(data)
