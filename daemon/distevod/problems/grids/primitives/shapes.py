"""What encloses, what surrounds, what is inside, what is noise."""

from __future__ import annotations

import numpy as np

from distevod.problems.grids import bitboard
from distevod.problems.grids.primitive import primitive
from distevod.problems.grids.primitives.colours import least, most
from distevod.problems.grids.primitives.masks import around, grown, holes, inner
from distevod.problems.grids.values import COLOURS, Grid, Type

GRID, COLOUR = Type.GRID, Type.COLOUR


@primitive("fill_holes", (GRID, COLOUR), GRID, paints=True)
def fill_holes(grid: Grid, colour: int) -> Grid:
    return np.where(holes(grid), np.uint8(colour), grid)


@primitive("outline", (GRID, COLOUR), GRID, paints=True)
def outline(grid: Grid, colour: int) -> Grid:
    """Cells of colour 0 around what is not 0 take that colour."""
    return np.where(around(grid), np.uint8(colour), grid)


@primitive("hollow", (GRID,), GRID, function=True)
def hollow(grid: Grid) -> Grid:
    """Cells surrounded by their own colour become 0."""
    return np.where(inner(grid), np.uint8(0), grid)


@primitive("interior", (GRID,), GRID)
def interior(grid: Grid) -> Grid:
    """Only cells surrounded by their own colour are kept."""
    return np.where(inner(grid), grid, np.uint8(0))


@primitive("box_fill", (GRID, COLOUR), GRID, paints=True)
def box_fill(grid: Grid, colour: int) -> Grid:
    """Cells of colour 0 in the bounding rectangle of each object (eight neighbours, colours join)."""
    rows, columns = grid.shape
    result = grid.copy()
    for part in bitboard.objects(grid, True, False):
        mask = bitboard.to_mask(part, rows, columns)
        down, right = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        result[down[0] : down[-1] + 1, right[0] : right[-1] + 1] = colour
    return np.where(grid != 0, grid, result)


@primitive("hull_fill", (GRID, COLOUR), GRID, paints=True)
def hull_fill(grid: Grid, colour: int) -> Grid:
    """Cells of colour 0 in the bounding rectangle of all that is not 0."""
    down, right = np.flatnonzero(grid.any(1)), np.flatnonzero(grid.any(0))
    if down.size == 0:
        return grid
    result = grid.copy()
    result[down[0] : down[-1] + 1, right[0] : right[-1] + 1] = colour
    return np.where(grid != 0, grid, result)


@primitive("denoise", (GRID,), GRID, function=True)
def denoise(grid: Grid) -> Grid:
    """Cells with none of their eight neighbours of their own colour become 0."""
    framed = np.full((grid.shape[0] + 2, grid.shape[1] + 2), COLOURS, np.uint8)
    framed[1:-1, 1:-1] = grid
    rows, columns = grid.shape
    kin = np.zeros(grid.shape, np.bool_)
    for down in range(3):
        for right in range(3):
            if down != 1 or right != 1:
                kin |= framed[down : down + rows, right : right + columns] == grid
    return np.where(kin, grid, np.uint8(0))


@primitive("erode", (GRID,), GRID)
def erode(grid: Grid) -> Grid:
    """Cells with a cell of colour 0 among their eight neighbours become 0."""
    return np.where(grown(grid == 0), np.uint8(0), grid)


@primitive("smooth", (GRID,), GRID)
def smooth(grid: Grid) -> Grid:
    """Each cell takes the commonest colour of its three by three neighbourhood; of equals its own, then the lowest."""
    rows, columns = grid.shape
    votes = np.zeros((COLOURS, rows, columns), np.uint8)
    framed = np.full((rows + 2, columns + 2), COLOURS, np.uint8)
    framed[1:-1, 1:-1] = grid
    for colour in sorted(set(grid.tobytes())):
        here = (framed == colour).view(np.uint8)
        across = here[:, :-2] + here[:, 1:-1] + here[:, 2:]
        votes[colour] = 2 * (across[:-2] + across[1:-1] + across[2:])
        votes[colour] += here[1:-1, 1:-1]
    winners: Grid = votes.argmax(0).astype(np.uint8)
    return winners


@primitive("fill_enclosed", (GRID,), GRID)
def fill_enclosed(grid: Grid) -> Grid:
    """Each hole takes the colour of the cell to the left of its first cell."""
    rows, columns = grid.shape
    result = grid.copy()
    board = bitboard.to_bits(holes(grid))
    for part in bitboard.components(board, columns + 1, False):
        first = (part & -part).bit_length() - 1
        row, column = divmod(first, columns + 1)
        np.copyto(result, grid[row, column - 1], where=bitboard.to_mask(part, rows, columns))
    return result


@primitive("connected_to_edge", (GRID,), GRID)
def connected_to_edge(grid: Grid) -> Grid:
    """Only objects (four neighbours, one colour) that touch the border are kept."""
    rows, columns = grid.shape
    result = np.zeros_like(grid)
    for part in bitboard.objects(grid, False, True):
        mask = bitboard.to_mask(part, rows, columns)
        if mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any():
            np.copyto(result, grid, where=mask)
    return result


@primitive("in_major", (GRID,), GRID, function=True)
def in_major(grid: Grid) -> Grid:
    """Every cell that is not 0 takes the commonest colour other than 0."""
    return np.where(grid != 0, np.uint8(most(grid)), np.uint8(0))


@primitive("in_minor", (GRID,), GRID, function=True)
def in_minor(grid: Grid) -> Grid:
    """Every cell that is not 0 takes the rarest colour other than 0."""
    return np.where(grid != 0, np.uint8(least(grid)), np.uint8(0))


@primitive("full_major", (GRID,), GRID, function=True)
def full_major(grid: Grid) -> Grid:
    """Every cell that is 0 takes the commonest colour other than 0."""
    return np.where(grid != 0, grid, np.uint8(most(grid)))


@primitive("full_minor", (GRID,), GRID, function=True)
def full_minor(grid: Grid) -> Grid:
    """Every cell that is 0 takes the rarest colour other than 0."""
    return np.where(grid != 0, grid, np.uint8(least(grid)))
