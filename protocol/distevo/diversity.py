"""How diverse a population is: how many programs do how many different things, and how evenly."""

from collections import Counter
from math import log2
from typing import NamedTuple

from distevo.population import Population


class Diversity(NamedTuple):
    """`programs`: how many there are.  `behaviours`: how many different ones.  `entropy`: Shannon's, of the
    behaviours, in bits; 0 when all do the same, log2(programs) when no two do."""

    programs: int
    behaviours: int
    entropy: float


def diversity_of(population: Population) -> Diversity:
    """The diversity of `population`.

    A program of unknown behaviour counts as one of its own: its key differs, and nothing says that it does what
    another does.
    """
    shares = Counter(program.behaviour or program.key for program in population)
    total = len(population)
    # Written with total / count, so that the entropy of one behaviour is 0.0 and not -0.0.
    entropy = sum(count / total * log2(total / count) for count in shares.values())
    return Diversity(total, len(shares), float(entropy))
