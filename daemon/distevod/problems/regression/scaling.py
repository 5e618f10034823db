"""Linear scaling: the best slope and intercept of a formula, found directly instead of evolved.

Keijzer, "Improving Symbolic Regression with Interval Arithmetic and Linear Scaling", EuroGP 2003: with slope
and intercept by least squares, evolution only has to find the shape. Here they are part of the program, so its text
alone says what it computes, and `verify` has nothing to fit.
"""

import math
from operator import mul
from typing import NamedTuple

from distevod.problems.regression.expression import Column, rounded

EXACT = 1e-9
"""A slope this near to 1, or an intercept this small against the target, is taken for exactly that."""


class Target(NamedTuple):
    """The numbers to be met, with what every fit needs of them."""

    y: Column
    mean: float
    centred: Column
    deviation: float
    """Standard deviation; 1 where all are equal, so that errors can always be divided by it."""


def target_of(y: Column) -> Target:
    """A target of at least one number."""
    mean = math.fsum(y) / len(y)
    centred = [value - mean for value in y]
    deviation = math.sqrt(math.fsum(map(mul, centred, centred)) / len(y))
    return Target(y, mean, centred, deviation or 1.0)


def best_line(outputs: Column, target: Target) -> tuple[float, float] | None:
    """Slope and intercept for which `slope * output + intercept` has the least squared error.

    None where there is no such line: the outputs are all equal, or too large to calculate with.
    """
    # fsum, not sum: its result is the same in every version of Python.
    try:
        mean = math.fsum(outputs) / len(outputs)
        centred = [value - mean for value in outputs]
        variance = math.fsum(map(mul, centred, centred))
        covariance = math.fsum(map(mul, centred, target.centred))
    except (OverflowError, ValueError):  # a partial sum overflowed, or inf - inf
        return None
    if not EXACT * EXACT * mean * mean * len(outputs) < variance < math.inf:
        return None
    slope = covariance / variance
    intercept = target.mean - slope * mean
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        return None
    if abs(slope - 1) < EXACT:
        slope = 1.0
    if abs(intercept) < EXACT * target.deviation:
        intercept = 0.0
    return rounded(slope), rounded(intercept)
