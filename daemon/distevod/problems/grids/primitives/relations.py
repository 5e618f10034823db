"""Grids whose cells tell something about the cell of another grid; a finisher turns the digits into colours.

None of them depends on which colours there are, only on where they are equal.
"""

from __future__ import annotations

import numpy as np

from distevod.problems.grids import bitboard
from distevod.problems.grids.primitive import primitive
from distevod.problems.grids.primitives.masks import grown
from distevod.problems.grids.values import Grid, Type

GRID = Type.GRID


@primitive("near4", (GRID,), GRID)
def near4(grid: Grid) -> Grid:
    """How many of the four neighbours are not 0."""
    framed = np.zeros((grid.shape[0] + 2, grid.shape[1] + 2), np.uint8)
    framed[1:-1, 1:-1] = grid != 0
    return framed[:-2, 1:-1] + framed[2:, 1:-1] + framed[1:-1, :-2] + framed[1:-1, 2:]


@primitive("near8", (GRID,), GRID)
def near8(grid: Grid) -> Grid:
    """How many of the eight neighbours are not 0."""
    framed = np.zeros((grid.shape[0] + 2, grid.shape[1] + 2), np.uint8)
    framed[1:-1, 1:-1] = grid != 0
    across = framed[:, :-2] + framed[:, 1:-1] + framed[:, 2:]
    found: Grid = across[:-2] + across[1:-1] + across[2:] - framed[1:-1, 1:-1]
    return found


@primitive("depth", (GRID,), GRID)
def depth(grid: Grid) -> Grid:
    """How many steps (eight neighbours) to the nearest cell of 0 or off the grid, at most 9; 0 for 0."""
    result = np.zeros(grid.shape, np.uint8)
    framed = np.zeros((grid.shape[0] + 2, grid.shape[1] + 2), np.bool_)
    framed[1:-1, 1:-1] = grid != 0
    for _ in range(9):
        if not framed.any():
            break
        result += framed[1:-1, 1:-1]
        framed = ~grown(~framed)
    return result


@primitive("distance", (GRID,), GRID)
def distance(grid: Grid) -> Grid:
    """How many steps (eight neighbours) to the nearest cell that is not 0, at most 9."""
    result = np.zeros(grid.shape, np.uint8)
    mask = grid != 0
    for _ in range(9):
        if mask.all():
            break
        result += ~mask
        mask = grown(mask)
    return result


@primitive("rings", (GRID,), GRID)
def rings(grid: Grid) -> Grid:
    """How many steps to the border of the grid, 1 at the border, at most 9."""
    rows, columns = grid.shape
    down = np.minimum(np.arange(rows), np.arange(rows)[::-1])
    right = np.minimum(np.arange(columns), np.arange(columns)[::-1])
    steps: Grid = np.minimum(np.minimum(down[:, None], right[None, :]) + 1, 9).astype(np.uint8)
    return steps


@primitive("checkers", (GRID,), GRID)
def checkers(grid: Grid) -> Grid:
    """1 and 0 in turn, like a chess board, 0 at the top left."""
    return ((np.arange(grid.shape[0])[:, None] + np.arange(grid.shape[1])) % 2).astype(np.uint8)


@primitive("stripes_h", (GRID,), GRID)
def stripes_h(grid: Grid) -> Grid:
    """1 in every second column, from the second."""
    row = np.arange(grid.shape[1], dtype=np.uint8) % np.uint8(2)
    return np.broadcast_to(row, grid.shape)


@primitive("stripes_v", (GRID,), GRID)
def stripes_v(grid: Grid) -> Grid:
    """1 in every second row, from the second."""
    column = np.arange(grid.shape[0], dtype=np.uint8) % np.uint8(2)
    return np.broadcast_to(column[:, None], grid.shape)


@primitive("hole_size", (GRID,), GRID)
def hole_size(grid: Grid) -> Grid:
    """Each cell of a hole tells how many cells the hole has, at most 9; all else is 0."""
    rows, columns = grid.shape
    result = np.zeros(grid.shape, np.uint8)
    for part in bitboard.components(bitboard.to_bits(bitboard.holes(grid)), columns + 1, False):
        result[bitboard.to_mask(part, rows, columns)] = min(part.bit_count(), 9)
    return result


@primitive("row_count", (GRID,), GRID)
def row_count(grid: Grid) -> Grid:
    """Each cell tells how many cells of its row are not 0, at most 9."""
    found = np.minimum(np.count_nonzero(grid, 1), 9).astype(np.uint8)
    return np.broadcast_to(found[:, None], grid.shape)


@primitive("column_count", (GRID,), GRID)
def column_count(grid: Grid) -> Grid:
    found = np.minimum(np.count_nonzero(grid, 0), 9).astype(np.uint8)
    return np.broadcast_to(found[None, :], grid.shape)


