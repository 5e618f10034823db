"""Measures: from a grid to an integer that objects are chosen, ranked and coloured by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from distevod.problems.grids import bitboard
from distevod.problems.grids.primitive import measure, primitive
from distevod.problems.grids.primitives.colours import counts
from distevod.problems.grids.values import MAX_INTEGER, Grid, Type

GRID, INTEGER = Type.GRID, Type.INTEGER


@measure("area")
def area(grid: Grid) -> int:
    """Cells that are not 0."""
    return int(np.count_nonzero(grid))


@measure("box")
def box(grid: Grid) -> int:
    """Cells of the whole rectangle."""
    return int(grid.size)


@measure("height")
def height(grid: Grid) -> int:
    return int(grid.shape[0])


@measure("width")
def width(grid: Grid) -> int:
    return int(grid.shape[1])


@measure("gaps")
def gaps(grid: Grid) -> int:
    """Cells that are 0."""
    return int(grid.size - np.count_nonzero(grid))


@measure("colors")
def colours(grid: Grid) -> int:
    """Colours that occur, 0 left out."""
    return sum(1 for n in counts(grid)[1:] if n)


@measure("hollows")
def hollows(grid: Grid) -> int:
    """Holes: parts of 0 shut off from the border."""
    rows, columns = grid.shape
    occupied = bitboard.to_bits(grid != 0)
    board = bitboard.to_bits(grid == 0) & ~bitboard.outside(occupied, rows, columns)
    return len(bitboard.components(board, columns + 1, False))


@measure("parts")
def parts(grid: Grid) -> int:
    """Objects of one colour, joined by eight neighbours."""
    return len(bitboard.objects(grid, True, True))


@measure("minority")
def minority(grid: Grid) -> int:
    """Cells that are neither 0 nor of the commonest colour."""
    found = counts(grid)[1:]
    return sum(found) - max(found)


@measure("symmetry")
def symmetry(grid: Grid) -> int:
    """1 when mirrored left to right or top to bottom it is the same, else 0."""
    return int(bool((grid == grid[:, ::-1]).all()) or bool((grid == grid[::-1]).all()))


@measure("square")
def square(grid: Grid) -> int:
    """1 for as many rows as columns, else 0."""
    return int(grid.shape[0] == grid.shape[1])


@measure("color")
def colour(grid: Grid) -> int:
    """The commonest colour other than 0; 0 when there is none."""
    found = counts(grid)
    found[0] = 0
    return found.index(max(found))


@primitive("count", (Type.MEASURE, GRID), INTEGER)
def count(measured: Callable[[Grid], int], grid: Grid) -> int:
    """The measure as an integer, at most 30."""
    return min(measured(grid), MAX_INTEGER)
