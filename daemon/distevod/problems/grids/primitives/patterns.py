"""Symmetry and repetition: found, completed, and used to fill what is missing (colour 0)."""

from __future__ import annotations

import numpy as np

from distevod.problems.grids.primitive import primitive
from distevod.problems.grids.values import Grid, Invalid, Type, within

GRID = Type.GRID


def _agree(a: Grid, b: Grid) -> bool:
    """Whether the two are equal wherever neither is 0."""
    return not bool(((a != b) & (a != 0) & (b != 0)).any())


def _row_period(grid: Grid) -> int:
    """The least shift of rows, at most half of them, under which the grid agrees with itself; else all rows."""
    rows = int(grid.shape[0])
    for period in range(1, rows // 2 + 1):
        if _agree(grid[period:], grid[:-period]) and _folds(grid, period):
            return period
    return rows


def _folds(grid: Grid, period: int) -> bool:
    """Whether all rows of the same remainder agree with each other, not with their neighbours only."""
    folded = _folded(grid, period)
    return all(
        _agree(grid[i : i + period], folded[: grid[i : i + period].shape[0]]) for i in range(0, grid.shape[0], period)
    )


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
    for total in sorted(
        range(columns // 2, 2 * (columns - 1) - columns // 2 + 1), key=lambda t: (abs(t - columns + 1), t)
    ):
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


@primitive("continue_h", (GRID,), GRID)
def continue_h(grid: Grid) -> Grid:
    """What stands at the left goes on to the right border, by the least period of columns that explains it."""
    used = np.flatnonzero(grid.any(0))
    if used.size == 0:
        raise Invalid
    known = grid[:, : int(used[-1]) + 1]
    length = known.shape[1]
    for period in range(1, length + 1):
        if np.array_equal(known[:, period:], known[:, : length - period]):
            return known[:, np.arange(grid.shape[1]) % period]
    raise Invalid


@primitive("continue_v", (GRID,), GRID)
def continue_v(grid: Grid) -> Grid:
    return continue_h(grid.T).T


@primitive("longer_h", (GRID,), GRID)
def longer_h(grid: Grid) -> Grid:
    """Twice as many columns, by the least period of columns that explains the grid."""
    rows, columns = grid.shape
    within(rows, 2 * columns)
    for period in range(1, columns + 1):
        if np.array_equal(grid[:, period:], grid[:, : columns - period]):
            return grid[:, np.arange(2 * columns) % period]
    raise Invalid


@primitive("longer_v", (GRID,), GRID)
def longer_v(grid: Grid) -> Grid:
    return longer_h(grid.T).T


@primitive("turn_fill", (GRID,), GRID)
def turn_fill(grid: Grid) -> Grid:
    """Cells of 0 filled so that the pattern is the same after each quarter turn, about its own middle."""
    down, right = np.flatnonzero(grid.any(1)), np.flatnonzero(grid.any(0))
    if down.size == 0:
        raise Invalid
    top, left = int(down[0]), int(right[0])
    side = max(int(down[-1]) + 1 - top, int(right[-1]) + 1 - left)
    if top + side > grid.shape[0] or left + side > grid.shape[1]:
        raise Invalid
    result = grid.copy()
    part = grid[top : top + side, left : left + side]
    filled = part
    for turned in (part.T[::-1], part[::-1, ::-1], part.T[:, ::-1]):
        filled = np.where(filled != 0, filled, turned)
    result[top : top + side, left : left + side] = filled
    return result


@primitive("mirror_fill", (GRID,), GRID)
def mirror_fill(grid: Grid) -> Grid:
    """Cells of 0 in the rectangle of all that is not 0 filled from its mirror images, both ways."""
    down, right = np.flatnonzero(grid.any(1)), np.flatnonzero(grid.any(0))
    if down.size == 0:
        raise Invalid
    result = grid.copy()
    box = (slice(int(down[0]), int(down[-1]) + 1), slice(int(right[0]), int(right[-1]) + 1))
    part = result[box]
    part = np.where(part != 0, part, part[:, ::-1])
    result[box] = np.where(part != 0, part, part[::-1])
    return result
