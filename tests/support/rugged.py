"""Bit strings whose fitness is a hash: the same operators and costs as OneMax, and never solved. For benchmarks."""

from __future__ import annotations

from typing import Any

from distevod.problems.onemax import OneMax

_MULTIPLIER = 0x9E3779B97F4A7C15


class Rugged(OneMax):
    """Task data as for OneMax."""

    name, version = "rugged", "1"

    def evaluate(self, genome: int) -> dict[str, Any]:
        """OneMax's own evaluation, with another number."""
        outcome = super().evaluate(genome)
        value = (genome ^ (genome >> 64) ^ (genome >> 128)) * _MULTIPLIER & 0xFFFFFFFFFFFFFFFF
        return outcome | {"fitness": value / 2**64, "fit": False}
