"""Finishers: the outermost node of a program that is fitted to the training pairs.

- `dye(a)` maps each colour of `a` to the colour that most often stands at its place in the training outputs;
- `dye2(a,b)` and `dye3(a,b,c)` map each combination of the cells of grids laid over each other;
- `local(a)` maps each three by three neighbourhood;
- `blend(a,b)` finds for each colour of `a` where the output's cells come from: one colour always, the cell of
  `b`, or the commonest, rarest or background colour of the input.

The table follows from the program and the training pairs alone, so it is not part of the text. A colour or
combination that was never met in training makes the program invalid: a table without an entry is no answer.

A table may be right on the training pairs and say nothing: one that maps each pair's own colour to that pair's
output always is. So a table must be borne out, or the program is invalid (`EVIDENCE`, `CELLS_EACH`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distevod.problems.grids.primitive import Primitive
from distevod.problems.grids.primitives.colours import background, least, most
from distevod.problems.grids.values import COLOURS, Grid, Invalid, Type

Codes = NDArray[np.integer]

EVIDENCE = 0.5
"""Least share of the cells of all training pairs whose colour or combination more than one pair has. Of
programs that fit ARC training tasks, 50 of 60 with more were right on the test pairs too, and one of 5 with less."""
CELLS_EACH = 8
"""Least count of cells of all training outputs for each colour that a blend goes by: it chooses among so many
sources that on fewer cells some are right by chance."""


@dataclass(frozen=True, slots=True)
class Training:
    """What finishers are fitted to: all inputs, the training ones first, and the training outputs."""

    inputs: tuple[Grid, ...]
    targets: tuple[Grid, ...]


def _borne_out(codes: Sequence[Codes], targets: Sequence[Grid], size: int) -> None:
    """Raises `Invalid` unless other pairs bear a table out: see `EVIDENCE`; a single pair has no others."""
    if len(targets) == 1:
        return
    pairs = np.zeros(size, np.int64)
    cells = np.zeros(size, np.int64)
    for code, _ in zip(codes, targets, strict=False):
        here = np.bincount(code.ravel(), minlength=size)
        cells += here
        pairs += here > 0
    if cells[pairs > 1].sum() < EVIDENCE * cells.sum():
        raise Invalid


def _fitted(codes: Sequence[Codes], targets: Sequence[Grid], size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """For each code below `size` the commonest target colour (of equals the lowest), and whether it was met."""
    for code, target in zip(codes, targets, strict=False):
        if code.shape != target.shape:
            raise Invalid
    _borne_out(codes, targets, size)
    both = [code.ravel() * COLOURS + target.ravel() for code, target in zip(codes, targets, strict=False)]
    votes = np.bincount(np.concatenate(both), minlength=size * COLOURS).reshape(size, COLOURS)
    return votes.argmax(1).astype(np.uint8), votes.sum(1) > 0


def dye(training: Training, grids: Sequence[Grid]) -> list[Grid]:
    """Colour by colour."""
    table, met = _fitted([g.astype(np.int64) for g in grids], training.targets, COLOURS)
    for grid in grids:
        if not met[grid].all():
            raise Invalid
    return [table[g] for g in grids]


def dye_together(training: Training, *columns: Sequence[Grid]) -> list[Grid]:
    """Combination by combination; `columns` are two or three lists of grids of the same shapes."""
    codes: list[Codes] = []
    for layers in zip(*columns, strict=True):
        code: Codes = np.zeros(layers[0].shape, np.int64)
        for layer in layers:
            if layer.shape != code.shape:
                raise Invalid
            code = code * COLOURS + layer
        codes.append(code)
    table, met = _fitted(codes, training.targets, COLOURS ** len(columns))
    for code in codes:
        if not met[code].all():
            raise Invalid
    return [table[code] for code in codes]


def neighbourhoods(grids: Sequence[Grid]) -> list[Codes]:
    """For each cell a code of its three by three neighbourhood; off the grid counts as a colour of its own."""
    codes: list[Codes] = []
    for grid in grids:
        rows, columns = grid.shape
        framed = np.full((rows + 2, columns + 2), COLOURS, np.int64)
        framed[1:-1, 1:-1] = grid
        code = np.zeros(grid.shape, np.int64)
        for down in range(3):
            for right in range(3):
                code = code * (COLOURS + 1) + framed[down : down + rows, right : right + columns]
        codes.append(code)
    return codes


def local(training: Training, grids: Sequence[Grid]) -> list[Grid]:
    """Neighbourhood by neighbourhood."""
    codes = neighbourhoods(grids)
    known = np.unique(np.concatenate([c.ravel() for c in codes]))
    small = [np.searchsorted(known, c) for c in codes]
    table, met = _fitted(small, training.targets, known.size)
    for code in small:
        if not met[code].all():
            raise Invalid
    return [table[code] for code in small]


def symbolic_colours(grid: Grid) -> tuple[int, int, int]:
    """The commonest and the rarest colour other than 0 (0 where there is none), and the commonest of all."""
    if not grid.any():
        return 0, 0, 0
    return most(grid), least(grid), background(grid)


def blend(training: Training, keys: Sequence[Grid], shown: Sequence[Grid]) -> list[Grid]:
    """Colour of `keys` by colour: of a constant, `shown` and the symbolic colours the first that is always right.

    Where none is always right, the constant that is right most often is taken.
    """
    votes = np.zeros((COLOURS, COLOURS), np.int64)
    wrong = np.zeros((COLOURS, 4), np.int64)
    symbols = [symbolic_colours(grid) for grid in training.inputs]
    for key, layer in zip(keys, shown, strict=True):
        if key.shape != layer.shape:
            raise Invalid
    for key, layer, target, colours in zip(keys, shown, training.targets, symbols, strict=False):
        if key.shape != target.shape:
            raise Invalid
        np.add.at(votes, (key.ravel(), target.ravel()), 1)
        for n, source in enumerate((layer, *colours)):
            wrong[:, n] += np.bincount(key[source != target], minlength=COLOURS)
    met: NDArray[np.bool_] = votes.sum(1) > 0
    if votes.sum() < CELLS_EACH * np.count_nonzero(met):
        raise Invalid
    _borne_out(keys, training.targets, COLOURS)
    constant = votes.argmax(1)
    unsure = votes.sum(1) > votes.max(1)
    result = []
    for key, layer, colours in zip(keys, shown, symbols, strict=True):
        if not met[key].all():
            raise Invalid
        made = constant.astype(np.uint8)[key]
        for colour in np.flatnonzero(unsure).tolist():
            sources = np.flatnonzero(wrong[colour] == 0)
            if sources.size:
                n = int(sources[0])
                here = key == colour
                made[here] = layer[here] if n == 0 else colours[n - 1]
        result.append(made)
    return result


FINISHERS: dict[str, Primitive] = {
    p.name: p
    for p in (
        Primitive("dye", (Type.GRID,), Type.ANSWER, dye),
        Primitive("dye2", (Type.GRID, Type.GRID), Type.ANSWER, dye_together, commutative=True),
        Primitive("dye3", (Type.GRID, Type.GRID, Type.GRID), Type.ANSWER, dye_together, commutative=True),
        Primitive("blend", (Type.GRID, Type.GRID), Type.ANSWER, blend),
        Primitive("local", (Type.GRID,), Type.ANSWER, local),
    )
}
"""By name. Their `apply` takes the `Training` and then, for each argument, its grids on all inputs (the
training inputs first), and gives a grid for each input."""
