"""The pace: how long this platform's generations take, and how much longer than need be.

The time of a generation says little about a platform: tasks differ a hundredfold in it, batch sizes differ, a sweep
evaluates faster than evolution, and no generation works for much longer than `generation_seconds`. Hence two figures.
`avg_generation_time` is what people ask for. The *pace* is what platforms are compared by: seconds that pass for
each CPU second of work (a share of a core, throttling, neighbours on the same host), times what the core needs for a
yardstick that is the same everywhere. Neither task nor batch nor stage of the search is in it. It is told for each
run, since a run whose evaluations wait for something else makes every platform look slow.
"""

from __future__ import annotations

from math import exp
from typing import TypedDict

from distevo.checkpoint import Counters

WINDOW_SECONDS = 30.0
"""What a generation counts for fades with the work that was done since: after so many seconds of it to 1/e."""
LEAST_SECONDS = 1.0
"""Less work than this says nothing of a run yet."""
FRESH_SECONDS = 120.0
"""A run that had no generation here for so long is not told of any more."""


class Told(TypedDict):
    """The two figures, as a heartbeat has them."""

    avg_generation_time: float
    pace: dict[str, float]


class _Sums:
    """Generations of late: their number, their wall-clock time and their CPU time, in seconds."""

    __slots__ = ("at", "cpu", "generations", "wall")

    def __init__(self) -> None:
        self.generations = self.wall = self.cpu = self.at = 0.0

    def add(self, wall: float, cpu: float, now: float) -> None:
        fade = exp(-wall / WINDOW_SECONDS)
        self.generations = self.generations * fade + 1
        self.wall = self.wall * fade + wall
        self.cpu = self.cpu * fade + cpu
        self.at = now


class Pace:
    """One platform's, from its workers' reports."""

    def __init__(self) -> None:
        self._yardstick = float("inf")
        self._all = _Sums()
        self._runs: dict[str, _Sums] = {}

    def measured(self, yardstick: float) -> None:
        """A worker needed so many times the reference's CPU time for the yardstick; the least is nearest the truth."""
        if yardstick > 0:
            self._yardstick = min(self._yardstick, yardstick)

    def generation(self, run: str, before: Counters, after: Counters, now: float) -> None:
        """An island of a run had a generation here."""
        wall, cpu = after.seconds - before.seconds, after.cpu_seconds - before.cpu_seconds
        if wall < 0 or cpu < 0:
            return
        self._all.add(wall, cpu, now)
        self._runs.setdefault(run, _Sums()).add(wall, cpu, now)

    def avg_generation_time(self, now: float) -> float | None:
        """Mean wall-clock seconds of a generation of late; None if there was none."""
        if not self._all.generations or now - self._all.at > FRESH_SECONDS:
            return None
        return self._all.wall / self._all.generations

    def by_run(self, now: float) -> dict[str, float]:
        """By run, the seconds that pass here for what a core like the reference does in one."""
        for run in [run for run, sums in self._runs.items() if now - sums.at > FRESH_SECONDS]:
            del self._runs[run]
        yardstick = self._yardstick if self._yardstick < float("inf") else 1.0
        return {
            run: sums.wall / sums.cpu * yardstick
            for run, sums in self._runs.items()
            if sums.wall >= LEAST_SECONDS and sums.cpu > 0
        }

    def told(self, now: float) -> Told:
        """Both, rounded, for a heartbeat."""
        pace = {run: round(min(times, 1e6), 3) for run, times in self.by_run(now).items()}
        return Told(avg_generation_time=round(self.avg_generation_time(now) or 0.0, 6), pace=pace)
