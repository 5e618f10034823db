"""What a primitive is, and the register of all of them.

A primitive is one small function, its types, and one line of registration::

    @primitive("flip_h", (GRID,), GRID, involution=True)
    def flip_h(grid: Grid) -> Grid:
        return grid[:, ::-1]

Primitives take and give values of `values.py`, change no argument, use no clock and no randomness, end in
bounded time on any values within the limits, and raise `Invalid` where they have no result. The interpreter
checks the limits of results; a primitive checks only what could be large before it is made (`within`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from distevod.problems.grids.values import Type

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, eq=False)
class Primitive:
    """A named operation of the language; `apply` takes one value per entry of `arguments`.

    `function` also makes the name itself an argument of `map`, `measure` one of `argmax` and its like.
    `commutative`, `involution` (f(f(x)) = x) and `idempotent` (f(f(x)) = f(x)) are laws that the normal form
    uses; a test holds each primitive to those that it claims. `paints` says that its colour argument is put into
    the result, so that another colour gives the same but for that colour, which a finisher can give it.
    """

    name: str
    arguments: tuple[Type, ...]
    result: Type
    apply: Callable[..., Any]
    commutative: bool = False
    involution: bool = False
    idempotent: bool = False
    paints: bool = False


PRIMITIVES: dict[str, Primitive] = {}
"""Every operation with arguments, by name, in the order in which the sweep tries them."""
TERMINALS: dict[str, Primitive] = {}
"""Every operation without arguments, by name: the input, symbolic colours, functions, measures."""


def primitive(
    name: str,
    arguments: tuple[Type, ...],
    result: Type,
    *,
    function: bool = False,
    commutative: bool = False,
    involution: bool = False,
    idempotent: bool = False,
    paints: bool = False,
) -> Callable[[Function], Function]:
    """Registers the decorated function; with `function`, its name may also be handed to `map`."""

    def register(apply: Function) -> Function:
        if name in PRIMITIVES:
            raise ValueError(f"two primitives are named {name}")
        PRIMITIVES[name] = Primitive(name, arguments, result, apply, commutative, involution, idempotent, paints)
        if function:
            TERMINALS[name] = Primitive(name, (), Type.FUNCTION, apply)
        return apply

    return register


def measure(name: str) -> Callable[[Function], Function]:
    """Registers the decorated function from a grid to an integer as a measure."""

    def register(apply: Function) -> Function:
        TERMINALS[name] = Primitive(name, (), Type.MEASURE, apply)
        return apply

    return register


def symbol(name: str, result: Type) -> Callable[[Function], Function]:
    """Registers the decorated function of the input grid as a terminal of the language."""

    def register(apply: Function) -> Function:
        TERMINALS[name] = Primitive(name, (), result, apply)
        return apply

    return register
