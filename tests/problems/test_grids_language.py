"""The language of `grids`: text and back, normal form, hostile text, and the laws that primitives claim."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distevo.errors import ProblemError
from distevod.problems.grids import Grids
from distevod.problems.grids.expression import MAX_NODES, Expression, compose, walk
from distevod.problems.grids.finishers import FINISHERS
from distevod.problems.grids.parser import parse_program, print_program
from distevod.problems.grids.primitive import PRIMITIVES, TERMINALS
from distevod.problems.grids.values import Invalid, Type

TASKS = {name: Grids(data) for name, data in Grids.tasks("training:0-9").items()}
PROBLEMS = list(TASKS.values())
SEEDS = st.integers(0, 2**64 - 1)


@given(SEEDS, st.integers(0, 9))
def test_a_program_is_printed_and_parsed_to_itself(seed: int, which: int) -> None:
    rng, problem = Random(seed), PROBLEMS[which]
    genome = problem.random(rng)
    for _ in range(3):
        data = problem.encode(genome)
        again = problem.decode(data)
        assert again == genome
        assert problem.encode(again) == data
        assert genome.nodes <= MAX_NODES
        assert data == data.lower()
        assert b" " not in data
        genome = problem.mutate(genome, rng)
        genome = problem.crossover(genome, problem.random(rng), rng)


def unordered(expression: Expression, rng: Random) -> Expression:
    """The same program not in normal form: operands changed about, laws undone."""
    arguments = [unordered(a, rng) for a in expression.arguments]
    primitive = expression.primitive
    if primitive.commutative and rng.random() < 0.5:
        arguments.reverse()
    made = Expression(primitive, arguments)
    if made.type is Type.GRID:
        if rng.random() < 0.3:
            made = Expression(PRIMITIVES["flip_h"], [Expression(PRIMITIVES["flip_h"], [made])])
        if rng.random() < 0.3:
            made = Expression(PRIMITIVES["rot90"], [Expression(PRIMITIVES["rot270"], [made])])
    if primitive.involution:
        made = Expression(primitive, [Expression(primitive, [made])])
    if primitive.idempotent:
        made = Expression(primitive, [made, *arguments[1:]])
    return made


def normal(expression: Expression) -> Expression:
    return compose(expression.primitive, [normal(a) for a in expression.arguments])


@settings(max_examples=200)
@given(SEEDS, st.integers(0, 9))
def test_the_normal_form_does_the_same_on_real_grids(seed: int, which: int) -> None:
    rng, problem = Random(seed), PROBLEMS[which]
    genome = problem.random(rng)
    loose = unordered(genome, rng)
    assert normal(loose).text == genome.text
    assert problem.evaluate(loose) == problem.evaluate(genome)


@pytest.mark.parametrize("name", [n for n, p in PRIMITIVES.items() if p.involution or p.idempotent])
def test_each_claimed_law_holds_on_random_grids(name: str) -> None:
    primitive = PRIMITIVES[name]
    rng = np.random.default_rng(7)
    met = 0
    for _ in range(60):
        shape = rng.integers(1, 12, 2)
        grid = rng.integers(0, rng.integers(2, 6), shape).astype(np.uint8)
        value = grid > 0 if primitive.arguments[0] is Type.MASK else grid
        others = [int(c) for c in rng.integers(0, 5, len(primitive.arguments) - 1)]
        try:
            once = primitive.apply(value, *others)
            twice = primitive.apply(once, *others)
        except Invalid:
            continue
        if min(once.shape) == 0:
            continue  # the interpreter refuses it
        met += 1
        assert np.array_equal(twice, value if primitive.involution else once)
    assert met > 5


@pytest.mark.parametrize("inner", ["flip_h", "flip_v", "rot90", "rot180", "rot270", "transpose", "antitranspose"])
@pytest.mark.parametrize("outer", ["flip_h", "flip_v", "rot90", "rot180", "rot270", "transpose", "antitranspose"])
def test_two_turns_are_one(inner: str, outer: str) -> None:
    grid = np.arange(6, dtype=np.uint8).reshape(2, 3)
    x = parse_program(b"g1:x")
    both = compose(PRIMITIVES[outer], [compose(PRIMITIVES[inner], [x])])
    assert both.nodes <= 2
    expected = PRIMITIVES[outer].apply(PRIMITIVES[inner].apply(grid))
    made = both.primitive.apply(grid) if both.arguments else grid
    assert np.array_equal(made, expected)


HOSTILE = [
    b"",
    b"x",
    b"g2:x",
    b"g1:",
    b"g1:y",
    b"g1:X",
    b"g1:x ",
    b"g1:x)",
    b"g1: x",
    b"g1:flip_h",
    b"g1:flip_h()",
    b"g1:flip_h(x",
    b"g1:flip_h(x,x)",
    b"g1:flip_h(3)",
    b"g1:fill_holes(x)",
    b"g1:fill_holes(x,10)",
    b"g1:fill_holes(4,x)",
    b"g1:fill_holes(x,x)",
    b"g1:objs8(x)",
    b"g1:4",
    b"g1:most",
    b"g1:area",
    b"g1:dye(dye(x))",
    b"g1:flip_h(dye(x))",
    b"g1:flip_h(flip_h(x))",
    b"g1:crop(crop(x))",
    b"g1:xor(x,flip_h(x))",
    b"g1:argmax(objs8(x),area)",
    b"g1:argmax(flip_h,objs8(x))",
    b"g1:map(area,objs8(x))",
    b"g1:__class__(x)",
    b"g1:\xff",
    b"g1:\xc2\xb2",
    "g1:fill_holes(x,²)".encode(),
    b"g1:" + b"crop(flip_h(" * 40 + b"x" + b"))" * 40,
    b"g1:" + b"(" * 900,
    b"g1:" + b"hollow(" * 100_000,
    bytes(range(256)),
]


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_text_that_is_no_program_is_refused(data: bytes) -> None:
    with pytest.raises(ProblemError):
        parse_program(data)


@given(st.binary(max_size=60).map(lambda tail: b"g1:" + tail))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    try:
        expression = parse_program(data)
    except ProblemError:
        return
    assert print_program(expression) == data


@given(SEEDS, st.data())
def test_a_damaged_program_is_refused_or_canonical(seed: int, data: st.DataObject) -> None:
    good = bytearray(PROBLEMS[0].encode(PROBLEMS[0].random(Random(seed))))
    at = data.draw(st.integers(3, len(good)))
    good[at:at] = data.draw(st.sampled_from([b"x", b"(", b")", b",", b"1", b"flip_h(", b"most", b"\x00"]))
    try:
        expression = parse_program(bytes(good))
    except ProblemError:
        return
    assert print_program(expression) == bytes(good)


def test_names_are_plain_and_unambiguous() -> None:
    names = [*PRIMITIVES, *FINISHERS]
    assert len(names) == len(set(names)) >= 150
    for name in [*names, *TERMINALS]:
        assert name == name.lower()
        assert name.isascii()
        assert name.replace("_", "").isalnum()
    assert "x" not in TERMINALS
    assert not any(name.isdigit() for name in TERMINALS)


def test_every_primitive_can_be_reached_by_chance() -> None:
    rng, problem = Random(1), PROBLEMS[0]
    met: set[str] = set()
    for _ in range(20_000):
        met.update(node.primitive.name for node in walk(problem.random(rng)))
    assert PRIMITIVES.keys() <= met
