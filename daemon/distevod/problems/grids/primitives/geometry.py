"""Whole grids turned, mirrored, repeated, scaled and cut."""

from __future__ import annotations

import numpy as np

from distevod.problems.grids.primitive import primitive
from distevod.problems.grids.values import Grid, Invalid, Type, within

GRID, INTEGER, COLOUR = Type.GRID, Type.INTEGER, Type.COLOUR


@primitive("flip_h", (GRID,), GRID, function=True, involution=True)
def flip_h(grid: Grid) -> Grid:
    return grid[:, ::-1]


@primitive("flip_v", (GRID,), GRID, function=True, involution=True)
def flip_v(grid: Grid) -> Grid:
    return grid[::-1]


@primitive("transpose", (GRID,), GRID, function=True, involution=True)
def transpose(grid: Grid) -> Grid:
    return grid.T


@primitive("rot180", (GRID,), GRID, function=True, involution=True)
def rot180(grid: Grid) -> Grid:
    return grid[::-1, ::-1]


@primitive("rot90", (GRID,), GRID, function=True)
def rot90(grid: Grid) -> Grid:
    """A quarter turn against the clock."""
    return grid.T[::-1]


@primitive("rot270", (GRID,), GRID, function=True)
def rot270(grid: Grid) -> Grid:
    """A quarter turn with the clock."""
    return grid.T[:, ::-1]


@primitive("antitranspose", (GRID,), GRID, involution=True)
def antitranspose(grid: Grid) -> Grid:
    return grid[::-1, ::-1].T


