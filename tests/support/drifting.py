"""A problem whose newest programs are mostly its best, so that what emigrates is new to whoever takes it in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random
from typing import Any


class Drifting:
    """Whole numbers, written with `bytes` characters; the higher the better, and children are a little higher.

    Task data: `bytes`, and `seconds`, which evaluating one program takes without using any CPU: the programs that are
    evaluated together are slept through at once.
    """

    name, version = "drifting", "1"

    def __init__(self, task: Any) -> None:
        self.bytes, self.seconds = int(task["bytes"]), float(task["seconds"])

    def random(self, rng: Random) -> int:
        return rng.randrange(1000)

    def mutate(self, genome: int, rng: Random) -> int:
        return genome + rng.randrange(-200, 1000)

    def evaluate(self, genome: int) -> float:
        return self.evaluate_batch([genome])[0]

    def evaluate_batch(self, genomes: Sequence[int]) -> list[float]:
        time.sleep(self.seconds * len(genomes))
        return list(map(float, genomes))

    def encode(self, genome: int) -> bytes:
        return b"%0*d" % (self.bytes, genome)

    def decode(self, data: bytes) -> int:
        return int(data)
