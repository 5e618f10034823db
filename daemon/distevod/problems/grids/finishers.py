"""Finishers: the outermost node of a program that is fitted to the training pairs.

`dye(a)` maps each colour of `a` to the colour that most often stands at its place in the training outputs;
`dye2(a,b)` and `dye3(a,b,c)` map each combination of cells of grids laid over each other, and `local(a)` each
three by three neighbourhood. The table follows from the program and the training pairs alone, so it is not part of
the text. A colour that `dye` never met in training stays as it is; a combination never met makes the program
invalid, for a table without an entry is no answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from distevod.problems.grids.primitive import Primitive
from distevod.problems.grids.values import COLOURS, Grid, Invalid, Type

Codes = NDArray[np.int64]


def _fitted(codes: list[Codes], targets: Sequence[Grid], size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """For each code below `size` the commonest target colour (of equals the lowest), and whether it was met."""
    for code, target in zip(codes, targets, strict=False):
        if code.shape != target.shape:
            raise Invalid
    both = [code.ravel() * COLOURS + target.ravel() for code, target in zip(codes, targets, strict=False)]
    votes = np.bincount(np.concatenate(both), minlength=size * COLOURS).reshape(size, COLOURS)
    return votes.argmax(1).astype(np.uint8), votes.any(1)


def dye(targets: Sequence[Grid], grids: Sequence[Grid]) -> list[Grid]:
    """Colour by colour."""
    table, met = _fitted([g.astype(np.int64) for g in grids], targets, COLOURS)
    table = np.where(met, table, np.arange(COLOURS, dtype=np.uint8))
    return [table[g] for g in grids]


def dye_together(targets: Sequence[Grid], *columns: Sequence[Grid]) -> list[Grid]:
    """Combination by combination; `columns` are two or three lists of grids of the same shapes."""
    codes = []
    for layers in zip(*columns, strict=True):
        code = np.zeros(layers[0].shape, np.int64)
        for layer in layers:
            if layer.shape != code.shape:
                raise Invalid
            code = code * COLOURS + layer
        codes.append(code)
    table, met = _fitted(codes, targets, COLOURS ** len(columns))
    for code in codes:
        if not met[code].all():
            raise Invalid
    return [table[code] for code in codes]


def local(targets: Sequence[Grid], grids: Sequence[Grid]) -> list[Grid]:
    """Neighbourhood by neighbourhood; off the grid counts as a colour of its own."""
    codes = []
    for grid in grids:
        rows, columns = grid.shape
        framed = np.full((rows + 2, columns + 2), COLOURS, np.int64)
        framed[1:-1, 1:-1] = grid
        code = np.zeros(grid.shape, np.int64)
        for down in range(3):
            for right in range(3):
                code = code * (COLOURS + 1) + framed[down : down + rows, right : right + columns]
        codes.append(code)
    known = np.unique(np.concatenate([c.ravel() for c in codes]))
    small = [np.searchsorted(known, c) for c in codes]
    table, met = _fitted(small, targets, known.size)
    for code in small:
        if not met[code].all():
            raise Invalid
    return [table[code] for code in small]


FINISHERS: dict[str, Primitive] = {
    p.name: p
    for p in (
        Primitive("dye", (Type.GRID,), Type.ANSWER, dye),
        Primitive("dye2", (Type.GRID, Type.GRID), Type.ANSWER, dye_together, commutative=True),
        Primitive("dye3", (Type.GRID, Type.GRID, Type.GRID), Type.ANSWER, dye_together, commutative=True),
        Primitive("local", (Type.GRID,), Type.ANSWER, local),
    )
}
"""By name. Their `apply` takes the training outputs and then, for each argument, its grids on all inputs (the
training inputs first), and gives a grid for each input."""
