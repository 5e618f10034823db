"""Which terminals and primitives the programs of one task may use, by what they give."""

from __future__ import annotations

from distevod.problems.grids.expression import (
    COLOUR_LITERALS,
    INTEGER_LITERALS,
    Expression,
    X,
    terminals,
)
from distevod.problems.grids.primitive import PRIMITIVES, Primitive
from distevod.problems.grids.tasks import Task
from distevod.problems.grids.values import Type


class Vocabulary:
    """The words for one task.

    Literal colours are those that occur in every training pair, in its input or its output: another cannot be
    part of the rule that all pairs follow.
    """

    def __init__(self, task: Task) -> None:
        shared = set(range(10))
        for given, wanted in zip(task.train_inputs, task.train_outputs, strict=True):
            shared &= set(given.ravel().tolist()) | set(wanted.ravel().tolist())
        literals = [COLOUR_LITERALS[c] for c in sorted(shared) if c] or [COLOUR_LITERALS[1]]
        self.terminals: dict[Type, list[Expression]] = {
            Type.GRID: [X],
            Type.COLOUR: [Expression(t) for t in (*terminals(Type.COLOUR), *literals)],
            Type.INTEGER: [Expression(INTEGER_LITERALS[n]) for n in (2, 3, 4)],
            Type.FUNCTION: [Expression(t) for t in terminals(Type.FUNCTION)],
            Type.MEASURE: [Expression(t) for t in terminals(Type.MEASURE)],
            Type.MASK: [],
            Type.PIECES: [],
        }
        new = set(range(1, 10))
        for wanted in task.train_outputs:
            new &= set(wanted.ravel().tolist())
        for given in task.train_inputs:
            new -= set(given.ravel().tolist())
        self.paints: list[Expression] = [Expression(COLOUR_LITERALS[c]) for c in sorted(new)[:1]] or [
            Expression(literals[0])
        ]
        """What is painted with where one colour stands for all: one that is new in every output, if there is any."""
        self.primitives: dict[Type, list[Primitive]] = {kind: [] for kind in Type}
        for primitive in PRIMITIVES.values():
            self.primitives[primitive.result].append(primitive)
