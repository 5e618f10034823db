"""Task data: what a task file may hold, and what a problem may make of it, as JSON that every platform reads."""

import json
import re
from collections.abc import Callable
from typing import Any

import orjson

from distevo.errors import TaskError
from distevo.names import quote

TASK_ID_LIMIT_BYTES = 128
FILE_NAME_LIMIT_BYTES = 255
"""A task's id, percent-encoded, is one file name in a folder store."""
TASKS_LIMIT_BYTES = 64 << 20
"""Largest task file, and largest set of tasks as JSON: every platform reads it."""

_MOST_DIGITS = 20
"""Of a whole number of 64 bits."""
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


def parse_task_file(content: bytes) -> Any:
    """JSON of a task file. Raises `TaskError` for what is none, for NaN, for too much or too deep content, and for what
    readers of JSON silently change: names that are given twice, and whole numbers of more than 64 bits."""
    if len(content) > TASKS_LIMIT_BYTES:
        raise TaskError(f"the task file has {len(content):,} bytes; at most {TASKS_LIMIT_BYTES:,} are read")
    try:
        parsed = orjson.loads(content)
        json.loads(content, object_pairs_hook=_once, parse_int=_whole_number_of(content))
    except (RecursionError, ValueError) as error:
        if is_too_deep(error):
            raise TaskError("the task file is nested too deeply") from error
        raise TaskError(f"the task file is not JSON: {error}") from error
    return parsed


def is_too_deep(error: Exception) -> bool:
    """Whether JSON is nested more deeply than can be read or written here; orjson reads 1,024 levels and writes 254."""
    return isinstance(error, RecursionError) or str(error).startswith(("depth limit", "Recursion limit"))


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise TaskError(f"{twice!r:.80} is given twice in one object of the task file")


def _whole_number_of(content: bytes) -> Callable[[str], Any]:
    """What reads whole numbers: with a closer look only where some are long."""
    return _whole_number if _LONG_NUMBER.search(content) else str


def _whole_number(text: str) -> int:
    digits = text.lstrip("-0")
    if len(digits) > _MOST_DIGITS or not -(2**63) <= int(text) < 2**64:
        raise TaskError(f"the whole number {text:.30} has more than 64 bits: write it as text")
    return int(text)


def check_id(name: object) -> None:
    """Raises `TaskError` for what can be no task's id."""
    if not isinstance(name, str) or not 0 < len(name.encode(errors="replace")) <= TASK_ID_LIMIT_BYTES:
        raise TaskError(f"task id {name!r:.80}: must be text of 1 to {TASK_ID_LIMIT_BYTES} bytes")
    if not name.isprintable() or len(quote(name)) > FILE_NAME_LIMIT_BYTES:
        raise TaskError(f"task id {name!r:.80}: use letters, digits, '-', '_' and '.'")


def is_id(name: str) -> bool:
    """Whether a file's name can be a task's id."""
    is_short = len(quote(name)) <= FILE_NAME_LIMIT_BYTES and len(name.encode()) <= TASK_ID_LIMIT_BYTES
    return is_short and name.isprintable()


def as_json(name: str, data: Any) -> bytes:
    """A task's data as JSON. Raises `TaskError` where it is none, or has whole numbers of more than 64 bits.

    orjson would write null for NaN, so it is json that writes what Python code made.
    """
    try:
        text = json.dumps(data, allow_nan=False, separators=(",", ":")).encode()
        if _LONG_NUMBER.search(text):
            json.loads(text, parse_int=_whole_number)
        return text
    except TaskError as error:
        raise TaskError(f"task {name!r}: {error}") from error
    except RecursionError as error:
        raise TaskError(f"task {name!r} is nested too deeply") from error
    except (TypeError, ValueError) as error:
        raise TaskError(f"task {name!r} is not JSON data: {error}") from error


def check_depth(name: str, text: bytes) -> None:
    """Raises `TaskError` for a task's JSON that is nested more deeply than a task file may be: what Python's own reader
    and writer stand differs from one platform's Python to another's."""
    try:
        orjson.dumps(orjson.loads(text))
    except (TypeError, ValueError) as error:  # What else it does not take others may, who read it.
        if is_too_deep(error):
            raise TaskError(f"task {name!r} is nested too deeply") from error