@primitive("crop", (GRID,), GRID, function=True, idempotent=True)
def crop(grid: Grid) -> Grid:
    """The smallest rectangle that holds every cell that is not 0."""
    rows = np.flatnonzero(grid.any(1))
    if rows.size == 0:
        raise Invalid
    columns = np.flatnonzero(grid.any(0))
    return grid[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@primitive("mirror_h", (GRID,), GRID, function=True)
def mirror_h(grid: Grid) -> Grid:
    """The grid, and its mirror image to the right."""
    return np.concatenate((grid, grid[:, ::-1]), 1)


@primitive("mirror_v", (GRID,), GRID, function=True)
def mirror_v(grid: Grid) -> Grid:
    """The grid, and its mirror image below."""
    return np.concatenate((grid, grid[::-1]), 0)


@primitive("mirror_both", (GRID,), GRID)
def mirror_both(grid: Grid) -> Grid:
    return mirror_v(mirror_h(grid))


@primitive("spin_four", (GRID,), GRID)
def spin_four(grid: Grid) -> Grid:
    """A square grid with its three turns around it, with the clock from the top left."""
    if grid.shape[0] != grid.shape[1]:
        raise Invalid
    within(2 * grid.shape[0], 2 * grid.shape[1])
    top = np.concatenate((grid, rot270(grid)), 1)
    bottom = np.concatenate((rot90(grid), rot180(grid)), 1)
    return np.concatenate((top, bottom), 0)


@primitive("twice_h", (GRID,), GRID)
def twice_h(grid: Grid) -> Grid:
    return np.concatenate((grid, grid), 1)


@primitive("twice_v", (GRID,), GRID)
def twice_v(grid: Grid) -> Grid:
    return np.concatenate((grid, grid), 0)


@primitive("tile", (GRID, INTEGER), GRID)
def tile(grid: Grid, count: int) -> Grid:
    """The grid repeated `count` times in each direction."""
    within(grid.shape[0] * count, grid.shape[1] * count)
    return np.tile(grid, (count, count))


@primitive("tile_mirrored", (GRID, INTEGER), GRID)
def tile_mirrored(grid: Grid, count: int) -> Grid:
    """Repeated `count` times in each direction, every second copy mirrored."""
    within(grid.shape[0] * count, grid.shape[1] * count)
    row = np.concatenate([grid[:, ::-1] if i % 2 else grid for i in range(count)], 1)
    return np.concatenate([row[::-1] if i % 2 else row for i in range(count)], 0)


@primitive("upscale", (GRID, INTEGER), GRID)
def upscale(grid: Grid, factor: int) -> Grid:
    """Each cell as a square of `factor` by `factor`."""
    within(grid.shape[0] * factor, grid.shape[1] * factor)
    return grid.repeat(factor, 0).repeat(factor, 1)


@primitive("upscale_own", (GRID,), GRID)
def upscale_own(grid: Grid) -> Grid:
    """Each cell as a block of the grid's own shape."""
    rows, columns = grid.shape
    within(rows * rows, columns * columns)
    return grid.repeat(rows, 0).repeat(columns, 1)


@primitive("downscale", (GRID, INTEGER), GRID)
def downscale(grid: Grid, factor: int) -> Grid:
    """The first cell of each square of `factor` by `factor`."""
    if factor < 2 or grid.shape[0] % factor or grid.shape[1] % factor:
        raise Invalid
    return grid[::factor, ::factor]


@primitive("tile_own", (GRID,), GRID)
def tile_own(grid: Grid) -> Grid:
    """The grid repeated as often as it has rows and columns."""
    rows, columns = grid.shape
    within(rows * rows, columns * columns)
    return np.tile(grid, (rows, columns))


@primitive("kron", (GRID, GRID), GRID)
def kron(places: Grid, grid: Grid) -> Grid:
    """A copy of `grid` for each cell of `places` that is not 0."""
    rows, columns = places.shape[0] * grid.shape[0], places.shape[1] * grid.shape[1]
    within(rows, columns)
    blocks: Grid = (places != 0)[:, None, :, None] * grid[None, :, None, :]
    return blocks.reshape(rows, columns)


@primitive("top_half", (GRID,), GRID, function=True)
def top_half(grid: Grid) -> Grid:
    """The upper half; a middle row belongs to neither half."""
    return grid[: grid.shape[0] // 2]


@primitive("left_half", (GRID,), GRID, function=True)
def left_half(grid: Grid) -> Grid:
    return grid[:, : grid.shape[1] // 2]


@primitive("bottom_half", (GRID,), GRID, function=True)
def bottom_half(grid: Grid) -> Grid:
    return grid[(grid.shape[0] + 1) // 2 :]


@primitive("right_half", (GRID,), GRID, function=True)
def right_half(grid: Grid) -> Grid:
    return grid[:, (grid.shape[1] + 1) // 2 :]


@primitive("trim", (GRID,), GRID, function=True)
def trim(grid: Grid) -> Grid:
    """Without its first and last row and column."""
    if min(grid.shape) < 3:
        raise Invalid
    return grid[1:-1, 1:-1]


@primitive("edge", (GRID,), GRID, idempotent=True)
def edge(grid: Grid) -> Grid:
    """Only the first and last row and column are kept; the rest becomes 0."""
    kept = grid.copy()
    kept[1:-1, 1:-1] = 0
    return kept


@primitive("pad", (GRID, COLOUR), GRID, paints=True)
def pad(grid: Grid, colour: int) -> Grid:
    """With a frame of one cell around it."""
    rows, columns = grid.shape
    within(rows + 2, columns + 2)
    framed = np.full((rows + 2, columns + 2), colour, np.uint8)
    framed[1:-1, 1:-1] = grid
    return framed


@primitive("pad_copy", (GRID,), GRID)
def pad_copy(grid: Grid) -> Grid:
    """With its outermost cells once more around it, and 0 at the corners."""
    rows, columns = grid.shape
    within(rows + 2, columns + 2)
    framed = np.zeros((rows + 2, columns + 2), np.uint8)
    framed[1:-1, 1:-1] = grid
    framed[0, 1:-1], framed[-1, 1:-1] = grid[0], grid[-1]
    framed[1:-1, 0], framed[1:-1, -1] = grid[:, 0], grid[:, -1]
    return framed


def _shifted(grid: Grid, down: int, right: int) -> Grid:
    rows, columns = grid.shape
    moved = np.zeros_like(grid)
    moved[max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)] = grid[
        max(-down, 0) : rows - max(down, 0), max(-right, 0) : columns - max(right, 0)
    ]
    return moved


@primitive("move_down", (GRID,), GRID)
def move_down(grid: Grid) -> Grid:
    """One row further down; what leaves is lost, what comes is 0."""
    return _shifted(grid, 1, 0)


@primitive("move_up", (GRID,), GRID)
def move_up(grid: Grid) -> Grid:
    return _shifted(grid, -1, 0)


@primitive("move_right", (GRID,), GRID)
def move_right(grid: Grid) -> Grid:
    return _shifted(grid, 0, 1)


@primitive("move_left", (GRID,), GRID)
def move_left(grid: Grid) -> Grid:
    return _shifted(grid, 0, -1)


@primitive("roll_h", (GRID,), GRID)
def roll_h(grid: Grid) -> Grid:
    """The last column comes first."""
    return np.concatenate((grid[:, -1:], grid[:, :-1]), 1)


@primitive("roll_v", (GRID,), GRID)
def roll_v(grid: Grid) -> Grid:
    """The last row comes first."""
    return np.concatenate((grid[-1:], grid[:-1]), 0)
