"""Figures of several trials."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def quantile(values: Sequence[float], part: float) -> float:
    """The value that this part of all does not exceed: of 20, the 19th for 0.95."""
    return sorted(values)[max(0, math.ceil(len(values) * part) - 1)]


def summary(values: Sequence[float], unit: str = "s", digits: int = 3) -> dict[str, float]:
    """Median, 95th percentile and the largest."""
    return {
        f"p50_{unit}": round(statistics.median(values), digits),
        f"p95_{unit}": round(quantile(values, 0.95), digits),
        f"max_{unit}": round(max(values), digits),
    }
