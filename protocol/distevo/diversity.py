"""How diverse a population is: how many programs do how many different things, and how evenly."""

from collections import Counter
from math import log2
from typing import Any, NamedTuple

from distevo.population import Population


class Diversity(NamedTuple):
    """`programs`: how many there are.  `behaviours`: how many different ones.  `entropy`: Shannon's, of the
    behaviours, in bits; 0 when all do the same, log2(programs) when no two do.  `fitness_entropy`: the same of the
    fitnesses (Rosca 1995).  An archive has one program for each behaviour, so there only the last one falls."""

    programs: int
    behaviours: int
    entropy: float
    fitness_entropy: float


def diversity_of(population: Population) -> Diversity:
    """The diversity of `population`.

    A program of unknown behaviour counts as one of its own: its key differs, and nothing says that it does what
    another does.
    """
    shares = Counter(program.behaviour or program.key for program in population)
    fitnesses = Counter((program.cost, program.other_costs) for program in population)
    return Diversity(len(population), len(shares), _entropy(shares), _entropy(fitnesses))


def _entropy(counts: Counter[Any]) -> float:
    # Written with total / count, so that the entropy of one kind is 0.0 and not -0.0.
    total = counts.total()
    return float(sum(count / total * log2(total / count) for count in counts.values()))
