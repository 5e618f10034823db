"""Lines: drawn, joined, shot, fallen, and taken out."""

from __future__ import annotations

import numpy as np

from distevod.problems.grids.primitive import primitive
from distevod.problems.grids.values import Grid, Type

GRID, COLOUR = Type.GRID, Type.COLOUR


@primitive("dedup_lines", (GRID,), GRID, idempotent=True)
def dedup_lines(grid: Grid) -> Grid:
    """Without rows and columns that equal the one before."""
    rows = np.ones(grid.shape[0], np.bool_)
    rows[1:] = (grid[1:] != grid[:-1]).any(1)
    grid = grid[rows]
    columns = np.ones(grid.shape[1], np.bool_)
    columns[1:] = (grid[:, 1:] != grid[:, :-1]).any(0)
    return grid[:, columns]


@primitive("drop_empty", (GRID,), GRID, function=True, idempotent=True)
def drop_empty(grid: Grid) -> Grid:
    """Without the rows and columns that are all 0."""
    return grid[grid.any(1)][:, grid.any(0)]


@primitive("drop_uniform", (GRID,), GRID)
def drop_uniform(grid: Grid) -> Grid:
    """Without the rows and columns of a single colour."""
    rows, columns = np.not_equal(grid, grid[:, :1]), np.not_equal(grid, grid[:1])
    varied: Grid = grid[rows.any(1)][:, columns.any(0)]
    return varied


@primitive("sort_rows", (GRID,), GRID)
def sort_rows(grid: Grid) -> Grid:
    """Rows in order of how many cells are not 0, fewest first; equals stay in order."""
    return grid[np.argsort(np.count_nonzero(grid, 1), kind="stable")]


@primitive("sort_columns", (GRID,), GRID)
def sort_columns(grid: Grid) -> Grid:
    return grid[:, np.argsort(np.count_nonzero(grid, 0), kind="stable")]


def _last_seen(grid: Grid) -> Grid:
    """Each cell takes the nearest colour that is not 0 at or to the left of it, along its row; else 0."""
    columns = np.arange(grid.shape[1])
    nearest = np.maximum.accumulate(np.where(grid != 0, columns, 0), 1)
    return grid[np.arange(grid.shape[0])[:, None], nearest]


@primitive("smear_right", (GRID,), GRID, idempotent=True)
def smear_right(grid: Grid) -> Grid:
    """Each cell that is 0 takes the nearest colour to its left."""
    return _last_seen(grid)


@primitive("smear_left", (GRID,), GRID, idempotent=True)
def smear_left(grid: Grid) -> Grid:
    return _last_seen(grid[:, ::-1])[:, ::-1]


@primitive("smear_down", (GRID,), GRID, idempotent=True)
def smear_down(grid: Grid) -> Grid:
    return _last_seen(grid.T).T


@primitive("smear_up", (GRID,), GRID, idempotent=True)
def smear_up(grid: Grid) -> Grid:
    return _last_seen(grid[::-1].T).T[::-1]


@primitive("connect_h", (GRID,), GRID)
def connect_h(grid: Grid) -> Grid:
    """Cells of colour 0 between two cells of one colour in a row take that colour."""
    left = _last_seen(grid)
    return np.where(left == _last_seen(grid[:, ::-1])[:, ::-1], left, grid)


@primitive("connect_v", (GRID,), GRID)
def connect_v(grid: Grid) -> Grid:
    return connect_h(grid.T).T


@primitive("connect", (GRID,), GRID)
def connect(grid: Grid) -> Grid:
    """Both ways at once; where they cross, the column wins."""
    down = connect_v(grid)
    return np.where(down != 0, down, connect_h(grid))


@primitive("between_h", (GRID, COLOUR), GRID, paints=True)
def between_h(grid: Grid, colour: int) -> Grid:
    """Cells of colour 0 with cells that are not 0 on both sides in their row take the colour."""
    mask = grid != 0
    left = np.logical_or.accumulate(mask, 1)
    right = np.logical_or.accumulate(mask[:, ::-1], 1)[:, ::-1]
    return np.where(left & right & ~mask, np.uint8(colour), grid)


