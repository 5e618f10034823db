"""The exhaustive start: every program one and two primitives deep, each behaviour once, and finishers over them.

Depth counts primitives on the way to the input; colours, integers, functions and measures are free. In order:

1. every primitive on the input;
2. every primitive on the pieces, masks, colours and integers that this gave;
3. every primitive that gives a grid on the grids that it gave;
4. plain primitives on the pieces and masks of 2, and on the pieces and masks cut from the grids of 1.

After each, `assembly` looks for finishers that make something right of all that was found. Columns of parts are kept,
so a node costs one primitive on all inputs. Beyond depth 1 one colour stands for all where a primitive only paints
with it, and a grid whose first output has a wrong shape is given up at once when nothing goes on from it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import chain, product
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
_BY_NAME = (Type.FUNCTION, Type.MEASURE)
EVERY = ORDER
TO_GRID = [p for p in ORDER if p.result is Type.GRID]
TO_PARTS = [p for p in ORDER if p.result in (Type.PIECES, Type.MASK) and p.arguments[0] is Type.GRID]
"""Cuts and masks of a grid: worth a node only when the walk goes on from them."""
PLAIN = [p for p in TO_GRID if not any(a in _BY_NAME for a in p.arguments) and not p.paints]
"""To a grid, without a choice of function or measure, which makes each cheap to try on all pieces and masks."""


class _Share:
    """Which of the nodes, counted over the whole walk, one share takes."""

    def __init__(self, share: int, shares: int) -> None:
        self._share = share
        self._shares = shares
        self._next = 0

    def takes_next(self) -> bool:
        self._next += 1
        return self._next % self._shares == self._share


class Node:
    """An expression and its column."""

    __slots__ = ("column", "expression", "fitness", "mark")

    def __init__(self, expression: Expression, column: Column, mark: bytes) -> None:
        self.expression = expression
        self.column = column
        self.mark = mark
        self.fitness = 0.0


def _by_type(nodes: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """The grids, and all others."""
    return (
        [n for n in nodes if n.expression.type is Type.GRID],
        [n for n in nodes if n.expression.type is not Type.GRID],
    )


class Sweep:
    """One walk over the programs of one task."""

    def __init__(self, interpreter: Interpreter, scoring: Scoring, vocabulary: Vocabulary) -> None:
        self._interpreter = interpreter
        self._scoring = scoring
        self._vocabulary = vocabulary
        self._paints = [Node(e, interpreter.apply(e.primitive, []) or [], b"") for e in vocabulary.paints]
        self._seen: set[bytes] = set()
        self._assembly = Assembly(interpreter, scoring)
        self._windows = Windows(interpreter, scoring)
        self._shapes = [scoring.shapes[0]]
        if self._windows.of_use:
            self._shapes.append(interpreter.inputs[0].shape)

    def walk(self, share: int, shares: int) -> Iterator[Found]:
        """See `distevo.problem`: None, or a program and its outcome, for each node of this share."""
        ground = self._ground()
        self._seen.update(node.mark for node in ground[Type.GRID])
        # Every share makes depth 1, which all else begins with, and yields its own part of it.
        depth1: list[Node] = []
        for i, node in enumerate(chain(ground[Type.GRID], self._depth1(ground))):
            found = list(self._offer(node))
            if node is not None and i:
                depth1.append(node)
            if i % shares == share:
                yield from found
        found = list(self._assembled())
        if share == 0:
            yield from found
        # From here on the walk is divided by the first step on depth 1, and what a share makes it alone goes on with.
        mine = _Share(share, shares)
        grids, others = _by_type(depth1)
        # Grids of the output's shape first: most of what is right at depth 2 comes of them.
        grids.sort(key=lambda n: not self._scoring.shapes_match(n.column))
        cut = yield from self._expand(others, ground, mine, EVERY, last=False)
        yield from self._assembled()
        yield from self._expand(grids, ground, mine, TO_GRID)
        yield from self._assembled()
        whole = _Share(0, 1)
        yield from self._expand(cut, ground, whole, PLAIN)
        for grid in grids:
            parts = yield from self._expand([grid], ground, mine, TO_PARTS, last=False)
            yield from self._expand(parts, ground, whole, PLAIN)
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

    def _expand(
        self,
        prefixes: Sequence[Node],
        ground: Ground,
        share: _Share,
        primitives: Sequence[Primitive],
        last: bool = True,
    ) -> Generator[Found, None, list[Node]]:
        """Yields this share of the primitives on the prefixes; returns what the walk may go on from.

        That is none if it is the `last` step, and else what is no grid. In a last step a node is given up, and
        yields None, when its first grid has a wrong shape.
        """
        parts = []
        for prefix in prefixes:
            for primitive, arguments in self._around(prefix, ground, primitives):
                if not share.takes_next():
                    continue
                node = self._node(primitive, arguments, self._shapes if last else ())
                if node is not None and not last and node.expression.type is not Type.GRID:
                    parts.append(node)
                yield from self._offer(node)
        return parts

    def _around(
        self, prefix: Node, ground: Ground, primitives: Sequence[Primitive]
    ) -> Iterator[tuple[Primitive, Sequence[Node]]]:
        """The primitives with the prefix as one argument and the others from `ground`; one colour stands for all."""
        kind = prefix.expression.type
        for primitive in primitives:
            kinds = primitive.arguments
            if kind not in kinds or kinds.count(Type.COLOUR) > 1:
                continue
            colours = self._paints if primitive.paints else ground[Type.COLOUR]
            for slot, wanted in enumerate(kinds):
                if wanted is kind:
                    pools = [
                        [prefix] if i == slot else colours if k is Type.COLOUR else ground[k]
                        for i, k in enumerate(kinds)
                    ]
                    for arguments in product(*pools):
                        yield primitive, arguments

    def _node(
        self, primitive: Primitive, arguments: Sequence[Node], shapes: Sequence[tuple[int, ...]] = ()
    ) -> Node | None:
        """The node, or None when it is invalid, of a behaviour met before, or not in normal form."""
        expression = compose(primitive, [a.expression for a in arguments])
        # Not in normal form: its normal form is a node of its own, perhaps of another share.
        if expression.primitive is not primitive or any(
            a is not b.expression for a, b in zip(expression.arguments, arguments, strict=True)
        ):
            return None
        column = self._interpreter.apply(primitive, [a.column for a in arguments], shapes)
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
