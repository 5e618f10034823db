"""Counts which rows of the state tables the tests take, so that one of them can see to it that all are."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Any

from distevo.machine import Table

ROWS: Counter[tuple[int, StrEnum, StrEnum]] = Counter()
"""(identity of the table, state, event) of each step taken in this session."""

_step = Table.step


def _counted(self: Table[Any, Any], state: Any, event: Any) -> Any:
    ROWS[id(self), state, event] += 1
    return _step(self, state, event)


Table.step = _counted  # type: ignore[method-assign]
