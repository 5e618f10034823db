"""The exhaustive start: every program of depth 1, of depth 2, then deeper, each behaviour once.

Depth counts primitives on the way to the input; colours, integers, functions and measures are free. Columns of
parts are kept, so a node costs one primitive on all inputs. Between the depths the finishers are tried on all that
was found so far with the right shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, product
from typing import Any

from distevod.problems.grids.assembly import Assembly
from distevod.problems.grids.expression import Expression, compose
from distevod.problems.grids.interpreter import Column, Interpreter
from distevod.problems.grids.primitive import PRIMITIVES, Primitive
from distevod.problems.grids.scoring import Scoring, digest
from distevod.problems.grids.values import Type
from distevod.problems.grids.vocabulary import Vocabulary
from distevod.problems.grids.windows import Windows

Outcome = dict[str, Any]
Found = tuple[Expression, Outcome] | None
Ground = dict[Type, list["Node"]]
ORDER = sorted(PRIMITIVES.values(), key=lambda p: len(p.arguments))
"""Primitives with fewer arguments first, so that of one behaviour the shorter program is met first."""
FREE = (Type.COLOUR, Type.INTEGER, Type.FUNCTION, Type.MEASURE)
"""Types whose terminals cost no depth."""


class Node:
    """An expression and its column."""

    __slots__ = ("column", "expression", "fitness", "mark")

    def __init__(self, expression: Expression, column: Column, mark: bytes) -> None:
        self.expression = expression
        self.column = column
        self.mark = mark
        self.fitness = 0.0


class Sweep:
    """One walk over the programs of one task."""

    def __init__(self, interpreter: Interpreter, scoring: Scoring, vocabulary: Vocabulary) -> None:
        self._interpreter = interpreter
        self._scoring = scoring
        self._vocabulary = vocabulary
        self._seen: set[bytes] = set()
        self._assembly = Assembly(interpreter, scoring)
        self._windows = Windows(interpreter, scoring)

    def walk(self, share: int, shares: int) -> Iterator[Found]:
        """See `distevo.problem`: None, or a program and its outcome, for each node of this share."""
        ground = self._ground()
        depth1: list[Node] = []
        nodes: Iterable[Node | None] = chain(ground[Type.GRID], self._depth1(ground))
        for i, node in enumerate(nodes):
            found = list(self._offer(node))
            if node is not None and node is not ground[Type.GRID][0]:
                depth1.append(node)
            if i % shares == share:
                yield from found
        if share == 0:
            yield from self._assembled()
        cuts = [n for n in depth1 if n.expression.type is not Type.GRID]
        grids = [n for n in depth1 if n.expression.type is Type.GRID]
        grids.sort(key=lambda n: -n.fitness)
        made: list[Node] = []
        mine = count()
        for prefix in cuts:
            for node in self._beyond(prefix, ground, mine, share, shares):
                yield from self._offer(node)
                if node is not None:
                    made.append(node)
        yield from self._assembled()
        for prefix in [n for n in made if n.expression.type is not Type.GRID]:
            for node in self._beyond(prefix, ground, count(), 0, 1):
                yield from self._offer(node)
        yield from self._assembled()
        made = sorted((n for n in made if n.expression.type is Type.GRID), key=lambda n: -n.fitness)
        for prefix in grids:
            for node in self._beyond(prefix, ground, mine, share, shares):
                yield from self._offer(node)
        yield from self._assembled()
        for prefix in made:
            for node in self._beyond(prefix, ground, count(), 0, 1):
                yield from self._offer(node)
        yield from self._assembled()

    def _ground(self) -> dict[Type, list[Node]]:
        """Terminals, each behaviour once."""
        found: dict[Type, list[Node]] = {}
        for kind, expressions in self._vocabulary.terminals.items():
            nodes: dict[str, Node] = {}
            for expression in expressions:
                column = self._interpreter.column(expression)
                if column is not None:
                    nodes.setdefault(
                        repr(column) if kind is Type.COLOUR else expression.text,
                        Node(expression, column, digest(Type.GRID, column) if kind is Type.GRID else b""),
                    )
            found[kind] = list(nodes.values())
        return found

    def _depth1(self, ground: Ground) -> Iterator[Node | None]:
        """Every primitive with its arguments from `ground`."""
        for primitive in ORDER:
            for arguments in product(*[ground[kind] for kind in primitive.arguments]):
                yield self._node(primitive, arguments)

    def _beyond(
        self, prefix: Node, ground: Ground, numbers: Iterator[int], share: int, shares: int
    ) -> Iterator[Node | None]:
        """Every primitive with the prefix as one argument and the others from `ground`; this share's of them."""
        kind = prefix.expression.type
        for primitive in ORDER:
            kinds = primitive.arguments
            if kind not in kinds or sum(k is Type.COLOUR for k in kinds) > 1:
                continue
            for slot, wanted in enumerate(kinds):
                if wanted is kind:
                    pools = [[prefix] if i == slot else ground[k] for i, k in enumerate(kinds)]
                    for arguments in product(*pools):
                        if next(numbers) % shares == share:
                            yield self._node(primitive, arguments)

    def _node(self, primitive: Primitive, arguments: Sequence[Node]) -> Node | None:
        """The node, or None when it is invalid, of a behaviour met before, or not in normal form."""
        expression = compose(primitive, [a.expression for a in arguments])
        # Not in normal form: its normal form is a node of its own, perhaps of another share.
        if expression.primitive is not primitive or any(
            a is not b.expression for a, b in zip(expression.arguments, arguments, strict=True)
        ):
            return None
        column = self._interpreter.apply(primitive, [a.column for a in arguments])
        if column is None:
            return None
        mark = digest(primitive.result, column)
        if mark in self._seen:
            return None
        self._seen.add(mark)
        return Node(expression, column, mark)

    def _offer(self, node: Node | None) -> Iterator[Found]:
        """What a node yields: itself, and then what is at once right with it."""
        if node is None or node.expression.type is not Type.GRID:
            yield None
            return
        outcome = self._scoring.outcome(node.column, node.mark)
        node.fitness = outcome["fitness"]
        yield node.expression, outcome
        dyed = self._assembly.add(node.expression, node.column)
        if outcome["fit"]:
            return
        for expression in chain([] if dyed is None else [dyed], self._windows.add(node.expression, node.column)):
            column = self._interpreter.column(expression)
            yield None if column is None else (expression, self._scoring.outcome(column))

    def _assembled(self) -> Iterator[Found]:
        for expression, column in self._assembly.proposals():
            yield expression, self._scoring.outcome(column)
