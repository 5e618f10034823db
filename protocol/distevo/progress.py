"""Progress of a run, as people ask for it: how fast, how much is left."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 10.0
"""Evaluations per second are those of this last while."""
LEAST_SECONDS = 1.0
"""Work that took less counts as so much: of an hour it says next to nothing."""


class Progress:
    """Rates of one run since this daemon has been working on it, or since it goes on after it was over."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        self._begun: float | None = None
        self._latest = 0.0
        self._finished = 0
        self._is_over = False

    @property
    def has_begun(self) -> bool:
        """Whether anything of it was seen here."""
        return self._begun is not None

    def evaluated(self, count: int, now: float) -> None:
        """`count` more evaluations were reported."""
        if self._begun is None:
            self._begun = now
        self._latest = now
        if self._samples and now - self._samples[-1][0] < WINDOW_SECONDS / 50:
            self._samples[-1] = self._samples[-1][0], self._samples[-1][1] + count
        else:
            self._samples.append((now, count))
        self._forget(now)

    def finished(self) -> None:
        """One more task has its result."""
        self._finished += 1

    def over(self) -> None:
        """The run is over: how fast it was lately is of no interest any more."""
        self._samples.clear()
        self._is_over = True

    def goes_on(self) -> None:
        """The run is not over, or no more: between its end and now nobody worked on it."""
        if self._is_over:
            self._begun, self._finished, self._is_over = None, 0, False

    def evaluations_per_s(self, now: float) -> float:
        """Evaluations per second over the last while."""
        self._forget(now)
        if self._begun is None:
            return 0.0
        return sum(count for _, count in self._samples) / max(min(now - self._begun, WINDOW_SECONDS), 0.2)

    def tasks_per_hour(self, now: float, is_over: bool) -> float:
        """Tasks finished per hour of work."""
        if self._begun is None:
            return 0.0
        elapsed = (self._latest if is_over else now) - self._begun
        return 3600 * self._finished / max(elapsed, LEAST_SECONDS)

    def eta_s(self, remaining: int, now: float) -> float | None:
        """Seconds until `remaining` tasks are finished at the rate so far; None before the first has."""
        rate = self.tasks_per_hour(now, is_over=False)
        return 3600 * remaining / rate if rate else None

    def _forget(self, now: float) -> None:
        while self._samples and self._samples[0][0] < now - WINDOW_SECONDS:
            self._samples.popleft()
