"""Every primitive on any values within the limits: a value of its type within the limits, or `Invalid`."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

from distevod.problems.grids import bitboard
from distevod.problems.grids.expression import X  # registers the primitives
from distevod.problems.grids.interpreter import Interpreter
from distevod.problems.grids.primitive import PRIMITIVES, TERMINALS, Primitive
from distevod.problems.grids.values import Grid, Invalid, Pieces, Type

assert X.nodes == 1
CUTS = [p for p in PRIMITIVES.values() if p.result is Type.PIECES and p.arguments == (Type.GRID,)]


def random_grid(rng: Random, shape: tuple[int, int] | None = None) -> Grid:
    """Sparse or dense, of one colour or ten, from 1x1 to 30x30."""
    rows, columns = shape or rng.choice([(1, 1), (30, 30), (1, rng.randint(1, 30)), (rng.randint(1, 30), 7)])
    colours, share = rng.choice([1, 2, 3, 10]), rng.random()
    cells = [rng.randrange(colours) if rng.random() < share else 0 for _ in range(rows * columns)]
    return np.array(cells, np.uint8).reshape(rows, columns)


def random_pieces(rng: Random) -> Pieces:
    while True:
        cut = Interpreter([random_grid(rng)], [])
        column = cut.apply(rng.choice(CUTS), [cut.inputs])
        if column is not None:
            pieces: Pieces = column[0]
            return pieces


def random_value(kind: Type, rng: Random, shape: tuple[int, int]) -> Any:
    named = [t.apply for t in TERMINALS.values() if t.result is kind]
    makers: dict[Type, Callable[[], Any]] = {
        Type.GRID: lambda: random_grid(rng, shape if rng.random() < 0.7 else None),
        Type.MASK: lambda: random_grid(rng, shape if rng.random() < 0.7 else None) > rng.randrange(2),
        Type.PIECES: lambda: random_pieces(rng),
        Type.COLOUR: lambda: rng.randrange(10),
        Type.INTEGER: lambda: rng.choice([1, 2, 3, rng.randrange(31)]),
        Type.FUNCTION: lambda: rng.choice(named),
        Type.MEASURE: lambda: rng.choice(named),
    }
    return makers[kind]()


def check(primitive: Primitive, value: Any) -> None:
    """The result has its type; its limits are the interpreter's to check."""
    kind = primitive.result
    if kind is Type.GRID:
        assert value.dtype == np.uint8
        assert value.ndim == 2
        assert value.size == 0 or value.max() <= 9
        assert max(value.shape) <= 60  # nothing large is made before the interpreter refuses it
    elif kind is Type.MASK:
        assert value.dtype == np.bool_
        assert value.ndim == 2
    elif kind is Type.PIECES:
        assert isinstance(value, Pieces)
        assert len(value.grids) == len(value.places)
        assert all(0 <= r < value.canvas[0] and 0 <= c < value.canvas[1] for r, c in value.places)
    else:
        assert type(value) is int


@pytest.mark.parametrize("name", PRIMITIVES)
def test_a_value_of_its_type_or_invalid(name: str) -> None:
    primitive = PRIMITIVES[name]
    rng = Random(name)
    values = 0
    for _ in range(60):
        shape = (rng.randint(1, 30), rng.randint(1, 30))
        arguments = [random_value(kind, rng, shape) for kind in primitive.arguments]
        before = [a.tobytes() if isinstance(a, np.ndarray) else None for a in arguments]
        try:
            value = primitive.apply(*arguments)
        except Invalid:
            continue
        finally:
            assert before == [a.tobytes() if isinstance(a, np.ndarray) else None for a in arguments]
        check(primitive, value)
        values += 1
    assert values > 0


@pytest.mark.parametrize("diagonal", [False, True])
def test_components_are_those_of_a_plain_flood(diagonal: bool) -> None:
    rng = Random(3)
    for _ in range(60):
        mask = random_grid(rng) > 0
        rows, columns = mask.shape
        boards = bitboard.components(bitboard.to_bits(mask), columns + 1, diagonal)
        found = [bitboard.to_mask(board, rows, columns) for board in boards]
        left = {(r, c) for r in range(rows) for c in range(columns) if mask[r, c]}
        for part in found:
            cells = {(int(r), int(c)) for r, c in zip(*np.nonzero(part), strict=True)}
            start = min(left)
            assert start in cells
            reached, edge = {start}, [start]
            while edge:
                r, c = edge.pop()
                near = [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if diagonal or 0 in (i, j)]
                fresh = [n for n in near if n in left and n not in reached]
                reached.update(fresh)
                edge += fresh
            assert cells == reached
            left -= cells
        assert not left


def test_a_noisy_grid_of_900_cells_is_bounded() -> None:
    checkers = np.array([[(r + c) % 2 * (1 + r % 9) for c in range(30)] for r in range(30)], np.uint8)
    interpreter = Interpreter([checkers] * 8, [checkers] * 8)
    for primitive in PRIMITIVES.values():
        if primitive.arguments == (Type.GRID,):
            column = interpreter.apply(primitive, [interpreter.inputs])
            if primitive.result is Type.PIECES and column is not None:
                assert all(len(pieces.grids) <= 40 for pieces in column)


@pytest.mark.parametrize(
    ("name", "down", "right"), [("ray_dr", 1, 1), ("ray_dl", 1, -1), ("ray_ur", -1, 1), ("ray_ul", -1, -1)]
)
def test_rays_run_along_their_diagonal_until_they_meet_another(name: str, down: int, right: int) -> None:
    rng = Random(4)
    for _ in range(20):
        grid = random_grid(rng, (rng.randint(1, 9), rng.randint(1, 9)))
        expected = np.zeros_like(grid)
        for r, c in np.ndindex(grid.shape):
            row, column = r, c
            while 0 <= row < grid.shape[0] and 0 <= column < grid.shape[1]:
                if grid[row, column]:
                    expected[r, c] = grid[row, column]
                    break
                row, column = row - down, column - right
        assert np.array_equal(PRIMITIVES[name].apply(grid), expected)


def test_objects_fall_as_a_whole_and_rest_on_each_other() -> None:
    grid = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 2, 2], [0, 0, 0]], np.uint8)
    fallen = [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, 0], [1, 2, 2]]
    assert PRIMITIVES["fall_down"].apply(grid).tolist() == fallen
    turned = PRIMITIVES["fall_right"].apply(grid.T)
    assert turned.T.tolist() == fallen


def test_objects_are_drawn_to_what_they_meet() -> None:
    grid = np.array([[2, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 2]], np.uint8)
    drawn = [[0, 0, 0, 0], [0, 0, 0, 0], [2, 2, 0, 0], [0, 3, 0, 0], [0, 0, 0, 2]]
    assert PRIMITIVES["draw"].apply(grid, 2).tolist() == drawn
