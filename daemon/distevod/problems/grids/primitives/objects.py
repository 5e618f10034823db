"""Grids cut into objects: connected parts, colours, cells between lines, halves."""

from __future__ import annotations

import numpy as np

from distevod.problems.grids import bitboard
from distevod.problems.grids.primitive import primitive
from distevod.problems.grids.values import COLOURS, MAX_PIECES, Grid, Invalid, Pieces, Type

GRID, PIECES, COLOUR = Type.GRID, Type.PIECES, Type.COLOUR


def cut_boards(grid: Grid, boards: list[int], whole: bool = False) -> Pieces:
    """The objects that bit boards mark, each in its bounding rectangle.

    Cells that are not of the object are 0, or with `whole` whatever the grid has there.
    """
    if not 1 <= len(boards) <= MAX_PIECES:
        raise Invalid
    rows, columns = grid.shape
    grids, places = [], []
    for board in boards:
        mask = bitboard.to_mask(board, rows, columns)
        down, right = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        top, left = int(down[0]), int(right[0])
        box = (slice(top, int(down[-1]) + 1), slice(left, int(right[-1]) + 1))
        grids.append(grid[box] if whole else np.where(mask[box], grid[box], np.uint8(0)))
        places.append((top, left))
    return Pieces(tuple(grids), tuple(places), (rows, columns))


@primitive("objs8", (GRID,), PIECES)
def objs8(grid: Grid) -> Pieces:
    """Parts of one colour, joined by eight neighbours."""
    return cut_boards(grid, bitboard.objects(grid, True, True))


@primitive("objs4", (GRID,), PIECES)
def objs4(grid: Grid) -> Pieces:
    """Parts of one colour, joined by four neighbours."""
    return cut_boards(grid, bitboard.objects(grid, False, True))


@primitive("objs_multi", (GRID,), PIECES)
def objs_multi(grid: Grid) -> Pieces:
    """Parts of any colours, joined by eight neighbours."""
    return cut_boards(grid, bitboard.objects(grid, True, False))


@primitive("objs_multi4", (GRID,), PIECES)
def objs_multi4(grid: Grid) -> Pieces:
    """Parts of any colours, joined by four neighbours."""
    return cut_boards(grid, bitboard.objects(grid, False, False))


@primitive("boxes8", (GRID,), PIECES)
def boxes8(grid: Grid) -> Pieces:
    """What lies in the bounding rectangles of the parts of one colour, other colours included."""
    return cut_boards(grid, bitboard.objects(grid, True, True), whole=True)


@primitive("split_colors", (GRID,), PIECES)
def split_colours(grid: Grid) -> Pieces:
    """One object a colour, 0 left out, in order of the colours."""
    boards = [bitboard.to_bits(grid == c) for c in range(1, COLOURS)]
    return cut_boards(grid, [board for board in boards if board])


@primitive("boxes_color", (GRID,), PIECES)
def boxes_colour(grid: Grid) -> Pieces:
    """What lies in the bounding rectangle of each colour, 0 left out, in order of the colours."""
    boards = [bitboard.to_bits(grid == c) for c in range(1, COLOURS)]
    return cut_boards(grid, [board for board in boards if board], whole=True)


@primitive("solids", (GRID,), PIECES)
def solids(grid: Grid) -> Pieces:
    """What lies in the bounding rectangles of the parts of one colour, 0 a colour too, joined by four neighbours."""
    boards: list[int] = []
    for colour in range(COLOURS):
        mask = grid == colour
        if mask.any():
            boards += bitboard.components(bitboard.to_bits(mask), grid.shape[1] + 1, False)
    boards.sort(key=lambda board: board & -board)
    return cut_boards(grid, boards, whole=True)


def _spans(cut: list[bool]) -> list[tuple[int, int]]:
    """Start and end of each run that is not cut."""
    spans, start = [], None
    for i, here in enumerate([*cut, True]):
        if here and start is not None:
            spans.append((start, i))
            start = None
        elif not here and start is None:
            start = i
    return spans


def _cells(grid: Grid, rows: list[tuple[int, int]], columns: list[tuple[int, int]]) -> Pieces:
    if not 2 <= len(rows) * len(columns) <= MAX_PIECES:
        raise Invalid
    boxes = [(r, c) for r in rows for c in columns]
    grids = tuple(grid[r[0] : r[1], c[0] : c[1]] for r, c in boxes)
    return Pieces(grids, tuple((r[0], c[0]) for r, c in boxes), (grid.shape[0], grid.shape[1]))


@primitive("cell_split", (GRID,), PIECES)
def cell_split(grid: Grid) -> Pieces:
    """The cells between lines that run from border to border in one colour, the same for all lines."""
    line_rows = (grid == grid[:, :1]).all(1)
    line_columns = (grid == grid[:1]).all(0)
    candidates = set(grid[line_rows, 0].tolist()) | set(grid[0, line_columns].tolist())
    best: Pieces | None = None
    for colour in sorted(candidates - {0}) + sorted(candidates & {0}):
        across = _spans((line_rows & (grid[:, 0] == colour)).tolist())
        along = _spans((line_columns & (grid[0] == colour)).tolist())
        if 2 <= len(across) * len(along) <= MAX_PIECES:
            best = _cells(grid, across, along)
            break
    if best is None:
        raise Invalid
    return best


def _parts(grid: Grid, down: int, right: int) -> Pieces:
    """Equal parts; one line between two parts is left out where the count of lines says so."""
    sides = []
    for length, count in ((grid.shape[0], down), (grid.shape[1], right)):
        if length % count == 0:
            size, gap = length // count, 0
        elif (length - count + 1) % count == 0 and length > count:
            size, gap = (length - count + 1) // count, 1
        else:
            raise Invalid
        sides.append([(i * (size + gap), i * (size + gap) + size) for i in range(count)])
    return _cells(grid, sides[0], sides[1])


@primitive("halves_h", (GRID,), PIECES)
def halves_h(grid: Grid) -> Pieces:
    """Left and right half; of an odd number of columns the middle one is left out."""
    return _parts(grid, 1, 2)


@primitive("halves_v", (GRID,), PIECES)
def halves_v(grid: Grid) -> Pieces:
    return _parts(grid, 2, 1)


@primitive("quarters", (GRID,), PIECES)
def quarters(grid: Grid) -> Pieces:
    return _parts(grid, 2, 2)


@primitive("thirds_h", (GRID,), PIECES)
def thirds_h(grid: Grid) -> Pieces:
    return _parts(grid, 1, 3)


@primitive("thirds_v", (GRID,), PIECES)
def thirds_v(grid: Grid) -> Pieces:
    return _parts(grid, 3, 1)


@primitive("squares", (GRID,), PIECES)
def squares(grid: Grid) -> Pieces:
    """A grid as long as a whole number of squares, cut into them."""
    rows, columns = grid.shape
    if rows < columns and columns % rows == 0:
        return _parts(grid, 1, columns // rows)
    if columns < rows and rows % columns == 0:
        return _parts(grid, rows // columns, 1)
    raise Invalid


@primitive("rows", (GRID,), PIECES)
def as_rows(grid: Grid) -> Pieces:
    return _cells(grid, [(r, r + 1) for r in range(grid.shape[0])], [(0, grid.shape[1])])


@primitive("columns", (GRID,), PIECES)
def as_columns(grid: Grid) -> Pieces:
    return _cells(grid, [(0, grid.shape[0])], [(c, c + 1) for c in range(grid.shape[1])])
