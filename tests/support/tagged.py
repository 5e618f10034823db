"""A problem whose evaluations write down of which island they are, so that one sees from outside where it evolves."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

FOUNDERS = 20
"""Programs that each island begins with."""


class Genome(NamedTuple):
    """Children have the island of their parent, so without migration all of an island's programs have its number."""

    island: int
    number: int


class Tagged:
    """Task data: `path` of the notes, and `cost`, the CPU seconds of an evaluation. Nothing is ever fit.

    Each evaluation is a line in the notes: monotonic time, process id, island. Islands begin with an exhaustive
    sweep, which is the one place where a problem is told which island it is for.
    """

    name, version = "tagged", "1"

    def __init__(self, task: Any) -> None:
        self.cost = float(task["cost"])
        self.notes = os.open(task["path"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def sweep(self, share: int, shares: int) -> Iterator[Any]:
        return ((Genome(share, number), {"fitness": 0.0}) for number in range(FOUNDERS))

    def random(self, rng: Random) -> Genome:
        return Genome(-1, rng.randrange(10**9))  # Of no island: invalid.

    def mutate(self, genome: Genome, rng: Random) -> Genome:
        return Genome(genome.island, rng.randrange(10**9))

    def evaluate(self, genome: Genome) -> float | None:
        if genome.island < 0:
            return None
        os.write(self.notes, f"{time.monotonic():.6f} {os.getpid()} {genome.island}\n".encode())
        end = time.thread_time() + self.cost
        while time.thread_time() < end:
            pass
        return float(genome.number)

    def encode(self, genome: Genome) -> bytes:
        return b"%d %d" % genome

    def decode(self, data: bytes) -> Genome:
        island, number = data.split()
        return Genome(int(island), int(number))


class Note(NamedTuple):
    """One evaluation."""

    moment: float
    pid: int
    island: int


class Notes:
    """Reads what evaluations write down, from a moment on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def skip(self) -> None:
        """What is there is not of interest."""
        self._offset = self.path.stat().st_size

    def read(self) -> list[Note]:
        """What came since, in the order in which it was written."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        fields = (line.split() for line in whole.splitlines())
        return [Note(float(moment), int(pid), int(island)) for moment, pid, island in fields]
