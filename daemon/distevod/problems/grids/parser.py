"""Text to expression, for text that anybody may have written.

The grammar::

    program    = "g1:" expression
    expression = name [ "(" expression { "," expression } ")" ]

`g1` is the version of the language. Names are lower case letters, digits and `_`; what a digit means (colour or
integer) its place says. Only text that is exactly what its expression prints is taken.
"""

from __future__ import annotations

import re

from distevo.errors import ProblemError
from distevod.problems.grids.expression import (
    COLOUR_LITERALS,
    INPUT,
    INTEGER_LITERALS,
    MAX_NODES,
    Expression,
    compose,
)
from distevod.problems.grids.finishers import FINISHERS
from distevod.problems.grids.primitive import PRIMITIVES, TERMINALS, Primitive
from distevod.problems.grids.values import Type

TAG = "g1:"
"""Begins every program's text: the version of the language."""
MAX_BYTES = 1024
"""No program of 12 nodes is longer."""
_TOKEN = re.compile(r"([a-z0-9_]+)(\(?)")


def print_program(expression: Expression) -> bytes:
    """The canonical bytes of an expression in normal form."""
    return (TAG + expression.text).encode("ascii")


def parse_program(data: bytes) -> Expression:
    """The expression that the bytes are the canonical text of.

    Raises:
        ProblemError: not a program of this language in normal form; says where.
    """
    if len(data) > MAX_BYTES:
        raise ProblemError(f"a grids program has at most {MAX_BYTES} bytes, this has {len(data)}")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise ProblemError(f"a grids program is ASCII text; byte {error.start} is not") from None
    if not text.startswith(TAG):
        raise ProblemError(f"a grids program begins with {TAG!r}, this with {text[:8]!r}")
    reader = _Reader(text)
    expression = reader.expression((Type.GRID, Type.ANSWER))
    if reader.at != len(text):
        raise reader.wrong("nothing more")
    if print_program(expression) != data:
        raise ProblemError(f"not in normal form: {text!r} is {TAG + expression.text!r}")
    return expression


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = len(TAG)
        self.nodes = 0

    def wrong(self, expected: str) -> ProblemError:
        found = self.text[self.at : self.at + 16] or "the end"
        return ProblemError(f"in grids program {self.text!r} at {self.at}: expected {expected}, found {found!r}")

    def expression(self, kinds: tuple[Type, ...]) -> Expression:
        """Reads one expression of one of the types; recursion is bounded by the count of nodes."""
        wanted = " or ".join(k.name.lower() for k in kinds)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ProblemError(f"a grids program has at most {MAX_NODES} nodes")
        token = _TOKEN.match(self.text, self.at)
        if token is None:
            raise self.wrong(wanted)
        name, bracket = token[1], bool(token[2])
        primitive = _named(name, bracket, kinds)
        if primitive is None:
            raise self.wrong(wanted)
        self.at = token.end()
        arguments = []
        for i, kind in enumerate(primitive.arguments):
            if i:
                self.take(",")
            arguments.append(self.expression((kind,)))
        if primitive.arguments:
            self.take(")")
        return compose(primitive, arguments)

    def take(self, mark: str) -> None:
        if self.text[self.at : self.at + 1] != mark:
            raise self.wrong(repr(mark))
        self.at += 1


def _named(name: str, bracket: bool, kinds: tuple[Type, ...]) -> Primitive | None:
    """What the name means where one of the types is wanted, or None."""
    if bracket:
        found = PRIMITIVES.get(name) or FINISHERS.get(name)
    elif name == INPUT.name:
        found = INPUT
    elif len(name) == 1 and name.isdigit():
        found = (INTEGER_LITERALS if Type.INTEGER in kinds else COLOUR_LITERALS)[int(name)]
    else:
        found = TERMINALS.get(name)
    return found if found is not None and found.result in kinds else None
