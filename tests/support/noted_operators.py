"""The same problems, writing down when they evaluate: each evaluation is a line, monotonic time and process."""

from __future__ import annotations

import os
import time
from typing import Any

from tests.support.formulas import Formulas
from tests.support.onemax_lists import OneMaxLists


class _Notes:
    """Task data: the problem's own, and `notes`, a path."""

    def __init__(self, task: Any) -> None:
        self._notes = os.open(task["notes"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        super().__init__({key: value for key, value in task.items() if key != "notes"})  # type: ignore[call-arg]

    def evaluate(self, genome: Any) -> Any:
        os.write(self._notes, f"{time.monotonic():.6f} {os.getpid()}\n".encode())
        return super().evaluate(genome)  # type: ignore[misc]


class NotedOneMax(_Notes, OneMaxLists):
    """Bit strings."""


class NotedFormulas(_Notes, Formulas):
    """Formulas."""
