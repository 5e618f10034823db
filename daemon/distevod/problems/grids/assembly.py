"""Programs assembled from what a sweep found: finishers, and grids laid over each other.

Only grids whose shapes are right on all training pairs are collected, each as one row of all its cells. Which rows
determine the target is then counted for one row against all others at once; what the counts allow is then evaluated
as any program, and may still prove invalid.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from distevod.problems.grids.expression import MAX_NODES, Expression, compose
from distevod.problems.grids.finishers import FINISHERS, neighbourhoods, symbolic_colours
from distevod.problems.grids.interpreter import Column, Interpreter
from distevod.problems.grids.primitive import PRIMITIVES
from distevod.problems.grids.scoring import Scoring
from distevod.problems.grids.values import COLOURS

MAX_ROWS = 1200
"""Most rows kept for one sweep; what comes later is still tried alone."""
MAX_CELLS = 1_000_000
"""Most cells of all rows kept, in bytes."""
KEYS = 300
"""How many rows, the first ones, are tried as what a blend goes by."""
BASES = 24
"""How many rows, the most telling ones, are tried together with every other."""
TRIES = 40
"""How many of the programs that the counts allow are evaluated each time, those of the fewest combinations first."""
PROBE = 32
"""How many cells are looked at before all are."""
MAX_LAYERS = 4
"""Most grids laid over each other."""

Codes = NDArray[np.integer]


class Assembly:
    """Collects the grids of one sweep and proposes programs made of them."""

    def __init__(self, interpreter: Interpreter, scoring: Scoring) -> None:
        self._interpreter = interpreter
        self._scoring = scoring
        self._target = scoring.flat
        sizes = [t.size for t in scoring.targets]
        self._pairs = len(sizes)
        # What a blend may show that is no grid of its own: ten constants, and the symbolic colours.
        symbols = [symbolic_colours(g) for g in interpreter.inputs[: self._pairs]]
        sources = [np.full(self._target.size, c, np.uint8) for c in range(COLOURS)]
        sources += [np.repeat(np.array(c, np.uint8), sizes) for c in zip(*symbols, strict=True)]
        self._source_wrong = [np.flatnonzero(source != self._target) for source in sources]
        self._expressions: list[Expression] = []
        self._rows: list[NDArray[np.uint8]] = []
        self._lost: list[int] = []
        self._settled = 0
        self._best_pairs: list[tuple[int, int, int]] = []

    def add(self, expression: Expression, column: Column) -> Expression | None:
        """Keeps the grids when all training shapes are right; the dye of them alone when it may be right already."""
        if not self._scoring.shapes_match(column):
            return None
        row = np.concatenate([g.ravel() for g in column[: self._pairs]])
        votes = np.bincount(row * np.uint16(COLOURS) + self._target, minlength=COLOURS * COLOURS)
        lost = int(self._target.size - votes.reshape(COLOURS, COLOURS).max(1).sum())
        if len(self._rows) < MAX_ROWS and (len(self._rows) + 1) * row.size <= MAX_CELLS:
            self._expressions.append(expression)
            self._rows.append(row)
            self._lost.append(lost)
        if lost == 0:
            return compose(FINISHERS["dye"], [expression])
        return None

    def proposals(self) -> Iterator[tuple[Expression, Column]]:
        """Programs that get every training pair right and have a value on the test inputs; the best few only.

        What can be made of the grids of an earlier call alone was for that call to propose.
        """
        if not self._rows:
            return
        for stage in (self._twos, self._blends, self._locals, self._threes, self._stacks):
            valid = 0
            for expression in stage():
                if expression.nodes > MAX_NODES:
                    continue
                column = self._interpreter.column(expression)
                if column is not None and self._scoring.score(column)[1]:
                    yield expression, column
                    valid += 1
                    if valid == 2:
                        break
            if valid:
                break
        self._settled = len(self._rows)

    def _fresh(self, lost: NDArray[np.int64], other: int) -> list[int]:
        """The rows without a loss, but for those that were there together with `other` the last time."""
        right: list[int] = np.flatnonzero(lost == 0).tolist()
        return [i for i in right if max(i, other) >= self._settled]

    def _bases(self) -> list[int]:
        order = sorted(range(len(self._rows)), key=lambda i: (self._lost[i], self._expressions[i].nodes, i))
        return list(dict.fromkeys([*order[:BASES], 0]))

    def _twos(self) -> Iterator[Expression]:
        rows = np.stack(self._rows)
        found: list[tuple[int, int, int, int]] = []
        self._best_pairs = []
        for i in self._bases():
            lost, kinds = lost_with(rows[i], rows, self._target)
            for j in self._fresh(lost, i):
                nodes = self._expressions[i].nodes + self._expressions[j].nodes
                found.append((int(kinds[j]), nodes, i, j))
            j = int(lost.argmin())
            self._best_pairs.append((int(lost[j]), i, j))
        for _, _, i, j in sorted(found)[:TRIES]:
            yield compose(FINISHERS["dye2"], [self._expressions[i], self._expressions[j]])

    def _blends(self) -> Iterator[Expression]:
        rows = np.stack(self._rows)
        wrong = rows != self._target
        found: list[tuple[int, int, int, int]] = []
        for i in range(min(len(rows), KEYS)):
            # Colours that no constant and no symbolic colour explains: the second grid has to, on every cell.
            losses = [np.bincount(rows[i][cells], minlength=COLOURS) for cells in self._source_wrong]
            left = np.minimum.reduce(losses) > 0
            cells = np.flatnonzero(left[rows[i]])
            keys = int(np.unique(rows[i]).size)
            nodes = self._expressions[i].nodes
            if cells.size == 0:
                # Constants alone are a dye; with a symbolic colour any second grid will do: the first, a small one.
                if self._lost[i] > 0 and i >= self._settled:
                    found.append((keys, nodes + self._expressions[0].nodes, i, 0))
                continue
            likely = np.flatnonzero(~wrong[:, cells[:PROBE]].any(1))
            lost = np.ones(len(rows), np.int64)
            lost[likely] = wrong[np.ix_(likely, cells)].any(1)
            found += [(keys, nodes + self._expressions[j].nodes, i, j) for j in self._fresh(lost, i)]
        for _, _, i, j in sorted(found)[:TRIES]:
            yield compose(FINISHERS["blend"], [self._expressions[i], self._expressions[j]])

    def _locals(self) -> Iterator[Expression]:
        for i in [i for i in self._bases()[:8] if i >= self._settled]:
            grids = np.split(self._rows[i], np.cumsum([t.size for t in self._scoring.targets])[:-1])
            shaped = [g.reshape(t.shape) for g, t in zip(grids, self._scoring.targets, strict=True)]
            codes = np.concatenate([c.ravel() for c in neighbourhoods(shaped)])
            known, small = np.unique(codes, return_inverse=True)
            if np.unique(small * COLOURS + self._target).size == known.size:
                yield compose(FINISHERS["local"], [self._expressions[i]])

    def _threes(self) -> Iterator[Expression]:
        rows = np.stack(self._rows)
        found: list[tuple[int, int, tuple[int, int, int]]] = []
        for _, i, j in sorted(self._best_pairs)[:8]:
            both = rows[i].astype(np.int32) * COLOURS + rows[j]
            lost, kinds = lost_with(both, rows, self._target)
            for k in self._fresh(lost, max(i, j)):
                nodes = sum(self._expressions[n].nodes for n in (i, j, k))
                found.append((int(kinds[k]), nodes, (i, j, k)))
        for _, _, three in sorted(found)[:TRIES]:
            yield compose(FINISHERS["dye3"], [self._expressions[n] for n in three])

    def _stacks(self) -> Iterator[Expression]:
        """Greedily: each next grid covers the most cells that are still open, and none of them wrongly."""
        rows = np.stack(self._rows)
        shows = rows != 0
        wrong = shows & (rows != self._target)
        still_open = np.ones(self._target.size, np.bool_)
        chosen: list[int] = []
        while len(chosen) < MAX_LAYERS and self._target[still_open].any():
            gain = np.where((wrong & still_open).any(1), 0, (shows & still_open).sum(1))
            k = int(gain.argmax())
            if gain[k] == 0:
                return
            chosen.append(k)
            still_open &= ~shows[k]
        if len(chosen) > 1 and max(chosen) >= self._settled and not self._target[still_open].any():
            result = self._expressions[chosen[-1]]
            for k in chosen[-2::-1]:
                result = compose(PRIMITIVES["over"], [self._expressions[k], result])
            yield result


def lost_with(
    base: Codes, rows: NDArray[np.uint8], target: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row: how many cells the dye of `base` and the row gets wrong, and how many combinations it meets.

    Args:
        base: one code a cell, shape (cells,).
        rows: shape (rows, cells).
        target: shape (cells,).
    """
    known, small = np.unique(base, return_inverse=True)
    width = known.size * COLOURS * COLOURS
    fixed = small.astype(np.int32) * (COLOURS * COLOURS) + target
    lost = np.empty(len(rows), np.int64)
    kinds = np.empty(len(rows), np.int64)
    # A few hundred kilobytes at a time stay in the cache of the processor.
    step = max(1, 60_000 // (width + target.size))
    for start in range(0, len(rows), step):
        part = rows[start : start + step] * np.int32(COLOURS) + fixed
        part += np.arange(len(part), dtype=np.int32)[:, None] * width
        votes = np.bincount(part.ravel(), minlength=len(part) * width)
        most = votes.reshape(len(part), width // COLOURS, COLOURS).max(2)
        lost[start : start + step] = target.size - most.sum(1)
        kinds[start : start + step] = np.count_nonzero(most, 1)
    return lost, kinds
