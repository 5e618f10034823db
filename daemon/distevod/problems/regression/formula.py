"""The genome of a regression program: a weighted sum of terms, and its canonical text."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from distevod.problems.regression.expression import (
    ADD,
    CONSTANT,
    MUL,
    SUB,
    Column,
    Tree,
    parse_arguments,
    rounded,
    size,
    text,
)


class Formula(NamedTuple):
    """`intercept + weight * term + weight * term ...`.

    No term is a sum, a constant, or a constant times something: those dissolve in weights and intercept. The terms
    are sorted, all different, and no weight is 0.
    """

    intercept: float
    weights: tuple[float, ...]
    terms: tuple[Tree, ...]


def terms_of(trees: Iterable[Tree]) -> tuple[Tree, ...]:
    """Trees whose weighted sums are the weighted sums of `trees`, as the terms of a formula must be."""
    return tuple(sorted({term for tree in trees for term in _parts(tree)}))


def _parts(tree: Tree) -> Iterator[Tree]:
    if tree[0] in (ADD, SUB):
        yield from _parts(tree[1])
        yield from _parts(tree[2])
    elif tree[0] == MUL and tree[1][0] == CONSTANT:
        yield from _parts(tree[2])
    elif tree[0] != CONSTANT:
        yield tree


def weighted(intercept: float, weights: Sequence[float], terms: Sequence[Tree]) -> Formula:
    """A formula with weights rounded as constants are, and without the terms whose weight is 0."""
    kept = [(rounded(weight), term) for weight, term in zip(weights, terms, strict=True) if rounded(weight)]
    return Formula(rounded(intercept), tuple(weight for weight, _ in kept), tuple(term for _, term in kept))


def formula_size(terms: Iterable[Tree]) -> int:
    """Number of nodes, without weights and intercept."""
    return sum(map(size, terms))


def complexity(formula: Formula) -> int:
    """Number of nodes, with two for each weight: its number and its product."""
    return formula_size(formula.terms) + 2 * len(formula.terms)


def combined(formula: Formula, columns: Sequence[Column], points: int) -> Column:
    """The sum at each point; `columns` are the values of its terms. Results may be infinite or NaN."""
    total = [formula.intercept] * points
    for weight, column in zip(formula.weights, columns, strict=True):
        if weight == 1.0:
            total = [a + b for a, b in zip(total, column, strict=True)]
        else:
            total = [a + weight * b for a, b in zip(total, column, strict=True)]
    return total


def formula_text(formula: Formula) -> str:
    """Prefix text without spaces: `sum(-1.0,mul(2.0,x0),sin(x0))`; of a single summand, the summand alone."""
    summands = [
        text(term) if weight == 1.0 else f"mul({weight!r},{text(term)})"
        for weight, term in zip(formula.weights, formula.terms, strict=True)
    ]
    if formula.intercept or not summands:
        summands.insert(0, repr(formula.intercept))
    return summands[0] if len(summands) == 1 else f"sum({','.join(summands)})"


def parse_formula(source: str, variables: int, most_nodes: int) -> Formula:
    """The formula of a text. Raises `ValueError` for what is none."""
    if source.startswith("sum(") and source.endswith(")"):
        trees = parse_arguments(source[4:-1], variables, most_nodes)
    else:
        trees = parse_arguments(source, variables, most_nodes)
        if len(trees) != 1:
            raise ValueError("several terms need sum(...) around them")
    intercept = 0.0
    weights: list[float] = []
    terms: list[Tree] = []
    for tree in trees:
        if tree[0] == CONSTANT:
            intercept += tree[1]
        elif tree[0] == MUL and tree[1][0] == CONSTANT:
            weights.append(tree[1][1])
            terms.append(tree[2])
        else:
            weights.append(1.0)
            terms.append(tree)
    if tuple(terms) != terms_of(terms) or not math.isfinite(intercept):
        raise ValueError("the terms of a sum must be sorted, all different, and no sums themselves")
    return weighted(intercept, weights, terms)
