"""What an expression does on every input of one task.

A column is the list of an expression's values, one for each training input and then one for each test input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from distevod.problems.grids.expression import COLOUR_LITERALS, INPUT, INTEGER_LITERALS, Expression
from distevod.problems.grids.finishers import Training
from distevod.problems.grids.primitive import Primitive
from distevod.problems.grids.values import MAX_INTEGER, MAX_PIECES, MAX_SIDE, Grid, Invalid, Type, Value

Column: TypeAlias = list[Value]

CACHE_BYTES = 4_000_000
"""About the most that cached columns of one task hold; when it is reached the cache starts anew."""


class Interpreter:
    """Evaluates expressions on the inputs of one task, remembering the columns of their parts.

    `inputs` are the training inputs and then the test inputs, `targets` the training outputs.
    """

    def __init__(self, inputs: Sequence[Grid], targets: Sequence[Grid]) -> None:
        self.inputs = list(inputs)
        self._training = Training(tuple(inputs), tuple(targets))
        self._cache: dict[tuple[Type, str], Column | None] = {}
        self._cached_bytes = 0

    def column(self, expression: Expression) -> Column | None:
        """The values on all inputs, or None when it is invalid on any."""
        name = (expression.type, expression.text)
        if name in self._cache:
            return self._cache[name]
        columns = []
        result: Column | None = None
        for argument in expression.arguments:
            column = self.column(argument)
            if column is None:
                break
            columns.append(column)
        else:
            result = self.apply(expression.primitive, columns)
        self._remember(name, result)
        return result

    def apply(
        self, primitive: Primitive, columns: Sequence[Column], shapes: Sequence[tuple[int, ...]] = ()
    ) -> Column | None:
        """The column of a primitive of arguments with these columns, or None when it is invalid on any input.

        With `shapes` it is None as well, and the other inputs are spared, when the grid that the first input gives
        has none of them.
        """
        try:
            if not columns:
                return self._terminal(primitive)
            with np.errstate(all="ignore"):
                if primitive.result is Type.ANSWER:
                    answers: Column = primitive.apply(self._training, *columns)
                    return answers
                if shapes and primitive.apply(*[c[0] for c in columns]).shape not in shapes:
                    return None
                if len(columns) == 1:
                    values = [primitive.apply(v) for v in columns[0]]
                else:
                    values = [primitive.apply(*v) for v in zip(*columns, strict=True)]
            _check(primitive.result, values)
        except (Invalid, ValueError, IndexError):
            # numpy says ValueError and IndexError of shapes that do not go together.
            return None
        return values

    def _terminal(self, primitive: Primitive) -> Column:
        if primitive is INPUT:
            return list(self.inputs)
        constant: Value
        if primitive in COLOUR_LITERALS or primitive in INTEGER_LITERALS:
            constant = int(primitive.name)
        elif primitive.result is Type.FUNCTION or primitive.result is Type.MEASURE:
            constant = primitive.apply
        else:
            return [primitive.apply(grid) for grid in self.inputs]
        return [constant] * len(self.inputs)

    def _remember(self, name: tuple[Type, str], column: Column | None) -> None:
        self._cached_bytes += 200 + len(name[1]) + (0 if column is None else _weight(name[0], column))
        if self._cached_bytes > CACHE_BYTES:
            self._cache.clear()
            self._cached_bytes = 0
        self._cache[name] = column


def _check(kind: Type, values: Column) -> None:
    """Raises `Invalid` when a value does not keep the limits of its type."""
    if kind is Type.GRID or kind is Type.MASK:
        for value in values:
            rows, columns = value.shape
            if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE):
                raise Invalid
    elif kind is Type.PIECES:
        for value in values:
            if not 0 < len(value.grids) <= MAX_PIECES:
                raise Invalid
            for grid in value.grids:
                rows, columns = grid.shape
                if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE):
                    raise Invalid
    elif kind is Type.INTEGER:
        for value in values:
            if not 0 <= value <= MAX_INTEGER:
                raise Invalid


def _weight(kind: Type, column: Column) -> int:
    """About how many bytes a column holds."""
    if kind in (Type.GRID, Type.MASK, Type.ANSWER):
        return sum(128 + value.size for value in column)
    if kind is Type.PIECES:
        return sum(128 + grid.size for pieces in column for grid in pieces.grids)
    return 8 * len(column)
