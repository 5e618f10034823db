"""The merge of populations: a union by key.

Union, and union cut to a count, are commutative, associative and idempotent, so platforms may merge what they have in
any order and as often as they like.  A share is a selection made on each input before the union and has no such laws.
"""

from collections.abc import Iterable
from itertools import chain, islice
from math import ceil

from distevo.population import Population
from distevo.program import Program


class PopulationMerger:
    """Merges populations of one task."""

    @staticmethod
    def merge_populations(
        populations: Iterable[Iterable[Program]], preserve_top_n: int | float | None = None
    ) -> Population:
        """The union of `populations` (or of any programs, as `unpack` gives them), each key once.

        `preserve_top_n`: None keeps everything.  An int of at least 1 keeps that many of the union.  A float above 0
        and up to 1 is a share: of each population, that part of it goes into the union, best first, rounded up;
        1.0 is therefore everything, and 1 a single program.

        Raises `ValueError` for a number outside these, `TypeError` for what is no int, float or None.
        """
        if preserve_top_n is None:
            return Population(chain.from_iterable(populations))
        # True is an int to Python, and nobody who writes it means "one program".
        if isinstance(preserve_top_n, bool) or not isinstance(preserve_top_n, int | float):
            raise TypeError(f"preserve_top_n is {preserve_top_n!r}; give a count (int), a share (float) or None")
        if isinstance(preserve_top_n, int):
            if preserve_top_n < 1:
                raise ValueError(f"preserve_top_n is {preserve_top_n}; a count is at least 1")
            return Population(Population(chain.from_iterable(populations)).top(preserve_top_n))
        if not 0.0 < preserve_top_n <= 1.0:
            raise ValueError(f"preserve_top_n is {preserve_top_n}; a share is above 0 and at most 1, a count is an int")
        return Population(chain.from_iterable(_share(Population(programs), preserve_top_n) for programs in populations))


def distinct(populations: Iterable[Iterable[Program]], most: int | None = None) -> Population:
    """The best program of each behaviour in the union of `populations`; of these, the best `most`.

    A program of unknown behaviour stands for itself.  As long as a program always behaves alike, this is commutative,
    associative and idempotent like the union: what is left out is behind something that stays.
    """
    first: dict[bytes, Program] = {}
    for program in Population(chain.from_iterable(populations)):
        first.setdefault(program.behaviour or program.key, program)
    return Population(islice(first.values(), most))


def _share(population: Population, share: float) -> list[Program]:
    # 0.07 of 100 is 7, though 0.07 * 100 is 7.000000000000001: hence the rounding before the rounding up.
    return population.top(max(1, ceil(round(share * len(population), 9))))
