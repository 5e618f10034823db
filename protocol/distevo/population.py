"""A population: programs in their total order, no two with the same key."""

from collections.abc import Iterable, Iterator, KeysView
from itertools import islice
from operator import attrgetter

from distevo.program import Program

_cost = attrgetter("cost")


class Population:
    """An immutable set of programs, iterated best first.

    Of several programs with one key the best copy stays: the higher fitness, then the lower metadata.  The
    outcome depends on what is in `programs`, never on its order.
    """

    __slots__ = ("_by_key",)

    def __init__(self, programs: Iterable[Program] = ()) -> None:
        # Bare floats compare several times as fast as programs; what is left for the second pass are the ties.
        ranked = sorted(programs, key=_cost)
        ranked.sort()
        self._by_key: dict[bytes, Program] = {}
        keep_first = self._by_key.setdefault
        for program in ranked:
            keep_first(program.key, program)

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Program]:
        return iter(self._by_key.values())

    def __contains__(self, key: object) -> bool:
        """Whether a program of this key (bytes) is here."""
        return key in self._by_key

    def __eq__(self, other: object) -> bool:
        """Whether they hold the same programs, and of each the same copy."""
        if not isinstance(other, Population):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # equality looks at everything; nothing needs it as a key

    def __repr__(self) -> str:
        best = self.best
        return f"<Population of {len(self)}{f', best {best.genome[:40]!r} {best.fitness}' if best else ''}>"

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
        fit = [program for program in self if program.fit]
        return min(fit, key=lambda program: (len(program.genome), program.key), default=None)
