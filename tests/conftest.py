"""Counts which rows of the state tables the tests take, so that one of them can see to it that all are; and marks the
tests of whole clusters as long."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from distevo.machine import Table

CLUSTERS = [Path(__file__).parent / name for name in ("cluster", "hosts")]

ROWS: Counter[tuple[int, StrEnum, StrEnum]] = Counter()
"""(identity of the table, state, event) of each step taken in this session."""

_step = Table.step


def _counted(self: Table[Any, Any], state: Any, event: Any) -> Any:
    ROWS[id(self), state, event] += 1
    return _step(self, state, event)


Table.step = _counted  # type: ignore[method-assign]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(folder in item.path.parents for folder in CLUSTERS):
            item.add_marker("long")
