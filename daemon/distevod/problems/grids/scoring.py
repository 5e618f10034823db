"""How good a column of grids is, on the training pairs only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from blake3 import blake3

from distevod.problems.grids.values import Grid, Type, Value, pack

SHAPE_CREDIT = 0.2
"""What the right shape alone is worth of a pair's 1; the cells that agree share the rest."""


class Scoring:
    """Scores grids against the training outputs of one task."""

    def __init__(self, targets: Sequence[Grid]) -> None:
        self.targets = list(targets)
        self.shapes = [t.shape for t in targets]
        self.flat = np.concatenate([t.ravel() for t in targets])

    def shapes_match(self, column: Sequence[Grid]) -> bool:
        """Whether every training output has its shape."""
        return all(grid.shape == shape for grid, shape in zip(column, self.shapes, strict=False))

    def score(self, column: Sequence[Grid]) -> tuple[float, bool]:
        """The mean over the training pairs, 0 to 1, and whether all are right.

        A pair of the right shape gets 0.2 and the share of its cells that agree times 0.8; one of a wrong shape
        gets 0.1 times the ratios of rows and of columns, the smaller by the larger.
        """
        total = 0.0
        fit = True
        for grid, target in zip(column, self.targets, strict=False):
            if grid.shape == target.shape:
                right = int(np.count_nonzero(grid == target))
                total += SHAPE_CREDIT + (1 - SHAPE_CREDIT) * right / target.size
                fit = fit and right == target.size
            else:
                rows, columns = grid.shape
                height, width = target.shape
                total += SHAPE_CREDIT / 2 * min(rows / height, height / rows) * min(columns / width, width / columns)
                fit = False
        return (1.0 if fit else total / len(self.targets)), fit

    def outcome(self, column: Sequence[Grid], behaviour: bytes | None = None) -> dict[str, Any]:
        """What `evaluate` returns of a program with this column; `behaviour` where it is known already."""
        fitness, fit = self.score(column)
        return {"fitness": fitness, "fit": fit, "behaviour": behaviour or digest(Type.GRID, column)}


def digest(kind: Type, column: Sequence[Value]) -> bytes:
    """16 bytes that stand for the behaviour: what was computed on training and test inputs."""
    return blake3(pack(kind, column)).digest(16)
