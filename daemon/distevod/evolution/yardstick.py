"""The yardstick: a fixed piece of the interpreter's work, by which the cores of platforms are compared."""

from __future__ import annotations

import time

STEPS = 4_000
REFERENCE_SECONDS = 0.0005
"""CPU time that the reference core takes; only ratios between platforms count."""
ROUNDS = 5
"""The least of several is nearest what the core can do: whatever disturbs adds to it."""


def yardstick() -> float:
    """How many times the reference's CPU time this core takes."""
    return min(_measured() for _ in range(ROUNDS)) / REFERENCE_SECONDS


def _measured() -> float:
    """CPU seconds of some arithmetic, small objects and look-ups, as evaluating a small program has them."""
    begun = time.thread_time()
    seen: dict[int, tuple[int, int]] = {}
    total = 1
    for step in range(STEPS):
        total = (total * 31 + step) & 0xFFFF
        seen[total & 255] = (step, total)
        if total in seen:
            total ^= seen[total][0]
    return time.thread_time() - begun
