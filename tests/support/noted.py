"""Problems that write down when they evaluate, so that a benchmark sees from outside what happens when."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any


class Noted:
    """Whole numbers below 10**9. Each evaluation is a line in the file `path`: monotonic time, process id, genome.

    The evaluation that finds a file `<path>.hang` removes it and never returns.
    """

    name, version = "noted", "1"

    def __init__(self, task: Any) -> None:
        self.hang = Path(task["path"] + ".hang")
        self.cost = task.get("cost", 0.001)
        self.notes = _open(task)

    def random(self, rng: Random) -> int:
        return rng.randrange(10**9)

    def mutate(self, genome: int, rng: Random) -> int:
        return (genome + rng.randint(-(10**6), 10**6)) % 10**9

    def evaluate(self, genome: int) -> int:
        _note(self.notes, genome)
        if self.hang.exists():
            self.hang.unlink()
            while True:
                time.sleep(1)
        end = time.perf_counter() + self.cost
        while time.perf_counter() < end:
            pass
        return genome % 1000

    def encode(self, genome: int) -> bytes:
        return b"%d" % genome

    def decode(self, data: bytes) -> int:
        return int(data)


def _open(task: Any) -> int:
    return os.open(task["path"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def _note(notes: int, genome: Any) -> None:
    os.write(notes, f"{time.monotonic():.6f} {os.getpid()} {genome}\n".encode())


def noted_grids() -> type:
    """Grids whose sweep writes its first node down; made late, so that `Noted` needs no numpy."""
    from distevod.problems.grids import Grids

    class NotedGrids(Grids):
        def __init__(self, task: Any) -> None:
            super().__init__(task["task"])
            self.notes = _open(task)

        @classmethod
        def tasks_from_file(cls, data: Any) -> dict[str, Any]:
            return dict(data)

        def sweep(self, share: int, shares: int) -> Iterator[Any]:
            for number, node in enumerate(super().sweep(share, shares)):
                if number == 0:
                    _note(self.notes, "sweep")
                yield node

    return NotedGrids


def __getattr__(name: str) -> Any:
    if name == "NotedGrids":
        globals()[name] = noted_grids()
        return globals()[name]
    raise AttributeError(name)
