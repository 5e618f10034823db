"""The exhaustive start: every program of depth 1, of depth 2, then deeper, each behaviour once.

Depth counts primitives on the way to the input; colours, integers, functions and measures are free. Columns of
parts are kept, so a node costs one primitive on all inputs. Between the depths the finishers are tried on all that
was found so far with the right shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from distevod.problems.grids.assembly import Assembly
from distevod.problems.grids.expression import Expression, compose
from distevod.problems.grids.interpreter import Column, Interpreter
from distevod.problems.grids.primitive import PRIMITIVES, Primitive
from distevod.problems.grids.scoring import Scoring, digest
from distevod.problems.grids.values import Type
from distevod.problems.grids.vocabulary import Vocabulary

Outcome = dict[str, Any]
FREE = (Type.COLOUR, Type.INTEGER, Type.FUNCTION, Type.MEASURE)
"""Types whose terminals cost no depth."""


class Node:
    """An expression and its column."""

    __slots__ = ("column", "expression")

    def __init__(self, expression: Expression, column: Column) -> None:
        self.expression = expression
        self.column = column


class Sweep:
    """One walk over the programs of one task."""

    def __init__(self, interpreter: Interpreter, scoring: Scoring, vocabulary: Vocabulary) -> None:
        self._interpreter = interpreter
        self._scoring = scoring
        self._vocabulary = vocabulary
        self._seen: set[bytes] = set()
        self._assembly = Assembly(interpreter, scoring)

    def walk(self, share: int, shares: int) -> Iterator[tuple[Expression, Outcome] | None]:
        """See `distevo.problem`: None, or a program and its outcome, for each node of this share."""
        ground = self._ground()
        for node in ground[Type.GRID]:
            outcome = self._offer(node)
            if share == 0:
                yield outcome
        depth1: list[Node] = []
        for i, (primitive, arguments) in enumerate(self._first(ground)):
            made = self._node(primitive, arguments)
            outcome = None if made is None else self._offer(made)
            if made is not None:
                depth1.append(made)
            if i % shares == share:
                yield outcome
        if share == 0:
            yield from self._finish()
        cuts = [n for n in depth1 if n.expression.type is not Type.GRID]
        grids = [n for n in depth1 if n.expression.type is Type.GRID]
        i = 0
        deep: list[Node] = []
        for prefixes in (cuts, grids):
            for prefix in prefixes:
                for primitive, arguments in self._around(prefix, ground):
                    i += 1
                    if i % shares != share:
                        continue
                    made = self._node(primitive, arguments)
                    yield None if made is None else self._offer(made)
                    if made is not None and (
                        primitive.result in (Type.PIECES, Type.MASK) or prefix.expression.type is not Type.GRID
                    ):
                        deep.append(made)
            yield from self._finish()
            if prefixes is cuts:
                deep2 = [n for n in deep if n.expression.type is not Type.GRID]
                for prefix in deep2:
                    for primitive, arguments in self._around(prefix, ground):
                        made = self._node(primitive, arguments)
                        yield None if made is None else self._offer(made)
                yield from self._finish()
                deep = [n for n in deep if n.expression.type is Type.GRID]
        for prefix in deep:
            for primitive, arguments in self._around(prefix, ground):
                made = self._node(primitive, arguments)
                yield None if made is None else self._offer(made)
        yield from self._finish()

    def _ground(self) -> dict[Type, list[Node]]:
        """Terminals, each behaviour once."""
        found: dict[Type, list[Node]] = {}
        for kind, expressions in self._vocabulary.terminals.items():
            nodes: dict[str, Node] = {}
            for expression in expressions:
                column = self._interpreter.column(expression)
                if column is not None:
                    nodes.setdefault(repr(column) if kind is Type.COLOUR else expression.text, Node(expression, column))
            found[kind] = list(nodes.values())
        return found

    def _first(self, ground: dict[Type, list[Node]]) -> Iterator[tuple[Primitive, Sequence[Node]]]:
        """Every primitive with its arguments from `ground`."""
        for primitive in PRIMITIVES.values():
            for arguments in product(*[ground[kind] for kind in primitive.arguments]):
                yield primitive, arguments

    def _around(
        self, prefix: Node, ground: dict[Type, list[Node]]
    ) -> Iterator[tuple[Primitive, Sequence[Node]]]:
        """Every primitive with the prefix as one argument and the others from `ground`."""
        kind = prefix.expression.type
        for primitive in PRIMITIVES.values():
            kinds = primitive.arguments
            if kind not in kinds or sum(k is Type.COLOUR for k in kinds) > 1:
                continue
            for slot, wanted in enumerate(kinds):
                if wanted is kind:
                    pools = [[prefix] if i == slot else ground[k] for i, k in enumerate(kinds)]
                    for arguments in product(*pools):
                        yield primitive, arguments

    def _node(self, primitive: Primitive, arguments: Sequence[Node]) -> Node | None:
        """The node, or None when it is invalid, of a behaviour met before, or not in normal form."""
        expression = compose(primitive, [a.expression for a in arguments])
        if expression.primitive is not primitive or len(expression.arguments) != len(arguments):
            return None
        column = self._interpreter.apply(primitive, [a.column for a in arguments])
        if column is None:
            return None
        mark = digest(primitive.result, column)
        if mark in self._seen:
            return None
        self._seen.add(mark)
        return Node(expression, column)

    def _offer(self, node: Node) -> tuple[Expression, Outcome] | None:
        if node.expression.type is not Type.GRID:
            return None
        outcome = self._scoring.outcome(node.column)
        self._assembly.add(node.expression, node.column)
        return node.expression, outcome

    def _finish(self) -> Iterator[tuple[Expression, Outcome] | None]:
        for expression in self._assembly.proposals():
            column = self._interpreter.column(expression)
            yield None if column is None else (expression, self._scoring.outcome(column))
