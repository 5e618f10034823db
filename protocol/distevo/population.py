"""A population: programs in their total order, no two with the same key."""

from collections.abc import Iterable, Iterator, KeysView
from itertools import islice
from operator import attrgetter

from distevo.program import Program

_order = attrgetter("order")
_key = attrgetter("key")


class Population:
    """An immutable set of programs, iterated best first.

    Of several programs with one key the best in `Program.order` stays: the higher fitness, then the lower metadata.
    What comes out therefore depends on what is in `programs` and never on its order.
    """

    __slots__ = ("_by_key",)

    def __init__(self, programs: Iterable[Program] = ()) -> None:
        ranked = sorted(programs, key=_order)
        self._by_key: dict[bytes, Program] = {}
        # setdefault keeps the first, which is the best.  map, because this loop decides the speed of every merge.
        for _ in map(self._by_key.setdefault, map(_key, ranked), ranked):
            pass

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Program]:
        return iter(self._by_key.values())

    def __contains__(self, key: object) -> bool:
        """Whether a program of this key (bytes) is here."""
        return key in self._by_key

    def __eq__(self, other: object) -> bool:
        """Equal populations hold the same programs with the same fitness, metadata, fit and behaviour."""
        if not isinstance(other, Population):
            return NotImplemented
        return list(map(_order, self)) == list(map(_order, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        best = self.best
        return f"<Population of {len(self)}, best fitness {best.fitness if best else None}>"

    @property
    def best(self) -> Program | None:
        """The first in the total order; None when empty."""
        return next(iter(self), None)

    def top(self, n: int) -> list[Program]:
        """The best `n`, or all when there are fewer."""
        return list(islice(self, n))

    def keys(self) -> KeysView[bytes]:
        """The keys, in the order of the programs."""
        return self._by_key.keys()

    def smallest_fit(self) -> Program | None:
        """The fit program with the shortest genome, then the lowest key: the guess that is verified."""
        return min(
            (program for program in self if program.fit), key=lambda p: (len(p.genome), p.key), default=None
        )
