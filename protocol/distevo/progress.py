"""Progress of a run, as people ask for it: how fast, how much is left."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 10.0
"""Evaluations per second are those of this last while."""
SILENCE_SECONDS = 30.0
"""While a run is worked on, no more than this passes from one report to the next, beside the work that it tells of and
the time between two heartbeats, which tell of others' work."""
LEAST_SECONDS = 1.0
"""Work that took less counts as so much: of an hour it says next to nothing."""


class Progress:
    """Rates of one run since this daemon has been working on it, or since it goes on after it was over."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        self._begun: float | None = None
        self._latest = self._next = 0.0
        """When the latest report came, and until when the next one, if it is like it, has to be there."""
        self._worked = 0.0
        self._finished = 0
        self._is_over = False

    @property
    def has_begun(self) -> bool:
        """Whether anything of it was seen here."""
        return self._begun is not None

    def evaluated(self, count: int, seconds: float, now: float) -> None:
        """`count` more evaluations were reported, which took so long, or of which nobody could have heard sooner."""
        if self._is_over:
            return  # Whoever says so had not heard of the end, and since then nobody worked on it.
        if self._begun is None:
            self._begun = self._latest = now
        # The rest of a longer time was no work: the run was paused, or others went first.
        self._worked += min(now - self._latest, seconds + SILENCE_SECONDS)
        self._latest, self._next = now, now + seconds + SILENCE_SECONDS
        if self._samples and now - self._samples[-1][0] < WINDOW_SECONDS / 50:
            self._samples[-1] = self._samples[-1][0], self._samples[-1][1] + count
        else:
            self._samples.append((now, count))
        self._forget(now)

    def finished(self) -> None:
        """One more task has had its budget, or is fit."""
        self._finished += 1

    def over(self) -> None:
        """The run is over: how fast it was lately is of no interest any more."""
        self._samples.clear()
        self._is_over = True

    def goes_on(self) -> None:
        """The run is not over, or no more: between its end and now nobody worked on it."""
        if self._is_over:
            self._begun, self._worked, self._finished, self._is_over = None, 0.0, 0, False

    def is_worked_on(self, now: float) -> bool:
        """Whether reports of it come: it is not paused, and does not wait behind others."""
        return self._begun is not None and now <= self._next

    def evaluations_per_s(self, now: float) -> float:
        """Evaluations per second over the last while."""
        self._forget(now)
        if self._begun is None:
            return 0.0
        return sum(count for _, count in self._samples) / max(min(now - self._begun, WINDOW_SECONDS), 0.2)

    def tasks_per_hour(self) -> float:
        """Tasks finished per hour of work."""
        return 3600 * self._finished / max(self._worked, LEAST_SECONDS) if self._begun is not None else 0.0

    def eta_s(self, remaining: int) -> float | None:
        """Seconds of work until `remaining` tasks are finished at the rate so far; None before the first has."""
        rate = self.tasks_per_hour()
        return 3600 * remaining / rate if rate else None

    def _forget(self, now: float) -> None:
        while self._samples and self._samples[0][0] < now - WINDOW_SECONDS:
            self._samples.popleft()
