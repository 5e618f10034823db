"""How diverse a population is."""

from collections import Counter
from math import log2
from typing import NamedTuple

from distevo.population import Population


class Diversity(NamedTuple):
    """`programs`: how many; `behaviours`: distinct ones; `entropy`: of the behaviours, in bits."""

    programs: int
    behaviours: int
    entropy: float


def diversity_of(population: Population) -> Diversity:
    """The diversity of a population."""
    counts = Counter(program.behaviour for program in population)
    total = len(population)
    entropy = sum(count / total * log2(total / count) for count in counts.values())
    return Diversity(total, len(counts), entropy)
