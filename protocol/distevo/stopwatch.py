"""A stopwatch: what parts of the work cost, for whoever measures it; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Sums up seconds by what they were spent on, by the clock that the shell gives it; without one all take none."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        """`clock`: seconds of processor time, say."""
        self._clock = clock
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Count the time until this ends."""
        begun = self._clock()
        try:
            yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + self._clock() - begun
