"""What is fitted to the training pairs: finishers, what a sweep assembles, and windows of the output's shape."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest

from distevod.problems.grids import Grids
from distevod.problems.grids.assembly import lost_with

Rows = list[list[int]]


def task_of(pairs: list[tuple[Rows, Rows]], test: Rows) -> dict[str, Any]:
    return {"train": [{"input": a, "output": b} for a, b in pairs], "test": [{"input": test}]}


def outputs(task: dict[str, Any], text: bytes) -> list[Rows] | None:
    """What the program makes of all inputs, or None when it is invalid."""
    problem = Grids(task)
    genome = problem.decode(text)
    if problem.evaluate(genome) is None:
        return None
    return [rows for title, rows in problem.panels(genome) if title.endswith("program")]


MAPPED = [([[1, 2, 0]], [[3, 4, 0]]), ([[2, 1, 1]], [[4, 3, 3]])]


def test_dye_maps_colours_as_the_training_pairs_do() -> None:
    assert outputs(task_of(MAPPED, [[2, 2], [1, 0]]), b"g1:dye(x)") == [
        [[3, 4, 0]],
        [[4, 3, 3]],
        [[4, 4], [3, 0]],
    ]


@pytest.mark.parametrize("text", [b"g1:dye(x)", b"g1:dye2(flip_h(x),x)", b"g1:local(x)", b"g1:blend(x,x)"])
def test_what_training_never_met_makes_it_invalid(text: bytes) -> None:
    rows = [[1, 2, 0, 1], [2, 0, 0, 1], [1, 1, 2, 2]]
    pairs = [(rows, rows), (rows, rows)]
    assert outputs(task_of(pairs, rows), text) == [rows] * 3
    assert outputs(task_of(pairs, [[1, 2, 0, 5], *rows[1:]]), text) is None


@pytest.mark.parametrize("text", [b"g1:dye(twice_h(x))", b"g1:dye2(twice_h(x),x)", b"g1:blend(x,twice_h(x))"])
def test_a_wrong_shape_makes_it_invalid(text: bytes) -> None:
    assert outputs(task_of(MAPPED, [[1]]), text) is None


def test_blend_shows_one_grid_where_another_says_so() -> None:
    pairs = [
        ([[1, 5, 6, 0], [0, 0, 0, 0]], [[0, 6, 5, 0], [0, 0, 0, 0]]),
        ([[8, 2, 9, 1], [0, 0, 0, 0]], [[1, 9, 2, 8], [0, 0, 0, 0]]),
    ]
    shown = outputs(task_of(pairs, [[1, 2, 3, 4], [0, 0, 0, 0]]), b"g1:blend(as_grid(filled(x)),flip_h(x))")
    assert shown is not None
    assert shown[2] == [[4, 3, 2, 1], [0, 0, 0, 0]]


def found(task: dict[str, Any], nodes: int) -> list[str]:
    problem = Grids(task)
    walk = islice(problem.sweep(0, 1), nodes)
    return [problem.encode(n[0]).decode() for n in walk if n is not None and n[1]["fit"]]


def test_a_sweep_combines_two_grids_by_a_table() -> None:
    rng = np.random.default_rng(1)
    pairs = []
    for _ in range(4):
        left, right = rng.integers(0, 2, (3, 3)), rng.integers(0, 2, (3, 3)) * 2
        whole = np.concatenate((left, np.full((3, 1), 5), right), 1)
        pairs.append((whole.tolist(), np.where((left == 0) & (right == 0), 7, 0).tolist()))
    fits = found(task_of(pairs[:3], pairs[3][0]), 6000)
    assert "g1:dye2(left_half(x),right_half(x))" in fits


def test_a_sweep_finds_a_blend_of_a_symbolic_colour() -> None:
    """Every second column of an object turns to a fixed colour, whatever the colours of the grids are."""
    task = Grids.tasks("a5f85a15")["a5f85a15"]
    assert "g1:blend(turns_h(x),x)" in found(task, 600)


def test_a_table_that_no_second_pair_bears_out_is_invalid() -> None:
    pairs: list[tuple[Rows, Rows]] = [([[c] * 12], [[9 - c] * 12]) for c in (1, 2, 3)]
    for text in (b"g1:dye(x)", b"g1:dye2(canvas(x,1),x)", b"g1:local(x)", b"g1:blend(x,canvas(x,1))"):
        assert outputs(task_of(pairs, [[1] * 12]), text) is None
        assert outputs(task_of(pairs + pairs, [[1] * 12]), text) is not None


def test_a_table_that_no_second_pair_bears_out_is_not_proposed() -> None:
    pairs: list[tuple[Rows, Rows]] = [([[c, c], [c, 0]], [[9 - c]]) for c in (1, 2, 3)]
    assert not any("dye" in text or "local" in text for text in found(task_of(pairs, [[4, 4], [4, 0]]), 2500))


def test_a_window_of_the_outputs_shape_is_found_in_another_grid() -> None:
    rng = np.random.default_rng(2)
    pairs = []
    for at in (1, 2, 4):
        tile = rng.integers(1, 8, (3, 3))
        whole = np.tile(tile, (4, 4))
        hidden = whole.copy()
        hidden[at : at + 3, at + 1 : at + 4] = 8
        pairs.append((hidden.tolist(), whole[at : at + 3, at + 1 : at + 4].tolist()))
    texts = found(task_of(pairs[:2], pairs[2][0]), 30_000)
    assert "g1:window(period_fill(drop(x,least)),keep_least(x))" in texts


def test_counting_rows_together_agrees_with_counting_them_alone() -> None:
    rng = np.random.default_rng(3)
    rows = rng.integers(0, 4, (50, 40)).astype(np.uint8)
    target, base = rng.integers(0, 3, 40).astype(np.uint8), rng.integers(0, 5, 40)
    lost, kinds = lost_with(base, rows, target)
    for row, wrong, combinations in zip(rows, lost.tolist(), kinds.tolist(), strict=True):
        cells: dict[tuple[int, int], list[int]] = {}
        for key, wanted in zip(zip(base.tolist(), row.tolist(), strict=True), target.tolist(), strict=True):
            cells.setdefault(key, []).append(wanted)
        assert combinations == len(cells)
        assert wrong == sum(len(c) - max(c.count(v) for v in c) for c in cells.values())
