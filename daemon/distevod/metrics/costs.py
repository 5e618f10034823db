"""The costs: what this platform's time goes into beside evolving. Shares of it are what overheads are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from prometheus_client.core import Metric

from distevod.checkpoints import AsyncCheckpointManager
from distevod.evolution.spent import Spent
from distevod.metrics.families import counter


class Costs:
    """Reads these figures; to be used in the event loop."""

    def __init__(self, platform: str, checkpoints: AsyncCheckpointManager, spent: Callable[[], Spent]) -> None:
        """`spent`: all workers together, those that are gone too."""
        self._me, self._checkpoints, self._spent = platform, checkpoints, spent

    def read(self) -> Iterator[Metric]:
        """All families, as they are now."""
        checkpoints = counter(
            "checkpoint_cpu_seconds_total",
            "Processor time that checkpoints took in the daemon: in threads, and at most in the event loop, where all "
            "counts that was done for the event with which a checkpoint began or ended.",
            "part",
        )
        for part, seconds in (
            ("threads", self._checkpoints.cpu_seconds),
            ("event_loop", self._checkpoints.loop_seconds),
        ):
            checkpoints.add_metric([self._me, part], seconds)
        yield checkpoints
        workers = counter(
            "worker_seconds_total",
            "What the time of workers went into beside evolving, as they last said: idle (until now) and sending by "
            "the clock, packing (for checkpoints) and merging (immigrants) in processor time.",
            "doing",
        )
        for doing, seconds in msgspec.structs.asdict(self._spent()).items():
            workers.add_metric([self._me, doing], seconds)
        yield workers
