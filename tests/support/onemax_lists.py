"""OneMax as it is written with DEAP's toolbox: lists of bits, flip-bit mutation, two-point crossover. For benchmarks.

With a chance of 0.05 for each of 1,000 bits, mutation keeps the population away from the solution for ever.
"""

from __future__ import annotations

from random import Random
from typing import Any

FLIP_CHANCE = 0.05


class OneMaxLists:
    """Task data: `{"bits": 1000}`."""

    name, version = "onemax-lists", "1"

    def __init__(self, task: Any) -> None:
        self.bits = int(task["bits"])

    def random(self, rng: Random) -> list[int]:
        return [rng.randint(0, 1) for _ in range(self.bits)]

    def mutate(self, genome: list[int], rng: Random) -> list[int]:
        draw = rng.random
        return [1 - bit if draw() < FLIP_CHANCE else bit for bit in genome]

    def crossover(self, a: list[int], b: list[int], rng: Random) -> list[int]:
        first, last = sorted((rng.randrange(self.bits), rng.randrange(self.bits)))
        return a[:first] + b[first:last] + a[last:]

    def evaluate(self, genome: list[int]) -> dict[str, float]:
        return {"fitness": float(sum(genome))}

    def encode(self, genome: list[int]) -> bytes:
        return bytes(genome)

    def decode(self, data: bytes) -> list[int]:
        return list(data)
