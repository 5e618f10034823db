"""Objects that move as a whole: they fall, and they are drawn to each other."""

from __future__ import annotations

import numpy as np

from distevod.problems.grids import bitboard
from distevod.problems.grids.primitive import primitive
from distevod.problems.grids.values import MAX_PIECES, Grid, Invalid, Type

GRID, COLOUR = Type.GRID, Type.COLOUR


def _painted(grid: Grid, moved: list[tuple[int, int]]) -> Grid:
    """An empty canvas with each part's colours where it came to lie; `moved` has boards and how far down each went."""
    rows, columns = grid.shape
    result = np.zeros_like(grid)
    for board, down in moved:
        here = np.where(bitboard.to_mask(board, rows, columns), grid, np.uint8(0))
        if down > 0:
            here = np.concatenate((np.zeros((down, columns), np.uint8), here[:-down]), 0)
        elif down < 0:
            here = np.concatenate((here[-down:], np.zeros((-down, columns), np.uint8)), 0)
        np.copyto(result, here, where=here != 0)
    return result


@primitive("fall_down", (GRID,), GRID)
def fall_down(grid: Grid) -> Grid:
    """Objects (one colour, eight neighbours) fall until they meet the border or another, the lowest first."""
    rows, columns = grid.shape
    width = columns + 1
    floor = ((1 << width) - 1) << rows * width
    parts = bitboard.objects(grid, True, True)
    if len(parts) > MAX_PIECES:
        raise Invalid
    taken, moved = floor, []
    for part in sorted(parts, reverse=True):
        board, down = part, 0
        while not (board << width) & taken:
            board <<= width
            down += 1
        taken |= board
        moved.append((part, down))
    return _painted(grid, moved)


@primitive("fall_up", (GRID,), GRID)
def fall_up(grid: Grid) -> Grid:
    return fall_down(grid[::-1])[::-1]


@primitive("fall_right", (GRID,), GRID)
def fall_right(grid: Grid) -> Grid:
    return fall_down(grid.T).T


@primitive("fall_left", (GRID,), GRID)
def fall_left(grid: Grid) -> Grid:
    return fall_down(grid.T[::-1])[::-1].T


def _drawn(grid: Grid, colour: int) -> Grid:
    """Each object of a colour goes up or down to the nearest cell of another colour that it meets, if any."""
    rows, columns = grid.shape
    width = columns + 1
    rest = bitboard.to_bits((grid != colour) & (grid != 0))
    board = bitboard.to_bits(grid == colour)
    parts = bitboard.components(board, width, True)
    if not parts or not rest or len(parts) > MAX_PIECES:
        raise Invalid
    moved = [(rest, 0)]
    for part in parts:
        down = up = 0
        for step in range(1, rows):
            down = step if part << step * width & rest else 0
            up = step if part >> step * width & rest else 0
            if down or up:
                break
        moved.append((part, down - 1 if down else 1 - up if up else 0))
    return _painted(grid, moved)


@primitive("draw", (GRID, COLOUR), GRID)
def draw(grid: Grid, colour: int) -> Grid:
    """Each object of the colour moves until it touches the nearest other colour in its way.

    First up or down; then those with nothing above or below move sideways.
    """
    return _drawn(_drawn(grid, colour).T, colour).T
