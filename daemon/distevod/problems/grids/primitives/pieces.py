"""Pieces chosen, changed, and put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from distevod.problems.grids.primitive import primitive
from distevod.problems.grids.values import MAX_SIDE, Grid, Invalid, Pieces, Type, within

GRID, PIECES, MEASURE, FUNCTION, COLOUR = Type.GRID, Type.PIECES, Type.MEASURE, Type.FUNCTION, Type.COLOUR
Measure: TypeAlias = Callable[[Grid], int]


@primitive("argmax", (MEASURE, PIECES), GRID)
def argmax(measure: Measure, pieces: Pieces) -> Grid:
    """The first of those with the highest measure."""
    return max(pieces.grids, key=measure)


@primitive("argmin", (MEASURE, PIECES), GRID)
def argmin(measure: Measure, pieces: Pieces) -> Grid:
    return min(pieces.grids, key=measure)


@primitive("first", (PIECES,), GRID)
def first(pieces: Pieces) -> Grid:
    return pieces.grids[0]


@primitive("last", (PIECES,), GRID)
def last(pieces: Pieces) -> Grid:
    return pieces.grids[-1]


def _look(grid: Grid) -> bytes:
    return bytes(grid.shape) + grid.tobytes()


def _shape_look(grid: Grid) -> bytes:
    return bytes(grid.shape) + grid.astype(np.bool_).tobytes()


def _how_often(looks: list[bytes]) -> list[int]:
    return [looks.count(look) for look in looks]


@primitive("common", (PIECES,), GRID)
def common(pieces: Pieces) -> Grid:
    """The one that occurs most often."""
    often = _how_often([_look(g) for g in pieces.grids])
    return pieces.grids[often.index(max(often))]


@primitive("odd_one", (PIECES,), GRID)
def odd_one(pieces: Pieces) -> Grid:
    """The one that occurs most seldom."""
    often = _how_often([_look(g) for g in pieces.grids])
    return pieces.grids[often.index(min(often))]


@primitive("odd_shape", (PIECES,), GRID)
def odd_shape(pieces: Pieces) -> Grid:
    """The one whose shape, colours left out, occurs most seldom."""
    often = _how_often([_shape_look(g) for g in pieces.grids])
    return pieces.grids[often.index(min(often))]


@primitive("odd_color", (PIECES,), GRID)
def odd_colour(pieces: Pieces) -> Grid:
    """The one whose set of colours occurs most seldom."""
    often = _how_often([np.unique(g).tobytes() for g in pieces.grids])
    return pieces.grids[often.index(min(often))]


def _selected(pieces: Pieces, chosen: list[bool]) -> Pieces:
    if not any(chosen):
        raise Invalid
    grids = tuple(g for g, c in zip(pieces.grids, chosen, strict=True) if c)
    places = tuple(p for p, c in zip(pieces.places, chosen, strict=True) if c)
    return Pieces(grids, places, pieces.canvas)


@primitive("where_max", (MEASURE, PIECES), PIECES)
def where_max(measure: Measure, pieces: Pieces) -> Pieces:
    """Those with the highest measure."""
    values = [measure(g) for g in pieces.grids]
    best = max(values)
    return _selected(pieces, [v == best for v in values])


@primitive("where_min", (MEASURE, PIECES), PIECES)
def where_min(measure: Measure, pieces: Pieces) -> Pieces:
    values = [measure(g) for g in pieces.grids]
    best = min(values)
    return _selected(pieces, [v == best for v in values])


@primitive("unless_max", (MEASURE, PIECES), PIECES)
def unless_max(measure: Measure, pieces: Pieces) -> Pieces:
    """All but those with the highest measure."""
    values = [measure(g) for g in pieces.grids]
    best = max(values)
    return _selected(pieces, [v != best for v in values])


@primitive("unless_min", (MEASURE, PIECES), PIECES)
def unless_min(measure: Measure, pieces: Pieces) -> Pieces:
    values = [measure(g) for g in pieces.grids]
    best = min(values)
    return _selected(pieces, [v != best for v in values])


@primitive("at_edge", (PIECES,), PIECES)
def at_edge(pieces: Pieces) -> Pieces:
    """Those that touch the border of the canvas."""
    return _selected(pieces, _touching(pieces))


@primitive("off_edge", (PIECES,), PIECES)
def off_edge(pieces: Pieces) -> Pieces:
    """Those that do not touch the border of the canvas."""
    return _selected(pieces, [not t for t in _touching(pieces)])


def _touching(pieces: Pieces) -> list[bool]:
    rows, columns = pieces.canvas
    return [
        top == 0 or left == 0 or top + grid.shape[0] >= rows or left + grid.shape[1] >= columns
        for grid, (top, left) in zip(pieces.grids, pieces.places, strict=True)
    ]


@primitive("map", (FUNCTION, PIECES), PIECES)
def map_pieces(function: Callable[[Grid], Grid], pieces: Pieces) -> Pieces:
    """The function done to each; a piece keeps the place of its first cell."""
    grids = tuple(function(g) for g in pieces.grids)
    for grid in grids:
        within(*grid.shape)
    return Pieces(grids, pieces.places, pieces.canvas)


@primitive("sort", (MEASURE, PIECES), PIECES)
def sort(measure: Measure, pieces: Pieces) -> Pieces:
    """In order of the measure, lowest first; equals stay in order."""
    order = sorted(range(len(pieces.grids)), key=lambda i: measure(pieces.grids[i]))
    return Pieces(tuple(pieces.grids[i] for i in order), tuple(pieces.places[i] for i in order), pieces.canvas)


def _one_shape(pieces: Pieces) -> None:
    shape = pieces.grids[0].shape
    if any(g.shape != shape for g in pieces.grids):
        raise Invalid


@primitive("over_all", (PIECES,), GRID)
def over_all(pieces: Pieces) -> Grid:
    """All laid over each other, the first on top; they must have one shape."""
    _one_shape(pieces)
    result = pieces.grids[-1]
    for grid in pieces.grids[-2::-1]:
        result = np.where(grid != 0, grid, result)
    return result


@primitive("under_all", (PIECES,), GRID)
def under_all(pieces: Pieces) -> Grid:
    """All laid over each other, the last on top."""
    _one_shape(pieces)
    result = pieces.grids[0]
    for grid in pieces.grids[1:]:
        result = np.where(grid != 0, grid, result)
    return result


@primitive("and_all", (PIECES,), GRID)
def and_all(pieces: Pieces) -> Grid:
    """The first where none of them is 0."""
    _one_shape(pieces)
    result = pieces.grids[0]
    for grid in pieces.grids[1:]:
        result = np.where(grid != 0, result, np.uint8(0))
    return result


@primitive("xor_all", (PIECES,), GRID)
def xor_all(pieces: Pieces) -> Grid:
    """What only one of them has."""
    _one_shape(pieces)
    stack = np.stack(pieces.grids)
    return np.where(np.count_nonzero(stack, 0) == 1, stack.max(0), np.uint8(0))


@primitive("count_all", (PIECES,), GRID)
def count_all(pieces: Pieces) -> Grid:
    """How many of them are not 0, cell by cell, at most 9."""
    _one_shape(pieces)
    found: Grid = np.minimum(np.count_nonzero(np.stack(pieces.grids), 0), 9).astype(np.uint8)
    return found


@primitive("which_all", (PIECES,), GRID)
def which_all(pieces: Pieces) -> Grid:
    """Which of the first three are not 0, cell by cell: 1 for the first, 2 for the second, 4 for the third, summed."""
    _one_shape(pieces)
    if not 2 <= len(pieces.grids) <= 3:
        raise Invalid
    result = np.zeros(pieces.grids[0].shape, np.uint8)
    for i, grid in enumerate(pieces.grids):
        result += (grid != 0).view(np.uint8) << np.uint8(i)
    return result


@primitive("hcat_all", (PIECES,), GRID)
def hcat_all(pieces: Pieces) -> Grid:
    """Side by side, in order."""
    rows = pieces.grids[0].shape[0]
    columns = 0
    for grid in pieces.grids:
        columns += grid.shape[1]
        if grid.shape[0] != rows or columns > MAX_SIDE:
            raise Invalid
    return np.concatenate(pieces.grids, 1)


@primitive("vcat_all", (PIECES,), GRID)
def vcat_all(pieces: Pieces) -> Grid:
    """One below the other, in order."""
    columns = pieces.grids[0].shape[1]
    rows = 0
    for grid in pieces.grids:
        rows += grid.shape[0]
        if grid.shape[1] != columns or rows > MAX_SIDE:
            raise Invalid
    return np.concatenate(pieces.grids, 0)


@primitive("arrange", (FUNCTION, PIECES), GRID)
def arrange(function: Callable[[Grid], Grid], pieces: Pieces) -> Grid:
    """The function must make each piece a single cell; the cells in the rows and columns of their places."""
    cells = [function(g) for g in pieces.grids]
    if any(c.shape != (1, 1) for c in cells):
        raise Invalid
    return _laid_out(pieces, [int(c[0, 0]) for c in cells])


@primitive("chart", (MEASURE, PIECES), GRID)
def chart(measure: Measure, pieces: Pieces) -> Grid:
    """One cell a piece, its measure (at most 9), in the rows and columns of their places."""
    return _laid_out(pieces, [min(measure(g), 9) for g in pieces.grids])


def _laid_out(pieces: Pieces, values: list[int]) -> Grid:
    rows = sorted({r for r, _ in pieces.places})
    columns = sorted({c for _, c in pieces.places})
    result = np.zeros(within(len(rows), len(columns)), np.uint8)
    for value, (row, column) in zip(values, pieces.places, strict=True):
        result[rows.index(row), columns.index(column)] = value
    return result


@primitive("compose", (PIECES,), GRID)
def compose(pieces: Pieces) -> Grid:
    """Every piece at its place on an empty canvas; 0 is see-through, what leaves the canvas is lost."""
    result = np.zeros(pieces.canvas, np.uint8)
    for grid, (row, column) in zip(pieces.grids, pieces.places, strict=True):
        window = result[row : row + grid.shape[0], column : column + grid.shape[1]]
        grid = grid[: window.shape[0], : window.shape[1]]
        np.copyto(window, grid, where=grid != 0)
    return result


def _stamped(pieces: Pieces, values: list[int]) -> Grid:
    result = np.zeros(pieces.canvas, np.uint8)
    for value, grid, (row, column) in zip(values, pieces.grids, pieces.places, strict=True):
        window = result[row : row + grid.shape[0], column : column + grid.shape[1]]
        grid = grid[: window.shape[0], : window.shape[1]]
        window[grid != 0] = value
    return result


@primitive("stamp", (MEASURE, PIECES), GRID)
def stamp(measure: Measure, pieces: Pieces) -> Grid:
    """Every piece at its place, its cells telling its measure, at most 9; a finisher finds the colours."""
    return _stamped(pieces, [min(measure(g), 9) for g in pieces.grids])


@primitive("rank", (MEASURE, PIECES), GRID)
def rank(measure: Measure, pieces: Pieces) -> Grid:
    """Every piece at its place, its cells telling its rank by the measure, 1 for the highest, at most 9."""
    values = [measure(g) for g in pieces.grids]
    ladder = sorted(set(values), reverse=True)
    return _stamped(pieces, [min(ladder.index(v) + 1, 9) for v in values])


@primitive("rank_up", (MEASURE, PIECES), GRID)
def rank_up(measure: Measure, pieces: Pieces) -> Grid:
    """As `rank`, 1 for the lowest."""
    values = [measure(g) for g in pieces.grids]
    ladder = sorted(set(values))
    return _stamped(pieces, [min(ladder.index(v) + 1, 9) for v in values])


@primitive("often", (PIECES,), GRID)
def often(pieces: Pieces) -> Grid:
    """Every piece at its place, its cells telling how many pieces have its shape, colours left out, at most 9."""
    return _stamped(pieces, [min(n, 9) for n in _how_often([_shape_look(g) for g in pieces.grids])])


def _boxed(pieces: Pieces, values: list[int]) -> Grid:
    result = np.zeros(pieces.canvas, np.uint8)
    for value, grid, (row, column) in zip(values, pieces.grids, pieces.places, strict=True):
        result[row : row + grid.shape[0], column : column + grid.shape[1]] = value
    return result


@primitive("stamp_box", (MEASURE, PIECES), GRID)
def stamp_box(measure: Measure, pieces: Pieces) -> Grid:
    """As `stamp`, the whole rectangle of each piece."""
    return _boxed(pieces, [min(measure(g), 9) for g in pieces.grids])


@primitive("rank_box", (MEASURE, PIECES), GRID)
def rank_box(measure: Measure, pieces: Pieces) -> Grid:
    """As `rank`, the whole rectangle of each piece."""
    values = [measure(g) for g in pieces.grids]
    ladder = sorted(set(values), reverse=True)
    return _boxed(pieces, [min(ladder.index(v) + 1, 9) for v in values])


@primitive("reading", (PIECES,), GRID)
def reading(pieces: Pieces) -> Grid:
    """Every piece at its place, its cells telling which it is in reading order, from 1, at most 9."""
    return _stamped(pieces, [min(i, 9) for i in range(1, len(pieces.grids) + 1)])


@primitive("leftmost", (PIECES,), GRID)
def leftmost(pieces: Pieces) -> Grid:
    """The piece that begins furthest to the left."""
    return pieces.grids[min(range(len(pieces.grids)), key=lambda i: pieces.places[i][1])]


@primitive("rightmost", (PIECES,), GRID)
def rightmost(pieces: Pieces) -> Grid:
    """The piece that ends furthest to the right."""
    ends = [place[1] + grid.shape[1] for grid, place in zip(pieces.grids, pieces.places, strict=True)]
    return pieces.grids[ends.index(max(ends))]


@primitive("lowest", (PIECES,), GRID)
def lowest(pieces: Pieces) -> Grid:
    """The piece that ends furthest down."""
    ends = [place[0] + grid.shape[0] for grid, place in zip(pieces.grids, pieces.places, strict=True)]
    return pieces.grids[ends.index(max(ends))]


@primitive("by_column", (PIECES,), PIECES)
def by_column(pieces: Pieces) -> Pieces:
    """In order of their first column, then their first row."""
    order = sorted(range(len(pieces.grids)), key=lambda i: (pieces.places[i][1], pieces.places[i][0]))
    return Pieces(tuple(pieces.grids[i] for i in order), tuple(pieces.places[i] for i in order), pieces.canvas)


@primitive("dots_h", (MEASURE, PIECES), GRID)
def dots_h(measure: Measure, pieces: Pieces) -> Grid:
    """One row with a cell for each piece, in order, telling its measure (at most 9)."""
    return np.array([[min(measure(g), 9) for g in pieces.grids[:MAX_SIDE]]], np.uint8)
