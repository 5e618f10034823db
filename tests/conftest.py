"""Counts which rows of the state tables the tests take, so that one of them can see to it that all are; marks the
tests of whole clusters as long; and sees to it that Ctrl-C reaches what tests start."""

from __future__ import annotations

import signal
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


for number in (signal.SIGINT, signal.SIGHUP):
    # A shell that runs the tests in the background lets them ignore Ctrl-C, and so would all that they start.
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(folder in item.path.parents for folder in CLUSTERS):
            item.add_marker("long")
