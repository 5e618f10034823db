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
        depth1: dict[Type, list[Node]] = {kind: [] for kind in Type}
        for i, (primitive, arguments) in enumerate(self._candidates(ground, ground)):
            made = self._node(primitive, arguments)
            outcome = None if made is None else self._offer(made)
            if made is not None:
                depth1[primitive.result].append(made)
            if i % shares == share:
                yield outcome
        if share == 0:
            yield from self._finish()
        depth2: list[Node] = []
        for i, (primitive, arguments) in enumerate(self._candidates(depth1, ground)):
            if i % shares != share:
                continue
            made = self._node(primitive, arguments)
            if made is None:
                yield None
                continue
            yield self._offer(made)
            if primitive.result in (Type.PIECES, Type.MASK):
                depth2.append(made)
        yield from self._finish()
        depth3: dict[Type, list[Node]] = {kind: [] for kind in Type}
        for node in depth2:
            depth3[node.expression.type].append(node)
        for primitive, arguments in self._candidates(depth3, ground):
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

    def _candidates(
        self, deep: dict[Type, list[Node]], ground: dict[Type, list[Node]]
    ) -> Iterator[tuple[Primitive, Sequence[Node]]]:
        """Every primitive with one argument from `deep` and the others from `ground`."""
        for primitive in PRIMITIVES.values():
            kinds = primitive.arguments
            slots = [i for i, kind in enumerate(kinds) if kind not in FREE]
            if deep is not ground:
                slots += [i for i, kind in enumerate(kinds) if kind in (Type.COLOUR, Type.INTEGER)]
                if sum(kind is Type.COLOUR for kind in kinds) > 1:
                    continue
            elif not slots:
                slots = [0]
            for slot in slots:
                pools = [deep[kind] if i == slot else ground[kind] for i, kind in enumerate(kinds)]
                yield from ((primitive, arguments) for arguments in product(*pools))
                if deep is ground:
                    break

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
