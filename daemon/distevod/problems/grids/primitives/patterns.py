"""Symmetry and repetition: found, completed, and used to fill what is missing (colour 0)."""

from __future__ import annotations

import numpy as np

from distevod.problems.grids.primitive import primitive
from distevod.problems.grids.values import Grid, Invalid, Type

GRID = Type.GRID


def _agree(a: Grid, b: Grid) -> bool:
    """Whether the two are equal wherever neither is 0."""
    return not bool(((a != b) & (a != 0) & (b != 0)).any())


def _row_period(grid: Grid) -> int:
    """The least shift of rows under which the grid agrees with itself; at most its number of rows."""
    rows = grid.shape[0]
    for period in range(1, rows):
        if _agree(grid[period:], grid[:-period]) and _folds(grid, period):
            return period
    return rows


def _folds(grid: Grid, period: int) -> bool:
    """Whether all rows of the same remainder agree with each other, not with their neighbours only."""
    folded = _folded(grid, period)
    return all(_agree(grid[i : i + period], folded[: grid[i : i + period].shape[0]]) for i in range(0, grid.shape[0], period))


def _folded(grid: Grid, period: int) -> Grid:
    """Rows of the same remainder laid over each other."""
    folded = grid[:period].copy()
    for start in range(period, grid.shape[0], period):
        part = grid[start : start + period]
        np.maximum(folded[: part.shape[0]], part, out=folded[: part.shape[0]])
    return folded


@primitive("tile_of", (GRID,), GRID, idempotent=False)
def tile_of(grid: Grid) -> Grid:
    """The smallest tile that the grid repeats; cells of 0 agree with anything."""
    tile = _folded(grid, _row_period(grid))
    return _folded(tile.T, _row_period(tile.T)).T


@primitive("period_fill", (GRID,), GRID)
def period_fill(grid: Grid) -> Grid:
    """Cells of 0 filled from the smallest tile that the grid repeats."""
    rows, columns = grid.shape
    tile = tile_of(grid)
    if tile.shape == grid.shape:
        raise Invalid
    times = (-(-rows // tile.shape[0]), -(-columns // tile.shape[1]))
    return np.tile(tile, times)[:rows, :columns]


def _mirror_filled(grid: Grid) -> Grid:
    """Cells of 0 filled from left and right mirrored about the axis with the widest agreement."""
    columns = grid.shape[1]
    # An axis at half cells: columns i and total - i mirror each other. The middle is tried first, then outwards.
    for total in sorted(range(columns // 2, 2 * (columns - 1) - columns // 2 + 1), key=lambda t: (abs(t - columns + 1), t)):
        low, high = max(0, total - columns + 1), min(columns - 1, total)
        part = grid[:, low : high + 1]
        mirrored = part[:, ::-1]
        if _agree(part, mirrored):
            result = grid.copy()
            np.maximum(part, mirrored, out=result[:, low : high + 1])
            return result
    raise Invalid


@primitive("sym_fill_h", (GRID,), GRID)
def sym_fill_h(grid: Grid) -> Grid:
    """Cells of 0 filled so that left mirrors right, about the axis nearest the middle under which all agrees."""
    return _mirror_filled(grid)


@primitive("sym_fill_v", (GRID,), GRID)
def sym_fill_v(grid: Grid) -> Grid:
    return _mirror_filled(grid.T).T


@primitive("sym_fill", (GRID,), GRID)
def sym_fill(grid: Grid) -> Grid:
    """Both ways, and about the diagonal where the grid is square and agrees."""
    result = _mirror_filled(_mirror_filled(grid).T).T
    if result.shape[0] == result.shape[1] and _agree(result, result.T):
        result = np.maximum(result, result.T)
    return result


@primitive("sym_fill_d", (GRID,), GRID)
def sym_fill_d(grid: Grid) -> Grid:
    """Cells of 0 filled about the diagonal."""
    if grid.shape[0] != grid.shape[1] or not _agree(grid, grid.T):
        raise Invalid
    return np.maximum(grid, grid.T)


@primitive("spin_fill", (GRID,), GRID)
def spin_fill(grid: Grid) -> Grid:
    """Cells of 0 filled from the grid's quarter turns about its middle."""
    if grid.shape[0] != grid.shape[1]:
        raise Invalid
    result = grid
    for turned in (grid.T[::-1], grid[::-1, ::-1], grid.T[:, ::-1]):
        result = np.where(result != 0, result, turned)
    return result


@primitive("overlay_h", (GRID,), GRID)
def overlay_h(grid: Grid) -> Grid:
    """The grid over its mirror image, left to right."""
    return np.where(grid != 0, grid, grid[:, ::-1])


@primitive("overlay_v", (GRID,), GRID)
def overlay_v(grid: Grid) -> Grid:
    return np.where(grid != 0, grid, grid[::-1])
