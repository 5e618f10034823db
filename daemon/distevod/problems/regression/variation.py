"""How formulas are made and changed: trees in normal form, from a `random.Random`.

The shares of the operators are set by hand, not tuned.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from random import Random

from distevod.problems.regression.expression import (
    ADD,
    BINARY,
    CONSTANT,
    DIV,
    FUNCTIONS,
    MUL,
    ONE,
    UNARY,
    VARIABLE,
    Tree,
    constant,
    node,
    replaced,
    size,
    subtrees,
)

CONSTANT_SHARE = 0.2
"""Share of constants among the leaves."""
DEEPEST = 5
"""Ramped half-and-half: trees of depth 2 to this (Koza 1992 takes 2 to 6)."""
GROWN_DEEPEST = 3
"""Depth of the trees that mutation grows."""

HIGHEST_POWER = 6
MOST_SIMPLE = 1000
"""Bounds the simple formulas of tables with many columns."""


class Variation:
    """The operators for formulas of `variables` variables: terms in, trees out, whose weights are found later."""

    def __init__(self, variables: int) -> None:
        self._variables = variables

    def simple(self) -> list[Tree]:
        """What a person would try first: powers, each function of a simple argument, products of two variables."""
        variables: list[Tree] = [(VARIABLE, index) for index in range(self._variables)]
        trees: list[Tree] = []
        for x in variables:
            powers = [x]
            while len(powers) < HIGHEST_POWER:
                powers.append(node(MUL, x, powers[-1]))
            square = powers[1]
            arguments = [x, square, node(ADD, ONE, x), node(ADD, ONE, square), node(ADD, x, square)]
            trees += powers
            trees += [node(code, argument) for code in UNARY for argument in arguments]
            trees.append(node(DIV, ONE, x))
        trees += [node(MUL, a, b) for a, b in combinations(variables, 2)]
        return trees[:MOST_SIMPLE]

    def made(self, rng: Random) -> list[Tree]:
        """One or two trees by ramped half-and-half (Koza 1992): depth at random, full or of any shape."""
        return [self._grown(rng, rng.randint(2, DEEPEST), full=rng.random() < 0.5) for _ in range(rng.randint(1, 2))]

    def mutated(self, terms: Sequence[Tree], rng: Random) -> list[Tree]:
        """One term changed, added, left out, or two joined."""
        trees = list(terms)
        choice = rng.random()
        if not trees or choice < 0.2:
            trees.append(self._grown(rng, rng.randint(1, GROWN_DEEPEST), full=False))
            return trees
        index = int(rng.random() * len(trees))
        if len(trees) > 1 and choice < 0.4:
            term = trees.pop(index)
            if choice < 0.3:
                other = int(rng.random() * len(trees))
                code = BINARY[int(rng.random() * len(BINARY))]
                trees[other] = node(code, trees[other], term)
        elif choice < 0.5:
            trees.append(self._changed(trees[index], rng))
        else:
            trees[index] = self._changed(trees[index], rng)
        return trees

    def crossed(self, a: Sequence[Tree], b: Sequence[Tree], rng: Random) -> list[Tree]:
        """Terms of both; or a part of a term of `a` replaced by one of `b` (Koza 1992)."""
        if not a or not b or rng.random() < 0.5:
            return [term for term in (*a, *b) if rng.random() < 0.6]
        trees = list(a)
        index = int(rng.random() * len(trees))
        place, _ = self._part(trees[index], rng)
        _, part = self._part(b[int(rng.random() * len(b))], rng)
        trees[index] = replaced(trees[index], place, part)
        return trees

    def _changed(self, tree: Tree, rng: Random) -> Tree:
        """One of: a new part, another function or leaf, a part alone, a part wrapped, a constant moved."""
        choice = rng.random()
        if choice < 0.3:
            return self._with_new_part(tree, rng)
        if choice < 0.5:
            return self._with_other_node(tree, rng)
        if choice < 0.65:
            return self._hoisted(tree, rng)
        if choice < 0.85:
            return self._wrapped(tree, rng)
        return self._with_moved_constant(tree, rng)

    def _part(self, tree: Tree, rng: Random) -> tuple[int, Tree]:
        parts = list(subtrees(tree))
        inner = [index for index, part in enumerate(parts) if part[0] > VARIABLE]
        if inner and rng.random() < 0.9:
            index = inner[int(rng.random() * len(inner))]
        else:
            index = int(rng.random() * len(parts))
        return index, parts[index]

    def _leaf(self, rng: Random) -> Tree:
        if rng.random() >= CONSTANT_SHARE:
            return (VARIABLE, int(rng.random() * self._variables))
        if rng.random() < 0.5:
            return constant(float(rng.randint(1, 5)))
        return constant(float(f"{rng.gauss(0.0, 2.0):.3g}"))

    def _grown(self, rng: Random, depth: int, full: bool) -> Tree:
        if depth <= 1 or (not full and rng.random() < 0.2):
            return self._leaf(rng)
        # Binary twice as often as unary: chains of sin(exp(...)) are seldom of use.
        if rng.random() < 2 / 3:
            code = BINARY[int(rng.random() * len(BINARY))]
            return node(code, self._grown(rng, depth - 1, full), self._grown(rng, depth - 1, full))
        code = UNARY[int(rng.random() * len(UNARY))]
        return node(code, self._grown(rng, depth - 1, full))

    def _with_new_part(self, tree: Tree, rng: Random) -> Tree:
        index = int(rng.random() * size(tree))
        return replaced(tree, index, self._grown(rng, rng.randint(1, GROWN_DEEPEST), full=False))

    def _with_other_node(self, tree: Tree, rng: Random) -> Tree:
        parts = list(subtrees(tree))
        index = int(rng.random() * len(parts))
        part = parts[index]
        if part[0] <= VARIABLE:
            return replaced(tree, index, self._leaf(rng))
        codes = UNARY if FUNCTIONS[part[0] - 2].arity == 1 else BINARY
        return replaced(tree, index, node(codes[int(rng.random() * len(codes))], *part[1:]))

    def _hoisted(self, tree: Tree, rng: Random) -> Tree:
        # A part takes the place of a part that holds it: shorter, and the rest of the formula stays.
        index, part = self._part(tree, rng)
        inner = list(subtrees(part))
        return replaced(tree, index, inner[int(rng.random() * len(inner))])

    def _wrapped(self, tree: Tree, rng: Random) -> Tree:
        parts = list(subtrees(tree))
        index = int(rng.random() * len(parts))
        part = parts[index]
        if rng.random() < 0.3:
            return replaced(tree, index, node(UNARY[int(rng.random() * len(UNARY))], part))
        other = self._leaf(rng) if rng.random() < 0.5 else parts[int(rng.random() * len(parts))]
        operands = (part, other) if rng.random() < 0.5 else (other, part)
        return replaced(tree, index, node(BINARY[int(rng.random() * len(BINARY))], *operands))

    def _with_moved_constant(self, tree: Tree, rng: Random) -> Tree:
        parts = list(subtrees(tree))
        places = [index for index, part in enumerate(parts) if part[0] == CONSTANT]
        if not places:
            # A factor somewhere inside, to be moved the next time.
            index = int(rng.random() * len(parts))
            factor = constant(float(f"{math.exp(rng.gauss(0.0, 1.0)):.3g}"))
            return replaced(tree, index, node(MUL, factor, parts[index]))
        index = places[int(rng.random() * len(places))]
        value = parts[index][1]
        scale = 10.0 ** rng.randint(-3, 0) * max(abs(value), 0.1)
        return replaced(tree, index, constant(float(f"{value + rng.gauss(0.0, scale):.5g}")))
