"""Colours chosen by how often they occur, and grids recoloured."""

from __future__ import annotations

import numpy as np

from distevod.problems.grids.primitive import primitive, symbol
from distevod.problems.grids.values import COLOURS, Grid, Invalid, Type

GRID, COLOUR, INTEGER = Type.GRID, Type.COLOUR, Type.INTEGER


def counts(grid: Grid) -> list[int]:
    """How often each of the ten colours occurs."""
    found: list[int] = np.bincount(grid.ravel(), minlength=COLOURS).tolist()
    return found


@symbol("most", COLOUR)
@primitive("top_color", (GRID,), COLOUR)
def most(grid: Grid) -> int:
    """The commonest colour other than 0; of equals the lowest."""
    found = counts(grid)
    found[0] = 0
    best = max(found)
    if best == 0:
        raise Invalid
    return found.index(best)


@symbol("least", COLOUR)
@primitive("rare_color", (GRID,), COLOUR)
def least(grid: Grid) -> int:
    """The rarest colour that occurs, other than 0; of equals the lowest."""
    found = counts(grid)
    found[0] = 0
    present = [n for n in found if n]
    if not present:
        raise Invalid
    return found.index(min(present))


@symbol("back", COLOUR)
def background(grid: Grid) -> int:
    """The commonest colour, 0 included; of equals the lowest."""
    found = counts(grid)
    return found.index(max(found))


@primitive("keep", (GRID, COLOUR), GRID, idempotent=True)
def keep(grid: Grid, colour: int) -> Grid:
    """Only that colour; the rest becomes 0."""
    return np.where(grid == colour, grid, np.uint8(0))


@primitive("drop", (GRID, COLOUR), GRID, idempotent=True)
def drop(grid: Grid, colour: int) -> Grid:
    """That colour becomes 0."""
    return np.where(grid == colour, np.uint8(0), grid)


@primitive("recolor", (GRID, COLOUR), GRID, paints=True)
def recolor(grid: Grid, colour: int) -> Grid:
    """Every cell that is not 0 takes that colour."""
    return np.where(grid != 0, np.uint8(colour), np.uint8(0))


@primitive("fill_back", (GRID, COLOUR), GRID, paints=True)
def fill_back(grid: Grid, colour: int) -> Grid:
    """Every cell that is 0 takes that colour."""
    return np.where(grid == 0, np.uint8(colour), grid)


@primitive("swap_back", (GRID, COLOUR), GRID, paints=True)
def swap_back(grid: Grid, colour: int) -> Grid:
    """0 becomes that colour, all else 0."""
    return np.where(grid == 0, np.uint8(colour), np.uint8(0))


@primitive("replace", (GRID, COLOUR, COLOUR), GRID, idempotent=True)
def replace(grid: Grid, old: int, new: int) -> Grid:
    return np.where(grid == old, np.uint8(new), grid)


@primitive("swap2", (GRID,), GRID, involution=True)
def swap2(grid: Grid) -> Grid:
    """The two colours that occur, besides 0, change places."""
    present = [c for c, n in enumerate(counts(grid)) if n and c]
    if len(present) != 2:
        raise Invalid
    table = np.arange(COLOURS, dtype=np.uint8)
    table[present] = present[::-1]
    return table[grid]


@primitive("keep_least", (GRID,), GRID, idempotent=True)
def keep_least(grid: Grid) -> Grid:
    return keep(grid, least(grid))


@primitive("keep_most", (GRID,), GRID, idempotent=True)
def keep_most(grid: Grid) -> Grid:
    return keep(grid, most(grid))


@primitive("drop_back", (GRID,), GRID)
def drop_back(grid: Grid) -> Grid:
    """The commonest colour, whichever it is, becomes 0."""
    return drop(grid, background(grid))


@primitive("rank_color", (GRID,), GRID)
def rank_color(grid: Grid) -> Grid:
    """Each cell tells the rank of its colour among those that occur, 1 the commonest; 0 stays 0."""
    found = counts(grid)
    order = sorted((c for c in range(1, COLOURS) if found[c]), key=lambda c: (-found[c], c))
    table = np.zeros(COLOURS, np.uint8)
    for rank, colour in enumerate(order, 1):
        table[colour] = rank
    return table[grid]


@primitive("hist", (GRID,), GRID)
def hist(grid: Grid) -> Grid:
    """One row a colour that occurs, 0 left out, commonest first, as long as the colour is frequent."""
    found = counts(grid)
    order = sorted((c for c in range(1, COLOURS) if found[c]), key=lambda c: (-found[c], c))
    if not order or found[order[0]] > 30:
        raise Invalid
    bars = np.zeros((len(order), found[order[0]]), np.uint8)
    for row, colour in enumerate(order):
        bars[row, : found[colour]] = colour
    return bars


@primitive("palette", (GRID,), GRID)
def palette(grid: Grid) -> Grid:
    """One column of the colours that occur, 0 left out, commonest first."""
    found = counts(grid)
    order = sorted((c for c in range(1, COLOURS) if found[c]), key=lambda c: (-found[c], c))
    if not order:
        raise Invalid
    return np.array(order, np.uint8)[:, None]


@primitive("solid", (GRID,), GRID)
def solid(grid: Grid) -> Grid:
    """A grid of the same shape, all of the commonest colour other than 0."""
    return np.full(grid.shape, most(grid), np.uint8)


@primitive("dot", (COLOUR,), GRID)
def dot(colour: int) -> Grid:
    """A grid of the single cell of that colour."""
    return np.full((1, 1), colour, np.uint8)


@primitive("canvas", (GRID, COLOUR), GRID, paints=True)
def canvas(grid: Grid, colour: int) -> Grid:
    """A grid of the same shape, all of one colour."""
    return np.full(grid.shape, colour, np.uint8)


@primitive("bar", (COLOUR, INTEGER), GRID)
def bar(colour: int, length: int) -> Grid:
    """One row of `length` cells of that colour."""
    if length < 1:
        raise Invalid
    return np.full((1, length), colour, np.uint8)
