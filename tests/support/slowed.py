"""Problems that ship with distevo, whose evaluations take as long as one likes.

A task has `seconds` that each evaluation takes of the processor at least; what is left of it is the data of a task of
the problem itself.
"""

from __future__ import annotations

import time
from typing import Any

from distevod.problems.grids import Grids
from distevod.problems.onemax import OneMax
from distevod.problems.regression import Regression


class _Slowed:
    """Mixed into a problem, before it."""

    evaluate_batch = None
    """Each is evaluated by itself, and takes its time."""

    def __init__(self, task: dict[str, Any]) -> None:
        self._seconds = float(task["seconds"])
        super().__init__({key: value for key, value in task.items() if key != "seconds"})  # type: ignore[call-arg]

    def evaluate(self, genome: Any) -> Any:
        until = time.thread_time() + self._seconds
        found = super().evaluate(genome)  # type: ignore[misc]
        while time.thread_time() < until:
            pass
        return found


class SlowedOneMax(_Slowed, OneMax):
    """Bit strings."""


class SlowedRegression(_Slowed, Regression):
    """Formulas."""


class SlowedGrids(_Slowed, Grids):
    """Grid programs."""
