"""How a scrape gets its figures: the event loop reads them, since everything they are read from is the loop's alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from distevod.metrics.families import gauge

PATIENCE_SECONDS = 2.0
"""How long a scrape waits for the loop: well within the 10 s that Prometheus gives it."""


class LoopCollector(Collector):
    """Asks the loop at each scrape; if it does not answer in time, serves what it said last, and how old that is.

    A copy that the loop renews by itself would cost every second what a scrape costs once in a quarter of a minute,
    and locks would have to be in all that is counted. Asking also shows how late the loop is.
    """

    def __init__(
        self,
        platform: str,
        loop: asyncio.AbstractEventLoop,
        read: Callable[[], list[Metric]],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`read` runs in the loop; `collect` must be called in other threads."""
        self._platform, self._loop, self._read, self._patience = platform, loop, read, patience
        self._known: tuple[float, list[Metric]] = time.monotonic(), []
        """When the loop answered last, or this was made, and what."""

    def collect(self) -> Iterator[Metric]:
        """The figures. Raises whatever a fault in reading them raised."""
        lag = self._ask()
        read_at, families = self._known
        yield from families
        age = gauge("metrics_age_seconds", "Age of these figures; more than a moment only while the event loop hangs.")
        age.add_metric([self._platform], time.monotonic() - read_at)
        yield age
        late = gauge("event_loop_lag_seconds", "How long the event loop let this scrape wait.")
        late.add_metric([self._platform], lag)
        yield late

    def _ask(self) -> float:
        """Have the loop read the figures; returns after how many seconds it began, or for how long that was waited."""
        asked = time.monotonic()
        begun: Future[float] = Future()
        try:
            self._loop.call_soon_threadsafe(self._answer, begun)
        except RuntimeError:
            if not self._loop.is_closed():
                raise
            return 0.0
        try:
            fault = begun.exception(self._patience)
        except TimeoutError:
            # The loop skips it when it goes on: scrapes that gave up do not add to what it has to catch up with.
            begun.cancel()
            return time.monotonic() - asked
        if fault is not None:
            raise fault
        return begun.result() - asked

    def _answer(self, begun: Future[float]) -> None:
        """In the loop: read the figures, then tell when that was begun."""
        if not begun.set_running_or_notify_cancel():
            return
        now = time.monotonic()
        try:
            self._known = now, self._read()
        except Exception as error:  # noqa: BLE001 - raised in the scrape, which then shows as failed
            begun.set_exception(error)
        else:
            begun.set_result(now)
