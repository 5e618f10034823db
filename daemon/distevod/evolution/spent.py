"""What a worker's time went into beside evolving, as it tells its daemon."""

from __future__ import annotations

import msgspec


class Spent(msgspec.Struct, array_like=True):
    """Seconds since the worker began."""

    idle: float = 0.0
    """With nothing to do; by the clock on the wall."""
    sending: float = 0.0
    """With a report that the daemon does not take yet; by the clock on the wall."""
    packing: float = 0.0
    """Processor time of writing populations down, from which checkpoints are made."""
    merging: float = 0.0
    """Processor time of taking in what other islands sent."""

    def plus(self, other: Spent) -> Spent:
        """Of two workers, or of one and those that were before it."""
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Spent(*(a + b for a, b in zip(mine, theirs, strict=True)))
