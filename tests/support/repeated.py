"""Problems that write down what they evaluate, and when: 25 octets for each evaluation, in a file for each worker.

A task has `trace`, the folder for the files, and `seconds` that each evaluation takes of the processor at least; what
is left of it is the data of a task of the problem itself.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blake3 import blake3

from distevod.problems.grids import Grids
from distevod.problems.onemax import OneMax
from distevod.problems.regression import Regression

RECORD = struct.Struct("<d16s?")
"""Seconds on this machine's monotonic clock, the digest of the genome, and whether it is a node of a sweep."""


class _Traced:
    """What is evaluated goes into the trace; mixed into a problem, before it."""

    encode: Any
    evaluate_batch = None
    """Each is evaluated by itself, so that each is written down when it is done."""

    def __init__(self, task: dict[str, Any]) -> None:
        folder, self._seconds = Path(task["trace"]), float(task["seconds"])
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / f"{os.getpid()}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        super().__init__({key: value for key, value in task.items() if key not in {"trace", "seconds"}})  # type: ignore[call-arg]

    def evaluate(self, genome: Any) -> Any:
        until = time.perf_counter() + self._seconds
        found = super().evaluate(genome)  # type: ignore[misc]
        while time.perf_counter() < until:
            pass
        self._write(genome, is_node=False)
        return found

    def _write(self, genome: Any, *, is_node: bool) -> None:
        os.write(self._file, RECORD.pack(time.monotonic(), blake3(self.encode(genome)).digest(16), is_node))


class TracedOneMax(_Traced, OneMax):
    """Bit strings."""


class TracedRegression(_Traced, Regression):
    """Formulas."""


class TracedGrids(_Traced, Grids):
    """Grid programs; the nodes of the sweep are written down too."""

    def sweep(self, share: int, shares: int) -> Iterator[Any]:
        for node in super().sweep(share, shares):
            if node is not None:
                self._write(node[0], is_node=True)
            yield node
