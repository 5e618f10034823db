"""Two grids made one."""

from __future__ import annotations

import numpy as np

from distevod.problems.grids.primitive import primitive
from distevod.problems.grids.values import Grid, Invalid, Type

GRID = Type.GRID


def same_shape(a: Grid, b: Grid) -> None:
    """Raises `Invalid` unless both have the same shape."""
    if a.shape != b.shape:
        raise Invalid


@primitive("over", (GRID, GRID), GRID)
def over(a: Grid, b: Grid) -> Grid:
    """`a` laid on `b`; 0 is see-through."""
    same_shape(a, b)
    return np.where(a != 0, a, b)


@primitive("hcat", (GRID, GRID), GRID)
def hcat(a: Grid, b: Grid) -> Grid:
    if a.shape[0] != b.shape[0]:
        raise Invalid
    return np.concatenate((a, b), 1)


@primitive("vcat", (GRID, GRID), GRID)
def vcat(a: Grid, b: Grid) -> Grid:
    if a.shape[1] != b.shape[1]:
        raise Invalid
    return np.concatenate((a, b), 0)


@primitive("xor", (GRID, GRID), GRID, commutative=True)
def xor(a: Grid, b: Grid) -> Grid:
    """What only one of the two has."""
    same_shape(a, b)
    return np.where((a != 0) != (b != 0), a | b, np.uint8(0))


@primitive("both", (GRID, GRID), GRID)
def both(a: Grid, b: Grid) -> Grid:
    """`a` where neither is 0."""
    same_shape(a, b)
    return np.where(b != 0, a, np.uint8(0))


@primitive("except", (GRID, GRID), GRID)
def without(a: Grid, b: Grid) -> Grid:
    """`a` where `b` is 0."""
    same_shape(a, b)
    return np.where(b != 0, np.uint8(0), a)


@primitive("embed", (GRID, GRID), GRID)
def embed(small: Grid, large: Grid) -> Grid:
    """`small` laid on the middle of `large`; 0 is see-through."""
    down, right = large.shape[0] - small.shape[0], large.shape[1] - small.shape[1]
    if down < 0 or right < 0:
        raise Invalid
    result = large.copy()
    window = result[down // 2 : down // 2 + small.shape[0], right // 2 : right // 2 + small.shape[1]]
    np.copyto(window, small, where=small != 0)
    return result


@primitive("tile_like", (GRID, GRID), GRID)
def tile_like(small: Grid, large: Grid) -> Grid:
    """`small` repeated from the top left to the shape of `large`."""
    rows, columns = large.shape
    times = (-(-rows // small.shape[0]), -(-columns // small.shape[1]))
    return np.tile(small, times)[:rows, :columns]


@primitive("window", (GRID, GRID), GRID)
def window(grid: Grid, frame: Grid) -> Grid:
    """`grid` cut to the smallest rectangle that holds what is not 0 in `frame`."""
    same_shape(grid, frame)
    rows = np.flatnonzero(frame.any(1))
    if rows.size == 0:
        raise Invalid
    columns = np.flatnonzero(frame.any(0))
    return grid[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
