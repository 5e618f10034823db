"""What all of them evolve, with which numbers.

Imports nothing but Python's own, since peers' scripts import it where distevo is not installed.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

ISLANDS = 4
WORKERS = 2
"""Processes that evolve, where a peer has such; so many cores are given to each."""
POPULATION = 200
BATCH = 500
"""Children of an island in a generation."""
TOURNAMENT, CROSSOVER_RATE, IMMIGRANT_RATE = 3, 0.4, 0.02
"""As in `distevod.evolution.genetic`; a test holds them together."""
MIGRATION_INTERVAL, MIGRATION_SIZE = 10, 5
"""Generations between two emigrations along the ring, and programs in each: the defaults of `distevo-ctl submit`."""


class Work(NamedTuple):
    """One thing to evolve."""

    reference: str
    """The class with the operators, for all of them."""
    noted: str
    """The same, writing down when it evaluates: task data has the path as `notes`."""
    task: dict[str, Any]
    own: tuple[str, str]
    """The problem that ships with distevo for the same thing, and its task."""


WORKS = {
    "onemax": Work(
        "tests.support.onemax_lists:OneMaxLists",
        "tests.support.noted_operators:NotedOneMax",
        {"bits": 256},
        ("onemax", "256"),
    ),
    "regression": Work(
        "tests.support.formulas:Formulas",
        "tests.support.noted_operators:NotedFormulas",
        {},
        ("regression", "keijzer-4"),
    ),
}


def problem_of(name: str, notes: str = "") -> Any:
    """The problem of a work. With a path for `notes`, it writes down there when it evaluates."""
    work = WORKS[name]
    module, _, attribute = (work.noted if notes else work.reference).partition(":")
    task = work.task | {"notes": notes} if notes else work.task
    return getattr(importlib.import_module(module), attribute)(task)
