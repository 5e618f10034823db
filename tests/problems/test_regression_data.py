"""A user's numbers: what is read, and what is said of a file that cannot be."""

from typing import Any

import pytest

from distevo.errors import TaskError
from distevod.problems.regression import Regression, tasks_from_csv
from distevod.problems.regression.data import MOST_ROWS


def rows(count: int) -> str:
    return "".join(f"{x},{x * x},{x + 1}\n" for x in range(count))


def test_the_last_column_is_the_target() -> None:
    assert tasks_from_csv(rows(4), "mine") == {
        "mine": {"X": [[0.0, 0.0], [1.0, 1.0], [2.0, 4.0], [3.0, 9.0]], "y": [1.0, 2.0, 3.0, 4.0]}
    }


def test_a_header_is_optional_and_may_name_the_target() -> None:
    plain = tasks_from_csv(rows(4), "mine")
    assert tasks_from_csv("a,b,c\n" + rows(4), "mine") == plain
    assert tasks_from_csv("a,y,c\n1,2,3\n4,5,6\n7,8,9\n10,11,12\n", "mine") == {
        "mine": {"X": [[1.0, 3.0], [4.0, 6.0], [7.0, 9.0], [10.0, 12.0]], "y": [2.0, 5.0, 8.0, 11.0]}
    }


def test_every_fourth_of_eight_rows_or_more_is_hidden() -> None:
    assert "test" not in tasks_from_csv(rows(7), "mine")["mine"]
    task = tasks_from_csv(rows(9), "mine")["mine"]
    assert [x for x, _ in task["X"]] == [0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 8.0]
    assert task["test"] == {"X": [[3.0, 9.0], [7.0, 49.0]], "y": [4.0, 8.0]}
    assert Regression(task).verify is not None
    assert Regression(tasks_from_csv(rows(7), "mine")["mine"]).verify is None


@pytest.mark.parametrize("separator", [";", "\t", ", "])
def test_separators(separator: str) -> None:
    assert tasks_from_csv(rows(9).replace(",", separator), "mine") == tasks_from_csv(rows(9), "mine")


def test_what_spreadsheets_write() -> None:
    messy = "\ufeff\r\n" + rows(9).replace("\n", "\r\n") + "\r\n ,\r\n"
    assert tasks_from_csv(messy, "mine") == tasks_from_csv(rows(9), "mine")
    quoted = '"a","b","y"\n' + "".join(f'"{x}","{x}","1e{x}"\n' for x in range(4))
    assert tasks_from_csv(quoted, "mine")["mine"]["y"] == [1.0, 10.0, 100.0, 1000.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "mine: 0 rows of numbers; at least 4 are needed"),
        ("a,b\n1,2\n3,4\n5,6\n", "mine: 3 rows of numbers; at least 4 are needed"),
        ("1\n2\n3\n4\n", "mine: 1 columns; must be 2 to 101"),
        ("1,2\n3,4\n5\n6,7\n", "mine, line 3: 1 columns where the first line has 2"),
        ("a,b\n1,2\n3,4\n5,6\n7,8,9\n", "mine, line 5: 3 columns where the first line has 2"),
        ("1,2\n3,four\n5,6\n7,8\n", "mine, line 2, column 2: 'four' is not a number"),
        ("1.0,2.o\n3,4\n5,6\n7,8\n", "mine, line 1, column 2: '2.o' is not a number"),
        ("1,2\n3,\n5,6\n7,8\n", "mine, line 2, column 2: '' is not a number"),
        ("1,2\nnan,4\n5,6\n7,8\n", "mine, line 2, column 1: 'nan' is not a finite number"),
        ("1,2\n3,inf\n5,6\n7,8\n", "mine, line 2, column 2: 'inf' is not a finite number"),
        ("1,2\n3,1e999\n5,6\n7,8\n", "'1e999' is not a finite number"),
        ("1;2\n3;4,5\n5;6\n7;8\n", "mine, line 2, column 2: '4,5' is not a number"),
        ('1,2\n3,"4\n5,6\n7,8\n', "mine, line 4: unexpected end of data"),
        ("1,2\n" * (MOST_ROWS + 2), "mine: more than 100,000 rows"),
    ],
    ids=range(14),
)
def test_a_file_that_cannot_be_read_is_explained(content: str, message: str) -> None:
    with pytest.raises(TaskError) as caught:
        tasks_from_csv(content, "mine")
    assert message in str(caught.value)


GOOD: dict[str, Any] = {"X": [[1.0], [2.0], [3.0], [4.0]], "y": [1, 2.5, 3.0, 4.0]}


def test_numbers_in_a_task_file() -> None:
    assert Regression(GOOD).verify is None
    assert Regression({**GOOD, "test": {"X": [[5.0]], "y": [5.0]}}).verify is not None


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (None, "regression needs numbers; give `nguyen` (1-12)"),
        ({}, "regression needs numbers; give `nguyen` (1-12)"),
        ({"X": [[1.0]]}, "regression needs numbers"),
        ({"benchmark": "nguyen-13"}, "'nguyen-13' is no benchmark; known are nguyen-1"),
        ({"benchmark": 1}, "1 is no benchmark"),
        ({**GOOD, "z": 1}, "a regression task has no 'z'"),
        ({**GOOD, "X": 3}, '"X" must be a list of rows'),
        ({**GOOD, "X": [1.0, 2.0, 3.0, 4.0]}, '"X" must be a list of rows'),
        ({**GOOD, "y": [1.0]}, '"X" has 4 rows and "y" 1; they must be as many'),
        ({"X": [[1.0]] * 3, "y": [1.0] * 3}, "3 rows; must be 4 to 100,000"),
        ({**GOOD, "X": [[1.0], [2.0], [3.0, 4.0], [5.0]]}, "row 2 of X has 2 numbers where row 0 has 1"),
        ({**GOOD, "X": [[]] * 4}, "0 columns; must be 1 to 100"),
        ({**GOOD, "X": [[0.0] * 101] * 4}, "101 columns; must be 1 to 100"),
        ({**GOOD, "X": [[1.0], ["2"], [3.0], [4.0]]}, "task: X[1][0] is '2', not a number"),
        ({**GOOD, "X": [[1.0], [None], [3.0], [4.0]]}, "task: X[1][0] is None, not a number"),
        ({**GOOD, "X": [[1.0], [True], [3.0], [4.0]]}, "task: X[1][0] is True, not a number"),
        ({**GOOD, "y": [1.0, 2.0, float("nan"), 4.0]}, "task: y[2] is nan; must be finite"),
        ({**GOOD, "y": [1.0, 2.0, 10**200, 4.0]}, "must be finite and at most 1e100 in size"),
        ({**GOOD, "test": 3}, "test must be an object"),
        ({**GOOD, "test": {"X": [], "y": []}}, "test: 0 rows; must be 1 to 100,000"),
        ({**GOOD, "test": {"X": [[1.0, 2.0]], "y": [1.0]}}, "test has 2 columns in X where the task has 1"),
    ],
    ids=range(21),
)
def test_numbers_that_cannot_be_used_are_explained(task: object, message: str) -> None:
    with pytest.raises(TaskError) as caught:
        Regression(task)
    assert message in str(caught.value)
