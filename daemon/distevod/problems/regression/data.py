"""A user's numbers: as JSON in a task, or as a CSV file."""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from distevo.errors import TaskError

LEAST_ROWS = 4
MOST_ROWS = 100_000
MOST_COLUMNS = 100
HIDE_FROM_ROWS = 8
"""With at least so many rows in a CSV file, every fourth is kept for `verify`."""
HIDE_EVERY = 4


class Numbers(NamedTuple):
    """Points and what is known of each."""

    columns: list[list[float]]
    """One list for each variable."""
    y: list[float]


def numbers_of(data: Any, where: str, least_rows: int = LEAST_ROWS) -> Numbers:
    """`{"X": [[1.0, 2.0], ...], "y": [3.0, ...]}` as columns. `TaskError` names row and column."""
    if not isinstance(data, dict) or not {"X", "y"} <= data.keys():
        raise TaskError(f'{where} must be an object with "X" (a list of rows) and "y" (a list of numbers)')
    rows, y = data["X"], data["y"]
    if not isinstance(rows, list) or not isinstance(y, list) or not all(isinstance(row, list) for row in rows):
        raise TaskError(f'{where}: "X" must be a list of rows, each a list of numbers, and "y" a list of numbers')
    if len(rows) != len(y):
        raise TaskError(f'{where}: "X" has {len(rows)} rows and "y" {len(y)}; they must be as many')
    if not least_rows <= len(rows) <= MOST_ROWS:
        raise TaskError(f"{where}: {len(rows)} rows; must be {least_rows} to {MOST_ROWS:,}")
    width = len(rows[0])
    if not 1 <= width <= MOST_COLUMNS:
        raise TaskError(f"{where}: {width} columns; must be 1 to {MOST_COLUMNS}")
    for number, row in enumerate(rows):
        if len(row) != width:
            raise TaskError(f"{where}: row {number} of X has {len(row)} numbers where row 0 has {width}")
    columns = [
        [_number(value, f"{where}: X[{number}][{index}]") for number, value in enumerate(column)]
        for index, column in enumerate(zip(*rows, strict=True))
    ]
    return Numbers(columns, [_number(value, f"{where}: y[{number}]") for number, value in enumerate(y)])


def _number(value: Any, where: str) -> float:
    if type(value) not in (int, float):
        raise TaskError(f"{where} is {value!r:.40}, not a number")
    # 1e100: its square can still be summed over all rows, and a whole number of any size fits a float.
    if not abs(value) <= 1e100:
        raise TaskError(f"{where} is {value!r:.40}; must be finite and at most 1e100 in size")
    return float(value)


def tasks_from_csv(content: str, name: str) -> dict[str, Any]:
    """Task data by id (one task, `name`) of a CSV file.

    Columns are separated by commas, semicolons or tabs. A first line without numbers is the header; the
    column that it calls `y` is the target, else the last one. With `HIDE_FROM_ROWS` rows or more, every fourth
    is kept as test for `verify`.

    Raises `TaskError`, with line and column, for rows of unequal length, what is not a finite number, and too
    few or too many rows or columns.
    """
    content = content.removeprefix("\ufeff")
    first = content.lstrip().split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    lines: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(content), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                lines.append((reader.line_num, [cell.strip() for cell in row]))
            if len(lines) > MOST_ROWS + 1:
                raise TaskError(f"{name}: more than {MOST_ROWS:,} rows")
    except csv.Error as error:
        raise TaskError(f"{name}, line {reader.line_num}: {error}") from error
    target = -1
    if lines and not any(_is_number(cell) for cell in lines[0][1]):
        _, header = lines.pop(0)
        if header.count("y") == 1:
            target = header.index("y")
        width = len(header)
    else:
        width = len(lines[0][1]) if lines else 0
    if len(lines) < LEAST_ROWS:
        raise TaskError(f"{name}: {len(lines)} rows of numbers; at least {LEAST_ROWS} are needed")
    if not 2 <= width <= MOST_COLUMNS + 1:
        raise TaskError(f"{name}: {width} columns; must be 2 to {MOST_COLUMNS + 1}: variables, then y")
    rows = [_row(cells, width, f"{name}, line {line}") for line, cells in lines]
    hidden = range(HIDE_EVERY - 1, len(rows), HIDE_EVERY) if len(rows) >= HIDE_FROM_ROWS else range(0)
    task: dict[str, Any] = _split([row for number, row in enumerate(rows) if number not in hidden], target)
    if hidden:
        task["test"] = _split([rows[number] for number in hidden], target)
    return {name: task}


def _split(rows: Sequence[list[float]], target: int) -> dict[str, Any]:
    y = [row[target] for row in rows]
    target %= len(rows[0])
    return {"X": [row[:target] + row[target + 1 :] for row in rows], "y": y}


def _row(cells: list[str], width: int, where: str) -> list[float]:
    if len(cells) != width:
        raise TaskError(f"{where}: {len(cells)} columns where the first line has {width}")
    row: list[float] = []
    for column, cell in enumerate(cells, start=1):
        if not _is_number(cell):
            raise TaskError(f"{where}, column {column}: {cell!r:.40} is not a number")
        if not math.isfinite(float(cell)):
            raise TaskError(f"{where}, column {column}: {cell!r:.40} is not a finite number")
        row.append(float(cell))
    return row


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
