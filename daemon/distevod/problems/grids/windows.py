"""Windows found from the shape of the output: which part of a grid is shown, and of which grid.

`window(g,f)` cuts g to the rectangle of what is not 0 in f. A grid f whose rectangle has the output's shape in
every training pair is rare; so each that a sweep finds is tried on each grid of the input's shape, which no
exhaustive walk could afford.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from distevod.problems.grids.expression import MAX_NODES, Expression, compose
from distevod.problems.grids.interpreter import Column, Interpreter
from distevod.problems.grids.primitive import PRIMITIVES
from distevod.problems.grids.scoring import Scoring
from distevod.problems.grids.values import Grid

MAX_FRAMES = 12
MAX_BYTES = 1_500_000
"""Most bytes of grids kept for one sweep."""

Box = tuple[slice, slice]


class Windows:
    """Collects the grids of one sweep that have the shape of the input, and yields the windows that are right."""

    def __init__(self, interpreter: Interpreter, scoring: Scoring) -> None:
        self._targets = scoring.targets
        inputs = interpreter.inputs[: len(self._targets)]
        self._shapes = [g.shape for g in inputs]
        self.of_use = all(
            t.shape != s and t.shape[0] <= s[0] and t.shape[1] <= s[1]
            for t, s in zip(self._targets, self._shapes, strict=True)
        )
        self._grids: list[tuple[Expression, list[Grid]]] = []
        self._frames: list[tuple[Expression, list[Box]]] = []
        self._bytes = 0

    def add(self, expression: Expression, column: Column) -> Iterator[Expression]:
        """The windows that the new grid gives, as what is shown or as the frame, right on all training pairs."""
        if not self.of_use or any(g.shape != s for g, s in zip(column, self._shapes, strict=False)):
            return
        grids = column[: len(self._targets)]
        boxes = self._boxes(grids)
        for frame, places in self._frames:
            yield from self._right(expression, grids, frame, places)
        known = boxes is None or any(places == boxes for _, places in self._frames)
        if boxes is not None and not known and len(self._frames) < MAX_FRAMES:
            for shown, kept in self._grids:
                yield from self._right(shown, kept, expression, boxes)
            yield from self._right(expression, grids, expression, boxes)
            self._frames.append((expression, boxes))
        size = sum(128 + g.size for g in grids)
        if self._bytes + size <= MAX_BYTES:
            self._bytes += size
            self._grids.append((expression, grids))

    def _boxes(self, grids: list[Grid]) -> list[Box] | None:
        """The rectangle of what is not 0 in each, or None unless all have the output's shape."""
        boxes = []
        for grid, target in zip(grids, self._targets, strict=True):
            down, right = np.flatnonzero(grid.any(1)), np.flatnonzero(grid.any(0))
            if down.size == 0:
                return None
            top, bottom, left, end = int(down[0]), int(down[-1]) + 1, int(right[0]), int(right[-1]) + 1
            if (bottom - top, end - left) != target.shape:
                return None
            boxes.append((slice(top, bottom), slice(left, end)))
        return boxes

    def _right(self, shown: Expression, grids: list[Grid], frame: Expression, boxes: list[Box]) -> Iterator[Expression]:
        for grid, box, target in zip(grids, boxes, self._targets, strict=True):
            if not (grid[box] == target).all():
                return
        program = compose(PRIMITIVES["window"], [shown, frame])
        if program.nodes <= MAX_NODES:
            yield program
