"""The merge of populations: a union without duplicates."""

from collections.abc import Iterable
from itertools import chain
from math import ceil

from distevo.population import Population


class PopulationMerger:
    """Merges populations of one task."""

    def merge_populations(
        self, populations: Iterable[Population], preserve_top_n: int | float | None = None
    ) -> Population:
        """The union of `populations`, one program for each key."""
        if isinstance(preserve_top_n, bool) or not isinstance(preserve_top_n, int | float | None):
            raise TypeError(f"preserve_top_n is {preserve_top_n!r}")
        if isinstance(preserve_top_n, float):
            share = preserve_top_n
            return Population(chain.from_iterable(p.top(ceil(share * len(p))) for p in populations))
        union = Population(chain.from_iterable(populations))
        return union if preserve_top_n is None else Population(union.top(preserve_top_n))
