"""Connected components by bit boards: a mask as one Python integer.

Cell (r, c) of a mask with w columns is bit r * (w + 1) + c; the spare column is always clear, so shifts by one
never run into the next row. A flood is then a handful of shifts of a 900-bit integer for each step, about 0.5
microseconds, where a loop over cells would take hundreds.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from distevod.problems.grids.values import Grid, Mask


def to_bits(mask: Mask) -> int:
    """The bit board of a mask."""
    rows, columns = mask.shape
    padded = np.zeros((rows, columns + 1), np.bool_)
    padded[:, :columns] = mask
    return int.from_bytes(np.packbits(padded, bitorder="little").tobytes(), "little")


def to_mask(bits: int, rows: int, columns: int) -> Mask:
    """The mask of a bit board."""
    cells = rows * (columns + 1)
    packed = np.frombuffer(bits.to_bytes((cells + 7) // 8, "little"), np.uint8)
    unpacked = np.unpackbits(packed, count=cells, bitorder="little")
    return unpacked.reshape(rows, columns + 1)[:, :columns].view(np.bool_)


def flood(seed: int, mask: int, width: int, diagonal: bool) -> int:
    """All bits of `mask` that are joined to `seed`; `width` is that of the board, spare column included."""
    reached = seed
    while True:
        sideways = reached | reached << 1 | reached >> 1
        if diagonal:
            grown = (sideways | sideways << width | sideways >> width) & mask
        else:
            grown = (sideways | reached << width | reached >> width) & mask
        if grown == reached:
            return reached
        reached = grown


def components(mask: int, width: int, diagonal: bool) -> list[int]:
    """The connected parts of a board, in reading order of their first cell."""
    parts = []
    while mask:
        part = flood(mask & -mask, mask, width, diagonal)
        parts.append(part)
        mask ^= part
    return parts


def objects(grid: Grid, diagonal: bool, one_colour: bool) -> list[int]:
    """Boards of the connected parts of all cells that are not 0, in reading order of their first cell.

    With `one_colour` a part has one colour only; else colours join.
    """
    return list(_objects(grid.tobytes(), grid.shape[0], grid.shape[1], diagonal, one_colour))


@lru_cache(maxsize=256)
def _objects(cells: bytes, rows: int, columns: int, diagonal: bool, one_colour: bool) -> tuple[int, ...]:
    grid = np.frombuffer(cells, np.uint8).reshape(rows, columns)
    if not one_colour:
        return tuple(components(to_bits(grid != 0), columns + 1, diagonal))
    found: list[int] = []
    for colour in sorted(set(cells)):
        if colour:
            found += components(to_bits(grid == colour), columns + 1, diagonal)
    found.sort(key=lambda part: part & -part)
    return tuple(found)


def outside(mask: int, rows: int, columns: int, diagonal: bool = False) -> int:
    """The cells not in `mask` that are joined to the border through cells not in `mask`."""
    width = columns + 1
    row = (1 << columns) - 1
    board = 0
    edge = row | row << (rows - 1) * width
    sides = 1 | 1 << (columns - 1)
    for r in range(rows):
        board |= row << r * width
        edge |= sides << r * width
    free = board & ~mask
    return flood(edge & free, free, width, diagonal)


def holes(grid: Grid) -> Mask:
    """Cells of colour 0 that other cells shut off from the border (four neighbours)."""
    rows, columns = grid.shape
    occupied = to_bits(grid != 0)
    return to_mask(outside(occupied, rows, columns) | occupied, rows, columns) ^ True
