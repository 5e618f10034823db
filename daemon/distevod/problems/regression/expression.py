"""Expressions: trees in a normal form, their canonical text, and their values over columns of numbers.

A tree is nested tuples `(code, ...)`: `(CONSTANT, value)`, `(VARIABLE, index)` or `(code, child[, child])`.
Tuples compare in C, which gives the order of commutative operands, and parts are shared between formulas.

Functions are plain mathematics, none is "protected": a formula means what a reader thinks it means. Outside
its domain (log of a negative number, division by zero, overflow) it has no value, and the program is invalid.
"""

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

Tree = tuple[Any, ...]
Column = list[float]
"""One number for each point."""

CONSTANT = 0
VARIABLE = 1

CONSTANT_DIGITS = 9
"""Significant digits of a constant. Six are needed to hit a target within 1e-6, a double has sixteen."""


class Function(NamedTuple):
    """One function of the language; its code is its place in `FUNCTIONS` + 2."""

    name: str
    arity: int
    call: Callable[..., float]
    commutative: bool = False


FUNCTIONS = (
    Function("add", 2, operator.add, commutative=True),
    Function("sub", 2, operator.sub),
    Function("mul", 2, operator.mul, commutative=True),
    Function("div", 2, operator.truediv),
    Function("pow", 2, math.pow),
    Function("sin", 1, math.sin),
    Function("cos", 1, math.cos),
    Function("exp", 1, math.exp),
    Function("log", 1, math.log),
    Function("sqrt", 1, math.sqrt),
)
"""New functions go to the end: codes order the operands of stored programs."""

CODES = {function.name: code for code, function in enumerate(FUNCTIONS, start=2)}
ADD, SUB, MUL, DIV, POW = (CODES[name] for name in ("add", "sub", "mul", "div", "pow"))
UNARY = tuple(code for code, function in enumerate(FUNCTIONS, start=2) if function.arity == 1)
BINARY = tuple(code for code, function in enumerate(FUNCTIONS, start=2) if function.arity == 2)

_CALLS: tuple[Callable[..., float], ...] = (float, float, *(function.call for function in FUNCTIONS))
_COMMUTATIVE = frozenset(code for code, function in enumerate(FUNCTIONS, start=2) if function.commutative)
_DOMAIN_ERRORS = (ValueError, ZeroDivisionError, OverflowError)

ZERO: Tree = (CONSTANT, 0.0)
ONE: Tree = (CONSTANT, 1.0)


def rounded(value: float) -> float:
    """A number as constants hold it: `CONSTANT_DIGITS` significant digits, no negative zero."""
    return float(f"{value:.{CONSTANT_DIGITS}g}") + 0.0


def constant(value: float) -> Tree:
    """A constant. `value` must be finite."""
    return (CONSTANT, rounded(value))


def node(code: int, *children: Tree) -> Tree:
    """A function applied to trees in normal form, in normal form.

    Constants are folded and drawn to the front of sums and products, operands of commutative functions sorted, and
    a few identities applied: t+0, t*1, t*0, t/1, t^1, t-t, t/t, and t-c as (-c)+t.
    """
    if all(child[0] == CONSTANT for child in children):
        try:
            value = _CALLS[code](*(child[1] for child in children))
        except _DOMAIN_ERRORS:
            return (code, *children)  # it has no value, and says so when evaluated
        return constant(value) if math.isfinite(value) else (code, *children)
    if len(children) == 1:
        return (code, children[0])
    left, right = children
    if code in _COMMUTATIVE:
        if right < left:
            left, right = right, left
        if left[0] == CONSTANT:
            if left == (ZERO if code == ADD else ONE):
                return right
            if code == MUL and left == ZERO:
                return ZERO
            if right[0] == code and right[1][0] == CONSTANT:
                return node(code, node(code, left, right[1]), right[2])
        else:
            for part, other in ((left, right), (right, left)):
                if part[0] == code and part[1][0] == CONSTANT:
                    return node(code, part[1], node(code, part[2], other))
    elif code == SUB:
        if left == right:
            return ZERO
        if right[0] == CONSTANT:
            return node(ADD, constant(-right[1]), left)
    elif code == DIV and left == right:
        return ONE
    elif right == ONE:  # t/1 and t^1
        return left
    return (code, left, right)


