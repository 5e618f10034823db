"""Selection and variation as somebody would write them by hand: what the loops that distevo is compared with share.

Imports nothing but Python's own, since peers' scripts import it where distevo is not installed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple


class Rates(NamedTuple):
    """How children are made."""

    tournament: int
    crossover: float
    immigrants: float


def children(problem: Any, ranked: Sequence[Any], count: int, rates: Rates, rng: random.Random) -> list[Any]:
    """So many children of `ranked` genomes, the best first; with none, newcomers. Draws what distevo's islands draw."""
    if not ranked:
        return [problem.random(rng) for _ in range(count)]
    draw, size, exponent = rng.random, len(ranked), 1 / rates.tournament

    def pick() -> Any:  # The best of so many places, drawn at once.
        return ranked[int(size * (1.0 - (1.0 - draw()) ** exponent))]

    made = []
    for _ in range(count):
        die = draw()
        if die < rates.crossover:
            made.append(problem.crossover(pick(), pick(), rng))
        elif die < 1 - rates.immigrants:
            made.append(problem.mutate(pick(), rng))
        else:
            made.append(problem.random(rng))
    return made
