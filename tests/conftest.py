"""Counts which rows of the state tables the tests take, so that one of them can see to it that all are; marks the
tests of whole clusters as long; and sees to it that Ctrl-C reaches what tests start, and that what whoever runs the
tests has set up for themselves does not."""

from __future__ import annotations

import os
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


# A shell that runs the tests in the background lets them ignore Ctrl-C, and `nohup` the end of the terminal; so would
# all that they start. A handler ends with exec, other than ignoring: the tests themselves still outlive their terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


# Settings, the kind of platform, a bucket, and a proxy, through which no server of a test is found.
PLATFORMS = ("KAGGLE_", "COLAB_", "PAPERSPACE_")
USERS_OWN = ("DISTEVO_", *PLATFORMS, "GOOGLE_", "STORAGE_EMULATOR_HOST", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
for name in list(os.environ):
    if name.startswith(USERS_OWN) or name.lower().endswith("_proxy"):
        del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(folder in item.path.parents for folder in CLUSTERS):
            item.add_marker("long")
