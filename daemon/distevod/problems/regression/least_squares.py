"""The best weighted sum of columns, found directly instead of evolved.

Keijzer, "Improving Symbolic Regression with Interval Arithmetic and Linear Scaling", EuroGP 2003, finds slope and
intercept of a formula by least squares, so that evolution has to find the shape only. Here each term of a sum has
its own weight, as in multigene programming (Searson et al., "GPTIPS", 2010).
"""

import math
from collections.abc import Sequence
from operator import mul
from typing import NamedTuple

Column = list[float]
"""One number for each point."""

DEPENDENT = 1e-7
"""A column of which this share or less is not explained by those before it has no weight of its own."""
NEGLIGIBLE = 1e-9
"""A term that moves the sum by this share of the target's deviation, or less, is left out."""


class Centred(NamedTuple):
    """A column and what least squares needs of it."""

    values: Column
    mean: float
    offsets: Column
    """Values less their mean."""
    square: float
    """Sum of the squared offsets."""


def centred(values: Column) -> Centred | None:
    """None where the numbers are not finite, or too large to be squared and summed."""
    # fsum, not sum: its result is the same in every version of Python.
    try:
        mean = math.fsum(values) / len(values)
        offsets = [value - mean for value in values]
        square = math.fsum(map(mul, offsets, offsets))
    except (OverflowError, ValueError):  # a partial sum overflowed, or inf - inf
        return None
    return Centred(values, mean, offsets, square) if square < math.inf else None


def best_weights(columns: Sequence[Centred], target: Centred) -> list[float]:
    """The weight of each column in the sum with the least squared error; 0 for those that can be left out.

    Modified Gram-Schmidt (Björck 1967) in the order given, so that of dependent columns the first are kept.
    """
    basis: list[tuple[int, Column, float, list[float]]] = []  # column, its new part, its square, what it shares
    rest = target.offsets
    gains: list[float] = []
    for number, column in enumerate(columns):
        part = column.offsets
        shares: list[float] = []
        for _, direction, square, _ in basis:
            share = math.fsum(map(mul, part, direction)) / square
            part = [value - share * other for value, other in zip(part, direction, strict=True)]
            shares.append(share)
        square = math.fsum(map(mul, part, part)) if basis else column.square
        if not square > DEPENDENT * DEPENDENT * (column.square + column.mean * column.mean * len(part)):
            continue
        gain = math.fsum(map(mul, rest, part)) / square
        rest = [value - gain * other for value, other in zip(rest, part, strict=True)]
        basis.append((number, part, square, shares))
        gains.append(gain)
    least = NEGLIGIBLE * math.sqrt(target.square)
    weights = [0.0] * len(columns)
    for place in range(len(basis) - 1, -1, -1):
        number, _, _, shares = basis[place]
        weight = gains[place]
        for before, share in enumerate(shares):
            gains[before] -= weight * share
        if abs(weight) * math.sqrt(columns[number].square) > least:
            weights[number] = weight
    return weights