@primitive("blocks2", (GRID,), GRID)
def blocks2(grid: Grid) -> Grid:
    """1 where the cell is part of a two by two square of its own colour (not 0), else 0."""
    same = (grid[1:] == grid[:-1]) & (grid[1:] != 0)
    square = same[:, 1:] & same[:, :-1] & (grid[1:, 1:] == grid[1:, :-1])
    result = np.zeros(grid.shape, np.bool_)
    result[1:, 1:] |= square
    result[:-1, 1:] |= square
    result[1:, :-1] |= square
    result[:-1, :-1] |= square
    return result.view(np.uint8)


@primitive("nearest", (GRID,), GRID)
def nearest(grid: Grid) -> Grid:
    """Each cell takes the colour of the nearest cell that is not 0 (eight neighbours; of equals the highest)."""
    result = grid
    for _ in range(30):
        if result.all():
            break
        framed = np.zeros((grid.shape[0] + 2, grid.shape[1] + 2), np.uint8)
        framed[1:-1, 1:-1] = result
        across = np.maximum(np.maximum(framed[:, :-2], framed[:, 1:-1]), framed[:, 2:])
        spread = np.maximum(np.maximum(across[:-2], across[1:-1]), across[2:])
        result = np.where(result != 0, result, spread)
    return result


@primitive("rooms", (GRID,), GRID)
def rooms(grid: Grid) -> Grid:
    """Each cell of 0 tells the rank by size of the room that it is in (four neighbours), 1 the largest, at most 9."""
    rows, columns = grid.shape
    parts = bitboard.components(bitboard.to_bits(grid == 0), columns + 1, False)
    sizes = sorted({part.bit_count() for part in parts}, reverse=True)
    result = np.zeros(grid.shape, np.uint8)
    for part in parts:
        result[bitboard.to_mask(part, rows, columns)] = min(sizes.index(part.bit_count()) + 1, 9)
    return result


@primitive("room_size", (GRID,), GRID)
def room_size(grid: Grid) -> Grid:
    """Each cell of 0 tells how many cells its room has (four neighbours), at most 9."""
    rows, columns = grid.shape
    result = np.zeros(grid.shape, np.uint8)
    for part in bitboard.components(bitboard.to_bits(grid == 0), columns + 1, False):
        result[bitboard.to_mask(part, rows, columns)] = min(part.bit_count(), 9)
    return result


@primitive("square_holes", (GRID,), GRID)
def square_holes(grid: Grid) -> Grid:
    """Cells of holes: 1 where the hole is a full square, 2 where it is another full rectangle, else 3."""
    rows, columns = grid.shape
    result = np.zeros(grid.shape, np.uint8)
    for part in bitboard.components(bitboard.to_bits(bitboard.holes(grid)), columns + 1, False):
        mask = bitboard.to_mask(part, rows, columns)
        height, width = int(mask.any(1).sum()), int(mask.any(0).sum())
        full = part.bit_count() == height * width
        result[mask] = 3 if not full else 1 if height == width else 2
    return result


def _steps(parts: list[int], rows: int, columns: int, modulus: int, along: bool) -> Grid:
    result = np.zeros((rows, columns), np.uint8)
    for part in parts:
        mask = bitboard.to_mask(part, rows, columns)
        lines = np.arange(columns)[None, :] if along else np.arange(rows)[:, None]
        first = int(np.flatnonzero(mask.any(0) if along else mask.any(1))[0])
        steps = ((lines - first) % modulus + 1).astype(np.uint8)
        np.copyto(result, np.broadcast_to(steps, mask.shape), where=mask)
    return result


@primitive("turns_h", (GRID,), GRID)
def turns_h(grid: Grid) -> Grid:
    """In each object (one colour, eight neighbours) the columns are 1 and 2 in turn, from its first."""
    return _steps(bitboard.objects(grid, True, True), grid.shape[0], grid.shape[1], 2, True)


@primitive("turns_v", (GRID,), GRID)
def turns_v(grid: Grid) -> Grid:
    return _steps(bitboard.objects(grid, True, True), grid.shape[0], grid.shape[1], 2, False)


@primitive("by_row", (GRID,), GRID)
def row_rank(grid: Grid) -> Grid:
    """Each cell tells the rank of its row by its cells that are not 0, 1 the most, at most 9."""
    found = np.count_nonzero(grid, 1)
    ladder = np.unique(-found)
    rank = np.minimum(np.searchsorted(ladder, -found) + 1, 9).astype(np.uint8)
    return np.broadcast_to(rank[:, None], grid.shape)


@primitive("by_line", (GRID,), GRID)
def column_rank(grid: Grid) -> Grid:
    return row_rank(grid.T).T
