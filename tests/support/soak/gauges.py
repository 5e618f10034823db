"""Memory of the daemons over time, and what they counted, over all their boots."""

from __future__ import annotations

import statistics
import urllib.error
from collections import defaultdict

import psutil

from tests.support.soak.platforms import NAMES, Platforms

WARMING_SECONDS = 300.0
"""A daemon that is younger still grows, by some 4 MiB: imports, the first populations, the allocator's pools."""
COUNTED = {
    "messages_sent": ("messages_sent_total", ("command",)),
    "store_requests": ("store_requests_total", ("kind", "outcome")),
    "elections_won": ("elections_total", ("outcome",)),
}

Boot = tuple[str, str]


class Gauges:
    """Reads all platforms that are awake."""

    def __init__(self, platforms: Platforms) -> None:
        self._platforms = platforms
        self._memory: dict[Boot, list[tuple[float, float]]] = defaultdict(list)
        """(seconds, MiB) of each boot."""
        self._counts: dict[Boot, dict[str, float]] = {}

    def read_memory(self, now: float) -> None:
        """Resident memory of each daemon."""
        for name in self._platforms.awake:
            rss = psutil.Process(self._platforms.daemons[name].pid).memory_info().rss / 2**20
            self._memory[name, self._platforms.boots[name]].append((now, rss))

    def read_counts(self) -> None:
        """What each counted in its present boot so far; what it counts after the last look before its end is lost."""
        for name in self._platforms.awake:
            try:
                scrape = self._platforms.scrape(name)
            except (TimeoutError, urllib.error.URLError):
                continue  # It has much to do: another time.
            if scrape is not None:
                self._counts[name, self._platforms.boots[name]] = {
                    what: sum(
                        value
                        for (_, *labels), value in scrape.figures(family, *names).items()
                        if what != "elections_won" or labels == ["won"]
                    )
                    for what, (family, names) in COUNTED.items()
                }

    def counts(self) -> dict[str, int]:
        """All boots of all platforms together."""
        return {what: int(sum(counts[what] for counts in self._counts.values())) for what in COUNTED}

    def memory(self) -> dict[str, dict[str, float | None]]:
        """By platform: the most; how fast it grew, by least squares over all boots, each about its own mean; and over
        how many minutes that was looked at."""
        found: dict[str, dict[str, float | None]] = {}
        for name in NAMES:
            boots = [samples for (member, _), samples in self._memory.items() if member == name]
            grown = [[s for s in samples if s[0] - samples[0][0] >= WARMING_SECONDS] for samples in boots]
            lines = [samples for samples in grown if len(samples) > 1]
            found[name] = {
                "most_mb": round(max(mb for samples in boots for _, mb in samples), 1),
                "mb_per_minute": _slope(lines),
                "minutes": round(sum(samples[-1][0] - samples[0][0] for samples in lines) / 60, 2),
            }
        return found


def _slope(lines: list[list[tuple[float, float]]]) -> float | None:
    """MiB a minute; None where there is nothing to tell it from."""
    products = squares = 0.0
    for samples in lines:
        seconds, megabytes = (statistics.mean(column) for column in zip(*samples, strict=True))
        products += sum((at - seconds) * (mb - megabytes) for at, mb in samples)
        squares += sum((at - seconds) ** 2 for at, _ in samples)
    return round(60 * products / squares, 3) if squares else None
