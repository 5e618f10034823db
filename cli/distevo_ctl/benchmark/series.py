"""The series: the same work with one platform and with several, in turn and again and again.

The speed of a machine drifts, so figures are compared within one repeat only, and which count goes first alternates.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import msgspec

from distevo_ctl.benchmark.bare import turns_per_second
from distevo_ctl.benchmark.measurement import Measurement, Say, Setup, measure


class Spread(msgspec.Struct, frozen=True):
    """The median of several values, and the least and the greatest."""

    median: float
    range: tuple[float, float]


def spread(values: Sequence[float], digits: int = 4) -> Spread:
    """Of at least one value."""
    return Spread(round(statistics.median(values), digits), (round(min(values), digits), round(max(values), digits)))


class Series:
    """All measurements, by the count of platforms, one for each repeat."""

    def __init__(self, counts: Sequence[int]) -> None:
        """`counts` holds 1, to which the others are compared."""
        self.counts = sorted(set(counts))
        self.found: dict[int, list[Measurement]] = {count: [] for count in self.counts}
        self.bare: dict[int, list[float]] = {count: [] for count in self.counts}
        """What plain loops did in place of the platforms, one for each repeat."""

    def run(self, setup: Setup, repeats: int, say: Callable[[str], None]) -> None:
        """Make them. Raises CliError, OSError and ToolError."""
        for repeat in range(repeats):
            for count in self.counts if repeat % 2 == 0 else reversed(self.counts):
                platforms = f"{count} platform{'s' if count > 1 else ''}"
                lead = f"repeat {repeat + 1} of {repeats}, {platforms}"
                say(f"{lead}: plain loops")
                self.bare[count].append(turns_per_second(setup.isolation, setup.hold, count, setup.workers))
                with_recovery = count == self.counts[-1] and count > 1
                self.found[count].append(measure(setup, count, _leading(lead, say), with_recovery=with_recovery))

    def evaluations_multiplier(self, count: int) -> Spread:
        """Distinct evaluations per second, as a multiple of those of one platform."""
        return self._multiplier(count, lambda found: found.distinct_per_second)

    def tasks_multiplier(self, count: int) -> Spread | None:
        """Tasks finished per hour, as a multiple of those of one platform; None where too few were finished."""
        if not all(found.tasks for found in self.found[1]):
            return None
        return self._multiplier(count, lambda found: found.tasks_per_hour)

    def multiplier(self, count: int) -> Spread:
        """The throughput multiplier: the lower of the two."""
        tasks, evaluations = self.tasks_multiplier(count), self.evaluations_multiplier(count)
        return tasks if tasks is not None and tasks.median < evaluations.median else evaluations

    def cpu_multiplier(self, count: int) -> Spread:
        """What the evaluations' multiplier would be had each platform got as much CPU as the one."""
        return self._multiplier(count, lambda found: found.platforms * found.distinct_per_cpu_second)

    def machine_multiplier(self, count: int) -> Spread:
        """What plain loops reach: the most that this machine has to give."""
        return spread([many / one for many, one in zip(self.bare[count], self.bare[1], strict=True)])

    def spread_of(self, count: int, figure: Callable[[Measurement], float]) -> Spread:
        """Of a figure in all repeats."""
        return spread([figure(found) for found in self.found[count]])

    def _multiplier(self, count: int, rate: Callable[[Measurement], float]) -> Spread:
        pairs = zip(self.found[count], self.found[1], strict=True)
        return spread([rate(many) / rate(one) for many, one in pairs])


def _leading(lead: str, say: Callable[[str], None]) -> Say:
    return lambda what: say(f"{lead}: {what}")
