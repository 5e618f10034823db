"""New programs by chance: grown, mutated, crossed, always typed and within the limit of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from distevod.problems.grids.expression import MAX_NODES, Expression, compose, walk
from distevod.problems.grids.finishers import FINISHERS
from distevod.problems.grids.primitive import Primitive
from distevod.problems.grids.values import Type
from distevod.problems.grids.vocabulary import Vocabulary

ATTEMPTS = 8
"""How often an operator tries again when its result is too large or what it began with."""
Place = tuple[int, ...]


class Variation:
    """The operators for one task's vocabulary. All chance is the `rng` that is handed in."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._terminals = vocabulary.terminals
        self._primitives = vocabulary.primitives
        # Primitives that take a type and give a type: what `wrap` may put around a part.
        self._around: dict[tuple[Type, Type], list[Primitive]] = {}
        for kind, primitives in self._primitives.items():
            for primitive in primitives:
                for taken in dict.fromkeys(primitive.arguments):
                    self._around.setdefault((taken, kind), []).append(primitive)

    def random(self, rng: Random) -> Expression:
        """A program of depth 1 to 4."""
        grown = self._grow(Type.GRID, rng.randint(1, 3), rng)
        while grown.nodes > MAX_NODES:
            grown = self._grow(Type.GRID, 1, rng)
        return grown

    def mutate(self, genome: Expression, rng: Random) -> Expression:
        """The program with one change: a part grown anew, wrapped, hoisted, or one word exchanged."""
        changes = (self._subtree, self._wrap, self._wrap, self._hoist, self._point, self._finish)
        for _ in range(ATTEMPTS):
            changed = rng.choice(changes)(genome, rng)
            if changed.nodes <= MAX_NODES and changed.text != genome.text:
                return changed
        return self.random(rng)

    def crossover(self, a: Expression, b: Expression, rng: Random) -> Expression:
        """`a` with one part exchanged for a part of `b` of the same type."""
        for _ in range(ATTEMPTS):
            place, old = _choose(a, rng)
            donors = [part for part in walk(b) if part.type is old.type]
            if donors:
                child = _replaced(a, place, rng.choice(donors))
                if child.nodes <= MAX_NODES and child.text != a.text:
                    return child
        return self.mutate(a, rng)

    def _grow(self, kind: Type, depth: int, rng: Random) -> Expression:
        terminals = self._terminals[kind]
        primitives = self._primitives[kind]
        if terminals and (depth <= 0 or not primitives or rng.random() < 0.15):
            return rng.choice(terminals)
        primitive = rng.choice(primitives)
        # Types without terminals (masks, pieces) are one step from the input, so this ends soon after depth 0.
        if depth <= 0:
            near = [p for p in primitives if all(self._terminals[a] for a in p.arguments)]
            primitive = rng.choice(near)
        return compose(primitive, [self._grow(a, depth - 1, rng) for a in primitive.arguments])

    def _subtree(self, genome: Expression, rng: Random) -> Expression:
        place, old = _choose(genome, rng)
        kind = Type.GRID if old.type is Type.ANSWER else old.type
        return _replaced(genome, place, self._grow(kind, rng.randint(0, 2), rng))

    def _wrap(self, genome: Expression, rng: Random) -> Expression:
        """A part becomes an argument of a new primitive that gives the same type."""
        place, old = _choose(genome, rng)
        around = self._around.get((old.type, old.type))
        if not around:
            return genome
        primitive = rng.choice(around)
        slots = [i for i, a in enumerate(primitive.arguments) if a is old.type]
        slot = rng.choice(slots)
        arguments = [old if i == slot else self._grow(a, 0, rng) for i, a in enumerate(primitive.arguments)]
        return _replaced(genome, place, compose(primitive, arguments))

    def _hoist(self, genome: Expression, rng: Random) -> Expression:
        """A part gives way to one of its own parts of the same type."""
        place, old = _choose(genome, rng)
        kinds = (Type.GRID, Type.ANSWER) if not place else (old.type,)
        inner = [part for part in walk(old) if part is not old and part.type in kinds]
        return _replaced(genome, place, rng.choice(inner)) if inner else genome

    def _point(self, genome: Expression, rng: Random) -> Expression:
        """One word exchanged for another of the same types."""
        place, old = _choose(genome, rng)
        if old.type is Type.ANSWER:
            return genome
        if not old.arguments:
            return _replaced(genome, place, rng.choice(self._terminals[old.type]))
        like = [p for p in self._primitives[old.type] if p.arguments == old.primitive.arguments]
        return _replaced(genome, place, compose(rng.choice(like), old.arguments))

    def _finish(self, genome: Expression, rng: Random) -> Expression:
        """A finisher is put on, taken off, or given one more grid."""
        if genome.type is Type.GRID:
            if rng.random() < 0.5:
                return compose(FINISHERS["dye"], [genome])
            return compose(FINISHERS["blend"], [genome, self._grow(Type.GRID, rng.randint(0, 1), rng)])
        arguments = genome.arguments
        if genome.primitive.name in ("dye", "dye2") and rng.random() < 0.7:
            more = self._grow(Type.GRID, rng.randint(0, 2), rng)
            return compose(FINISHERS[f"dye{len(arguments) + 1}"], [*arguments, more])
        return rng.choice(arguments)


def _choose(genome: Expression, rng: Random) -> tuple[Place, Expression]:
    """Any node with equal chance, and the way to it: which argument at each step."""
    places: list[tuple[Place, Expression]] = []

    def visit(place: Place, node: Expression) -> None:
        places.append((place, node))
        for i, argument in enumerate(node.arguments):
            visit((*place, i), argument)

    visit((), genome)
    return rng.choice(places)


def _replaced(genome: Expression, place: Sequence[int], part: Expression) -> Expression:
    """The normal form of the program with `part` at a place."""
    if not place:
        return part
    arguments = list(genome.arguments)
    arguments[place[0]] = _replaced(arguments[place[0]], place[1:], part)
    return compose(genome.primitive, arguments)
