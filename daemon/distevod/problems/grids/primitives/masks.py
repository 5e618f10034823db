"""Masks from grids, masks from masks, and grids painted through masks."""

from __future__ import annotations

import numpy as np

from distevod.problems.grids import bitboard
from distevod.problems.grids.primitive import primitive
from distevod.problems.grids.values import Grid, Invalid, Mask, Type

GRID, MASK, COLOUR = Type.GRID, Type.MASK, Type.COLOUR


@primitive("of_color", (GRID, COLOUR), MASK)
def of_colour(grid: Grid, colour: int) -> Mask:
    mask: Mask = grid == colour
    return mask


@primitive("filled", (GRID,), MASK)
def filled(grid: Grid) -> Mask:
    return grid.astype(np.bool_)


@primitive("holes", (GRID,), MASK)
def holes(grid: Grid) -> Mask:
    """Cells of colour 0 that other cells shut off from the border."""
    return bitboard.holes(grid)


@primitive("inner", (GRID,), MASK)
def inner(grid: Grid) -> Mask:
    """Cells whose eight neighbours have their own colour; off the grid counts as another colour."""
    framed = np.full((grid.shape[0] + 2, grid.shape[1] + 2), 10, np.uint8)
    framed[1:-1, 1:-1] = grid
    rows, columns = grid.shape
    result = grid.astype(np.bool_)
    for down in range(3):
        for right in range(3):
            if down != 1 or right != 1:
                result &= framed[down : down + rows, right : right + columns] == grid
    return result


@primitive("around", (GRID,), MASK)
def around(grid: Grid) -> Mask:
    """Cells of colour 0 with a cell that is not 0 among their eight neighbours."""
    filled_cells = grid.astype(np.bool_)
    return grown(filled_cells) & ~filled_cells


@primitive("beside", (GRID,), MASK)
def beside(grid: Grid) -> Mask:
    """Cells of colour 0 with a cell that is not 0 among their four neighbours."""
    mask = grid.astype(np.bool_)
    near = mask.copy()
    near[1:] |= mask[:-1]
    near[:-1] |= mask[1:]
    near[:, 1:] |= mask[:, :-1]
    near[:, :-1] |= mask[:, 1:]
    return near ^ mask


@primitive("rows_of", (GRID,), MASK)
def rows_of(grid: Grid) -> Mask:
    """Every cell of the rows that have a cell that is not 0."""
    return np.repeat(grid.any(1, keepdims=True), grid.shape[1], 1)


@primitive("columns_of", (GRID,), MASK)
def columns_of(grid: Grid) -> Mask:
    return np.repeat(grid.any(0, keepdims=True), grid.shape[0], 0)


@primitive("grow", (MASK,), MASK)
def grown(mask: Mask) -> Mask:
    """The mask and its eight neighbours."""
    wide = mask.copy()
    wide[:, 1:] |= mask[:, :-1]
    wide[:, :-1] |= mask[:, 1:]
    tall = wide.copy()
    tall[1:] |= wide[:-1]
    tall[:-1] |= wide[1:]
    return tall


@primitive("not", (MASK,), MASK, involution=True)
def negated(mask: Mask) -> Mask:
    return ~mask


@primitive("and", (MASK, MASK), MASK, commutative=True)
def conjunction(a: Mask, b: Mask) -> Mask:
    if a.shape != b.shape:
        raise Invalid
    return a & b


@primitive("or", (MASK, MASK), MASK, commutative=True)
def disjunction(a: Mask, b: Mask) -> Mask:
    if a.shape != b.shape:
        raise Invalid
    return a | b


@primitive("paint", (GRID, MASK, COLOUR), GRID, paints=True)
def paint(grid: Grid, mask: Mask, colour: int) -> Grid:
    """Every cell of the mask takes that colour."""
    if grid.shape != mask.shape:
        raise Invalid
    return np.where(mask, np.uint8(colour), grid)


@primitive("only", (GRID, MASK), GRID)
def only(grid: Grid, mask: Mask) -> Grid:
    """Cells off the mask become 0."""
    if grid.shape != mask.shape:
        raise Invalid
    return np.where(mask, grid, np.uint8(0))


@primitive("cut", (GRID, MASK), GRID)
def cut(grid: Grid, mask: Mask) -> Grid:
    """The smallest rectangle of the grid that holds the mask."""
    if grid.shape != mask.shape:
        raise Invalid
    rows = np.flatnonzero(mask.any(1))
    if rows.size == 0:
        raise Invalid
    columns = np.flatnonzero(mask.any(0))
    return grid[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@primitive("as_grid", (MASK,), GRID)
def as_grid(mask: Mask) -> Grid:
    """1 on the mask, 0 elsewhere; a finisher finds the colours."""
    return mask.view(np.uint8)