@primitive("between_v", (GRID, COLOUR), GRID, paints=True)
def between_v(grid: Grid, colour: int) -> Grid:
    return between_h(grid.T, colour).T


@primitive("extend_h", (GRID,), GRID)
def extend_h(grid: Grid) -> Grid:
    """Each row that has a colour is filled with its last colour where it is 0 (both ways)."""
    return smear_left(smear_right(grid))


@primitive("extend_v", (GRID,), GRID)
def extend_v(grid: Grid) -> Grid:
    return smear_up(smear_down(grid))


@primitive("cross", (GRID,), GRID)
def cross(grid: Grid) -> Grid:
    """A row and a column through every cell that is not 0; rows win where they cross, cells win over both."""
    across, along = extend_h(grid), extend_v(grid)
    return np.where(grid != 0, grid, np.where(across != 0, across, along))


@primitive("gravity_down", (GRID,), GRID, idempotent=True)
def gravity_down(grid: Grid) -> Grid:
    """In each column the cells that are not 0 fall to the bottom, in order."""
    order = np.argsort(grid != 0, 0, kind="stable")
    return grid[order, np.arange(grid.shape[1])]


@primitive("gravity_up", (GRID,), GRID, idempotent=True)
def gravity_up(grid: Grid) -> Grid:
    return gravity_down(grid[::-1])[::-1]


@primitive("gravity_right", (GRID,), GRID, idempotent=True)
def gravity_right(grid: Grid) -> Grid:
    return gravity_down(grid.T).T


@primitive("gravity_left", (GRID,), GRID, idempotent=True)
def gravity_left(grid: Grid) -> Grid:
    return gravity_down(grid.T[::-1])[::-1].T


def _ray(grid: Grid, slope: int, down: bool) -> Grid:
    """Colours smeared along diagonals that go down to the right (slope 1) or down to the left (slope -1)."""
    rows, columns = grid.shape
    row = np.arange(rows)[:, None]
    place = (row, rows - slope * row + np.arange(columns))
    skewed = np.zeros((rows, columns + 2 * rows), np.uint8)
    skewed[place] = grid
    smeared = smear_down(skewed) if down else smear_up(skewed)
    ray: Grid = smeared[place]
    return ray


@primitive("ray_dr", (GRID,), GRID)
def ray_down_right(grid: Grid) -> Grid:
    """Colours run down and to the right until they meet another."""
    return _ray(grid, 1, True)


@primitive("ray_dl", (GRID,), GRID)
def ray_down_left(grid: Grid) -> Grid:
    return _ray(grid, -1, True)


@primitive("ray_ur", (GRID,), GRID)
def ray_up_right(grid: Grid) -> Grid:
    return _ray(grid, -1, False)


@primitive("ray_ul", (GRID,), GRID)
def ray_up_left(grid: Grid) -> Grid:
    return _ray(grid, 1, False)


@primitive("diag_rays", (GRID,), GRID)
def diag_rays(grid: Grid) -> Grid:
    """Colours run along all four diagonals from each cell that is not 0."""
    result = grid
    for slope, down in ((1, True), (-1, True), (-1, False), (1, False)):
        ray = _ray(grid, slope, down)
        result = np.where(result != 0, result, ray)
    return result


@primitive("connect_diag", (GRID,), GRID)
def connect_diag(grid: Grid) -> Grid:
    """Cells of colour 0 between two cells of one colour on a diagonal take that colour."""
    result = grid
    for slope in (1, -1):
        down, up = _ray(grid, slope, True), _ray(grid, slope, False)
        result = np.where((result == 0) & (down == up), down, result)
    return result


@primitive("full_lines", (GRID,), GRID, idempotent=True)
def full_lines(grid: Grid) -> Grid:
    """Only rows and columns of one colour that is not 0 are kept."""
    rows = (grid == grid[:, :1]).all(1)[:, None]
    columns = (grid == grid[:1]).all(0)[None, :]
    return np.where(rows | columns, grid, np.uint8(0))


@primitive("first_row", (GRID,), GRID, idempotent=True)
def first_row(grid: Grid) -> Grid:
    return grid[:1]


@primitive("first_column", (GRID,), GRID, idempotent=True)
def first_column(grid: Grid) -> Grid:
    return grid[:, :1]
