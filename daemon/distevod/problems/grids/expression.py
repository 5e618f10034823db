"""Programs as typed expressions, and their normal form.

The text of an expression is prefix, lower case and without spaces: `fill_holes(x,4)`. In normal form the
operands of commutative primitives are in order of their text, f(f(x)) is x for an involution and f(x) for an
idempotent f, and the eight turns and mirrorings of a grid that follow each other are a single one. Two
expressions with one normal form do the same; the reverse need not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from distevod.problems.grids import primitives as _registers_all
from distevod.problems.grids.primitive import PRIMITIVES, TERMINALS, Primitive
from distevod.problems.grids.values import COLOURS, Type

__all__ = ["COLOUR_LITERALS", "INPUT", "INTEGER_LITERALS", "MAX_NODES", "Expression", "compose", "walk"]

MAX_NODES = 12
"""Most nodes of a program, arguments without arguments included."""


def _no_value(*_: object) -> object:
    raise AssertionError("terminals of this kind are bound by the interpreter")


del _registers_all
INPUT = Primitive("x", (), Type.GRID, _no_value)
"""The input grid."""
COLOUR_LITERALS = tuple(Primitive(str(c), (), Type.COLOUR, _no_value) for c in range(COLOURS))
INTEGER_LITERALS = tuple(Primitive(str(n), (), Type.INTEGER, _no_value) for n in range(10))


class Expression:
    """One node with its arguments: immutable, equal when the texts are (which tell the types apart by place)."""

    __slots__ = ("arguments", "nodes", "primitive", "text")

    def __init__(self, primitive: Primitive, arguments: Sequence[Expression] = ()) -> None:
        self.primitive = primitive
        self.arguments = tuple(arguments)
        self.nodes: int = 1 + sum(a.nodes for a in self.arguments)
        name = primitive.name
        self.text: str = f"{name}({','.join([a.text for a in self.arguments])})" if self.arguments else name

    def __repr__(self) -> str:
        return f"<Expression {self.text}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.text == other.text and self.type is other.type

    def __hash__(self) -> int:
        raise TypeError("expressions are looked up by their text")

    @property
    def type(self) -> Type:
        """What it computes."""
        return self.primitive.result


X = Expression(INPUT)

# Each turn or mirroring as what it does to the row axis, the column axis, and whether the axes change places
# last; a grid is first flipped top to bottom (rows), left to right (columns), and then transposed.
_TURNS: dict[str, tuple[bool, bool, bool]] = {
    "flip_v": (True, False, False),
    "flip_h": (False, True, False),
    "rot180": (True, True, False),
    "transpose": (False, False, True),
    "antitranspose": (True, True, True),
    "rot90": (False, True, True),
    "rot270": (True, False, True),
}
_TURN_NAMES = {turn: name for name, turn in _TURNS.items()}


def _after(inner: tuple[bool, bool, bool], outer: tuple[bool, bool, bool]) -> tuple[bool, bool, bool]:
    """The turn that does `inner` first and then `outer`."""
    rows, columns, swap = outer
    if inner[2]:
        rows, columns = columns, rows
    return inner[0] ^ rows, inner[1] ^ columns, inner[2] ^ swap


def compose(primitive: Primitive, arguments: Sequence[Expression]) -> Expression:
    """The normal form of a primitive of arguments in normal form."""
    if len(arguments) == 1:
        inner = arguments[0]
        if inner.primitive is primitive:
            if primitive.involution:
                return inner.arguments[0]
            if primitive.idempotent:
                return inner
        turn = _TURNS.get(primitive.name)
        if turn is not None:
            first = _TURNS.get(inner.primitive.name)
            if first is not None:
                name = _TURN_NAMES.get(_after(first, turn))
                return inner.arguments[0] if name is None else Expression(PRIMITIVES[name], inner.arguments)
    elif primitive.commutative:
        arguments = sorted(arguments, key=lambda a: a.text)
    elif (
        primitive.idempotent
        and len(arguments) > 1
        and arguments[0].primitive is primitive
        and arguments[0].arguments[1:] == tuple(arguments[1:])
    ):
        return arguments[0]
    return Expression(primitive, arguments)


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and all in it, outermost first, left to right."""
    yield expression
    for argument in expression.arguments:
        yield from walk(argument)


def terminals(kind: Type) -> list[Primitive]:
    """The terminals of a type that stand in the register, in its order (literals and the input are not there)."""
    return [t for t in TERMINALS.values() if t.result is kind]
