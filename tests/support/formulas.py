"""Symbolic regression in plain Python, as DEAP's example has it: trees in prefix order, subtrees swapped and regrown.

The formula to be found is Keijzer's fourth at its 201 points, x^3 exp(-x) cos x sin x (sin^2 x cos x - 1) (Keijzer
2003), which these functions do not reach, so that a search never ends by itself. It knows nothing but Python, so that
it evolves in any library.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

POINTS = [0.05 * step for step in range(201)]
BINARY, UNARY = range(4), range(4, 6)
"""Tokens: + - * / and sin, cos."""
VARIABLE, CONSTANTS = 6, range(7, 24)
"""Tokens: x, and -2 to 2 in quarters."""
MOST_NODES = 40
START_DEPTH, NEW_DEPTH = 4, 2
LEAF_CHANCE, VARIABLE_CHANCE = 0.2, 0.5
WORST = 1e12


class Formulas:
    """Task data: `{}`. A genome is a list of tokens in prefix order, an operation before its operands."""

    name, version = "formulas", "1"

    def __init__(self, task: Any) -> None:
        self.wanted = [
            x**3 * math.exp(-x) * math.cos(x) * math.sin(x) * (math.sin(x) ** 2 * math.cos(x) - 1) for x in POINTS
        ]

    def random(self, rng: Random) -> list[int]:
        return _grown(rng, START_DEPTH)

    def mutate(self, genome: list[int], rng: Random) -> list[int]:
        """A subtree is regrown; the parent itself where that would be too large."""
        begin = rng.randrange(len(genome))
        child = genome[:begin] + _grown(rng, NEW_DEPTH) + genome[_end(genome, begin) :]
        return child if len(child) <= MOST_NODES else genome[:]

    def crossover(self, a: list[int], b: list[int], rng: Random) -> list[int]:
        """A subtree of `a` gives way to one of `b`; `a` itself where that would be too large."""
        begin, source = rng.randrange(len(a)), rng.randrange(len(b))
        child = a[:begin] + b[source : _end(b, source)] + a[_end(a, begin) :]
        return child if len(child) <= MOST_NODES else a[:]

    def evaluate(self, genome: list[int]) -> dict[str, float] | None:
        """The negative root of the mean squared error; None where that is no number."""
        try:
            values = _values(genome)
            error = math.sqrt(sum((a - b) ** 2 for a, b in zip(values, self.wanted, strict=True)) / len(POINTS))
        except (OverflowError, ValueError):  # too large for a square; sin(inf)
            return None
        return {"fitness": -error} if error < WORST else None

    def encode(self, genome: list[int]) -> bytes:
        return bytes(genome)

    def decode(self, data: bytes) -> list[int]:
        """Raises ValueError for what is no tree."""
        genome = list(data)
        if not genome or max(genome) not in range(CONSTANTS.stop) or _end(genome, 0) != len(genome):
            raise ValueError(f"no formula: {data!r:.80}")
        return genome


def _grown(rng: Random, depth: int) -> list[int]:
    """A random tree of at most this depth."""
    if depth == 0 or rng.random() < LEAF_CHANCE:
        return [VARIABLE if rng.random() < VARIABLE_CHANCE else rng.choice(CONSTANTS)]
    token = rng.randrange(VARIABLE)
    tree = [token, *_grown(rng, depth - 1)]
    return tree + _grown(rng, depth - 1) if token in BINARY else tree


def _end(genome: list[int], begin: int) -> int:
    """Where the subtree that begins here ends. Raises ValueError if it does not."""
    lacking, place = 1, begin
    while lacking:
        if place == len(genome):
            raise ValueError("the tree lacks operands")
        token = genome[place]
        lacking += 1 if token < UNARY.start else 0 if token < VARIABLE else -1
        place += 1
    return place


def _values(genome: list[int]) -> list[float]:
    """The formula at all points: read from the back, operands are there when their operation comes."""
    stack: list[list[float]] = []
    for token in reversed(genome):
        if token == VARIABLE:
            stack.append(POINTS)
        elif token > VARIABLE:
            stack.append([(token - CONSTANTS.start) / 4 - 2] * len(POINTS))
        elif token in UNARY:
            function = math.sin if token == UNARY.start else math.cos
            stack.append([function(value) for value in stack.pop()])
        else:
            a, b = stack.pop(), stack.pop()
            if token == 0:
                stack.append([p + q for p, q in zip(a, b, strict=True)])
            elif token == 1:
                stack.append([p - q for p, q in zip(a, b, strict=True)])
            elif token == 2:
                stack.append([p * q for p, q in zip(a, b, strict=True)])
            else:
                stack.append([p / q if abs(q) > 1e-9 else 1.0 for p, q in zip(a, b, strict=True)])
    return stack[0]
