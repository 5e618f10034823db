"""The types and values that programs compute with, and their limits.

A grid is a two-dimensional `numpy.uint8` array of colours 0-9 with 1 to 30 rows and columns; colour 0 is
see-through wherever grids are laid over each other. A mask is a boolean array of the same limits. Pieces are
what cutting a grid gives: small grids that remember where on the canvas they were. Nothing changes a value
after it was made: results may be views of their arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_SIDE = 30
"""Most rows, and most columns, of a grid (ARC's own limit)."""
MAX_PIECES = 40
"""Most grids in one value of type pieces."""
MAX_INTEGER = 30
"""Integers run from 0 to this."""
COLOURS = 10
"""Colours are 0 to 9."""

Grid = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Value = Any
"""One of Grid, Mask, Pieces, int, or a function (grid to grid, grid to int); the expression's type says which."""


class Type(Enum):
    """What an expression computes; the value is the letter that marks it in a behaviour."""

    GRID = "g"
    MASK = "m"
    PIECES = "p"
    COLOUR = "c"
    INTEGER = "i"
    FUNCTION = "f"
    """From grid to grid; only named primitives, never a result."""
    MEASURE = "n"
    """From grid to integer; only named measures, never a result."""
    ANSWER = "a"
    """What a finisher gives: grids fitted to the training pairs. Only the root of a program has it."""


class Pieces(NamedTuple):
    """Grids cut from one canvas, in reading order of where they begin.

    `places` are the (row, column) of each grid's first cell, `canvas` the (rows, columns) they came from.
    """

    grids: tuple[Grid, ...]
    places: tuple[tuple[int, int], ...]
    canvas: tuple[int, int]


class Invalid(Exception):  # noqa: N818 - it says that a program is invalid on this input, which is no fault
    """The program has no value here (nothing to cut, too large, no such object)."""


def within(rows: int, columns: int) -> tuple[int, int]:
    """The shape itself when a grid may have it; called before anything that could be large is allocated.

    Raises:
        Invalid: outside 1 to 30.
    """
    if not (1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE):
        raise Invalid
    return rows, columns


_ARRAYS = (Type.GRID, Type.MASK, Type.ANSWER)


def pack(kind: Type, values: Sequence[Value]) -> bytes:
    """Bytes that are equal exactly when the lists of values of one type are; an answer packs as the grids it is."""
    if kind in _ARRAYS:
        letter = b"m" if kind is Type.MASK else b"g"
        return b"".join([letter, *[bytes(v.shape) + v.tobytes() for v in values]])
    if kind is Type.PIECES:
        parts: list[bytes] = [b"p"]
        for pieces in values:
            parts.append(bytes((len(pieces.grids), *pieces.canvas)))
            for grid, place in zip(pieces.grids, pieces.places, strict=True):
                parts.append(bytes((*grid.shape, *place)) + grid.tobytes())
        return b"".join(parts)
    return bytes([ord(kind.value), *values])