def size(tree: Tree) -> int:
    """Number of nodes."""
    if tree[0] < 2:
        return 1
    if len(tree) == 2:
        return 1 + size(tree[1])
    return 1 + size(tree[1]) + size(tree[2])


def subtrees(tree: Tree) -> Iterator[Tree]:
    """Every node with what is below it, in preorder: the order of the text."""
    yield tree
    if tree[0] >= 2:
        for child in tree[1:]:
            yield from subtrees(child)


def replaced(tree: Tree, index: int, new: Tree) -> Tree:
    """The tree with its node number `index` (in preorder) replaced by `new`, in normal form."""
    if index == 0:
        return new
    index -= 1
    children = list(tree[1:])
    for place, child in enumerate(children):
        count = size(child)
        if index < count:
            children[place] = replaced(child, index, new)
            break
        index -= count
    return node(tree[0], *children)


def values(tree: Tree, columns: Sequence[Column], points: int) -> Column | None:
    """The value of the formula at each point, or None where any point has none.

    `columns[i]` holds variable i at each of the `points` points. Results may be infinite or NaN.
    """
    try:
        return _values(tree, columns, points)
    except _DOMAIN_ERRORS:
        return None


def _values(tree: Tree, columns: Sequence[Column], points: int) -> Column:
    code = tree[0]
    if code == VARIABLE:
        return columns[tree[1]]
    if code == CONSTANT:
        return [tree[1]] * points
    # map over a C function costs half of the same expression compiled and called point by point.
    if len(tree) == 2:
        return list(map(_CALLS[code], _values(tree[1], columns, points)))
    return list(map(_CALLS[code], _values(tree[1], columns, points), _values(tree[2], columns, points)))


def text(tree: Tree) -> str:
    """Prefix text without spaces: `add(1.0,mul(x0,x1))`."""
    code = tree[0]
    if code == CONSTANT:
        return repr(tree[1])
    if code == VARIABLE:
        return f"x{tree[1]}"
    if len(tree) == 2:
        return f"{FUNCTIONS[code - 2].name}({text(tree[1])})"
    return f"{FUNCTIONS[code - 2].name}({text(tree[1])},{text(tree[2])})"


def parse_arguments(source: str, variables: int, most_nodes: int) -> list[Tree]:
    """The trees of a comma-separated text. `ValueError` for what is no formula of so many variables and nodes."""
    trees: list[Tree] = []
    end = -1
    while end < len(source):
        tree, end = _parse(source, end + 1, variables, most_nodes)
        most_nodes -= size(tree)
        trees.append(tree)
        if source[end : end + 1] not in ("", ","):
            raise ValueError(f"{source[end:]!r:.40} after the end of the formula")
    return trees


def _parse(source: str, start: int, variables: int, nodes: int) -> tuple[Tree, int]:
    # Each level takes one node of the allowance, which bounds the recursion too.
    if nodes < 1:
        raise ValueError("the formula is too large")
    end = start
    while end < len(source) and source[end] not in "(),":
        end += 1
    word = source[start:end]
    if end == len(source) or source[end] != "(":
        return _parse_leaf(word, variables), end
    code = CODES.get(word)
    if code is None:
        raise ValueError(f"{word!r:.40} is no function; known are {', '.join(CODES)}")
    children: list[Tree] = []
    nodes -= 1
    for place in range(FUNCTIONS[code - 2].arity):
        if source[end : end + 1] != ("," if place else "("):
            raise ValueError(f"{word} takes {FUNCTIONS[code - 2].arity} arguments")
        child, end = _parse(source, end + 1, variables, nodes)
        nodes -= size(child)
        children.append(child)
    if source[end : end + 1] != ")":
        raise ValueError(f"{word} takes {FUNCTIONS[code - 2].arity} arguments; ')' expected")
    return node(code, *children), end + 1


def _parse_leaf(word: str, variables: int) -> Tree:
    if word[:1] == "x" and word[1:].isascii() and word[1:].isdigit() and len(word) < 10:
        index = int(word[1:])
        if index >= variables:
            raise ValueError(f"{word} does not exist: the task has x0 to x{variables - 1}")
        return (VARIABLE, index)
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"{word!r:.40} is neither a number nor a variable") from None
    if not math.isfinite(value):
        raise ValueError(f"{word!r:.40} is no finite number")
    return constant(value)
