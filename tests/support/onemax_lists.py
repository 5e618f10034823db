"""OneMax as DEAP's own example has it, for benchmarks.

Lists of bits, parents cloned by `deepcopy`, flip-bit mutation with a chance of 0.05 for each bit, two-point crossover.
It never says that it is solved.
"""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

FLIP_CHANCE = 0.05


class OneMaxLists:
    """Task data: `{"bits": 256}`."""

    name, version = "onemax-lists", "1"

    def __init__(self, task: Any) -> None:
        self.bits = int(task["bits"])

    def random(self, rng: Random) -> list[int]:
        return [rng.randint(0, 1) for _ in range(self.bits)]

    def mutate(self, genome: list[int], rng: Random) -> list[int]:
        child = deepcopy(genome)
        for place in range(self.bits):
            if rng.random() < FLIP_CHANCE:
                child[place] = 1 - child[place]
        return child

    def crossover(self, a: list[int], b: list[int], rng: Random) -> list[int]:
        first, last = sorted((rng.randrange(self.bits), rng.randrange(self.bits)))
        child, other = deepcopy(a), deepcopy(b)
        child[first:last] = other[first:last]
        return child

    def evaluate(self, genome: list[int]) -> dict[str, float]:
        return {"fitness": float(sum(genome))}

    def encode(self, genome: list[int]) -> bytes:
        return bytes(genome)

    def decode(self, data: bytes) -> list[int]:
        return list(data)
