"""Finishers proposed from what a sweep found: dyes of one, two or three grids, and grids laid over each other.

Only grids whose shapes are right on all training pairs are kept, as one row of all their cells. Which rows
determine the target is then counted for one row against all others at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from distevod.problems.grids.expression import MAX_NODES, Expression, compose
from distevod.problems.grids.finishers import FINISHERS
from distevod.problems.grids.interpreter import Column, Interpreter
from distevod.problems.grids.primitive import PRIMITIVES
from distevod.problems.grids.scoring import Scoring
from distevod.problems.grids.values import COLOURS

MAX_ROWS = 1500
MAX_CELLS = 2_000_000
BEST = 24


class Assembly:
    """Collects the grids of one sweep and proposes programs made of several of them."""

    def __init__(self, interpreter: Interpreter, scoring: Scoring) -> None:
        self._target = scoring.flat
        self._scoring = scoring
        self._expressions: list[Expression] = []
        self._rows: list[NDArray[np.uint8]] = []
        self._lost: list[int] = []
        self._done = 0
        self._proposed: set[str] = set()

    def add(self, expression: Expression, column: Column) -> None:
        """Keeps the grids when all training shapes are right and there is room."""
        if not self._scoring.shapes_match(column):
            return
        if len(self._rows) >= MAX_ROWS or (len(self._rows) + 1) * self._target.size > MAX_CELLS:
            return
        row = np.concatenate([g.ravel() for g in column[: len(self._scoring.shapes)]])
        votes = np.bincount(row * np.uint16(COLOURS) + self._target, minlength=COLOURS * COLOURS)
        votes = votes.reshape(COLOURS, COLOURS)
        self._expressions.append(expression)
        self._rows.append(row)
        self._lost.append(int(self._target.size - votes.max(1).sum()))

    def proposals(self) -> Iterator[Expression]:
        """Programs that get every training pair right, as far as the training pairs alone can tell."""
        found: list[Expression] = []
        for i in range(self._done, len(self._rows)):
            if self._lost[i] == 0:
                found.append(compose(FINISHERS["dye"], [self._expressions[i]]))
        if not found and self._rows:
            found += self._dyes()
        if not found and self._rows:
            found += self._stacks()
        self._done = len(self._rows)
        for expression in found:
            if expression.nodes <= MAX_NODES and expression.text not in self._proposed:
                self._proposed.add(expression.text)
                yield expression

    def _dyes(self) -> list[Expression]:
        """The dye of two or three grids that is right with the fewest combinations."""
        rows = np.stack(self._rows)
        order = sorted(range(len(self._rows)), key=lambda i: (self._lost[i], self._expressions[i].nodes, i))
        if 0 not in order[:BEST]:
            order = [0, *order]
        best: list[tuple[int, int, int, int]] = []
        pairs: list[tuple[int, int, int]] = []
        for i in order[:BEST]:
            lost, kinds = _lost_with(rows[i], COLOURS, rows, self._target)
            for j in np.flatnonzero(lost == 0).tolist():
                best.append((int(kinds[j]), self._expressions[i].nodes + self._expressions[j].nodes, i, j))
            j = int(lost.argmin())
            pairs.append((int(lost[j]), i, j))
        if best:
            return [
                compose(FINISHERS["dye2"], [self._expressions[i], self._expressions[j]])
                for _, _, i, j in sorted(best)[:3]
            ]
        triples: list[tuple[int, int, int, int, int]] = []
        for _, i, j in sorted(pairs)[:8]:
            both = rows[i].astype(np.int32) * COLOURS + rows[j]
            lost, kinds = _lost_with(both, COLOURS * COLOURS, rows, self._target)
            for k in np.flatnonzero(lost == 0).tolist():
                nodes = sum(self._expressions[n].nodes for n in (i, j, k))
                triples.append((int(kinds[k]), nodes, i, j, k))
        return [
            compose(FINISHERS["dye3"], [self._expressions[n] for n in t[2:]]) for t in sorted(triples)[:3]
        ]

    def _stacks(self) -> list[Expression]:
        """Grids laid over each other, greedily: each next one covers the most cells and none of them wrongly."""
        rows = np.stack(self._rows)
        right = rows == self._target
        shows = rows != 0
        cover = shows & right
        wrong = shows & ~right
        open_cells = np.ones(self._target.size, np.bool_)
        chosen: list[int] = []
        for _ in range(4):
            if not self._target[open_cells].any():
                break
            safe = ~(wrong & open_cells).any(1)
            gain = np.where(safe, (cover & open_cells).sum(1), 0)
            k = int(gain.argmax())
            if gain[k] == 0:
                return []
            chosen.append(k)
            open_cells &= ~shows[k]
        if len(chosen) < 2 or self._target[open_cells].any():
            return []
        result = self._expressions[chosen[-1]]
        for k in chosen[-2::-1]:
            result = compose(PRIMITIVES["over"], [self._expressions[k], result])
        return [result]


def _lost_with(
    base: NDArray[np.integer], size: int, rows: NDArray[np.uint8], target: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row: how many cells the dye of `base` (codes below `size`) and the row gets wrong, and how many combinations it meets."""
    width = size * COLOURS * COLOURS
    known, small = np.unique(base, return_inverse=True)
    width = known.size * COLOURS * COLOURS
    code = (small.astype(np.int32) * (COLOURS * COLOURS) + target)[None, :] + rows.astype(np.int32) * COLOURS
    lost = np.empty(len(rows), np.int64)
    kinds = np.empty(len(rows), np.int64)
    step = max(1, 400_000 // (width + target.size))
    for start in range(0, len(rows), step):
        part = code[start : start + step]
        part = part + np.arange(len(part), dtype=np.int32)[:, None] * width
        votes = np.bincount(part.ravel(), minlength=len(part) * width).reshape(len(part), width // COLOURS, COLOURS)
        most = votes.max(2)
        lost[start : start + step] = target.size - most.sum(1)
        kinds[start : start + step] = np.count_nonzero(most, 1)
    return lost, kinds
