"""A program's key, its identity, its order, and what it refuses to be made of."""

import math
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given

from distevo.program import MAX_FITNESS_NUMBERS, MAX_GENOME_BYTES, MAX_META_BYTES, Program, keyer
from tests.support.programs import key_of, program, programs


def test_a_key_never_changes() -> None:
    """Keys are recomputed from stored genomes: another key for the same bytes would orphan every store."""
    assert keyer("onemax", "1")(b"0101").hex() == "a57fefac9eac57e804f5bdc60a8f7292812df38555b0661a241a728467096f51"


def test_keys_differ_between_problems_versions_and_genomes() -> None:
    keys = [
        keyer(*names)(genome)
        for names in [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), ("a\0b", "c"), ("é", "1")]
        for genome in [b"", b"x", b"y"]
    ]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {32}
    assert keyer("a", "bc")(b"x") == keyer("a", "bc")(b"x")


def test_copies_of_one_program_share_its_key_and_hash_and_are_told_apart() -> None:
    one, copy = program(b"x", 1.0), program(b"x", 2.0, fit=True, behaviour=b"8 bytes.", meta=b"m")
    assert one.key == copy.key
    assert hash(one) == hash(copy)
    assert one != copy
    assert one == program(b"x", 1.0)
    assert one != b"x"


def test_a_set_of_programs_iterates_alike_in_every_process() -> None:
    script = (
        "from distevo.program import Program, keyer\n"
        "k = keyer('a', '1')\n"
        "print([p.genome for p in {Program.of(b'%d' % i, k(b'%d' % i), (0.0,)) for i in range(50)}])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_order_is_fitness_then_the_shorter_genome_then_the_lower_key() -> None:
    short = sorted((program(g, 1.0, 2.0) for g in (b"aa", b"bb", b"cc")), key=lambda p: p.key)
    ranked = [
        program(b"long but infinitely good", math.inf),
        program(b"long but good", 1.0, 3.0),
        *short,
        program(b"ccc", 1.0, 2.0),
        program(b"d", 1.0, 1.0),
        program(b"e", 0.5, 9.0),
        program(b"f", -math.inf, 9.0),
    ]
    assert sorted(random.Random(1).sample(ranked, len(ranked))) == ranked


@given(programs, programs, programs)
def test_order_is_total(a: Program, b: Program, c: Program) -> None:
    assert (a < b) + (b < a) + (a == b) == 1
    if a == b:
        assert (a.key, a.fitness, a.fit) == (b.key, b.fitness, b.fit)
    if len(a.fitness) == len(b.fitness) and a.fitness > b.fitness:
        assert a < b
    if a < b < c:
        assert a < c


def test_equal_fitness_has_equal_bytes() -> None:
    assert len({repr(program(b"x", *fitness)) for fitness in [(0.0, 1.0), (-0.0, 1), (0, True)]}) == 1
    assert len({repr(program(b"x", 1, zero)) for zero in (0.0, -0.0, 0)}) == 1


def test_fitness_is_floats_with_a_single_zero() -> None:
    fitness = Program.of(b"x", key_of(b"x"), (-0.0, 3, -math.inf, True)).fitness
    assert fitness == (0.0, 3.0, -math.inf, 1.0)
    assert [type(number) for number in fitness] == [float] * 4
    assert math.copysign(1.0, fitness[0]) == 1.0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"fitness": (math.nan,)}, "NaN"),
        ({"fitness": (1.0, math.nan)}, "NaN"),
        ({"fitness": ()}, "0 fitness numbers"),
        ({"fitness": (1.0,) * (MAX_FITNESS_NUMBERS + 1)}, "256 fitness numbers"),
        ({"key": b"short"}, "key of 5 bytes"),
        ({"behaviour": b"1234567"}, "behaviour of 7 bytes"),
        ({"meta": bytes(MAX_META_BYTES + 1)}, "metadata of 256 bytes"),
        ({"genome": bytes(MAX_GENOME_BYTES + 1)}, "genome of 1048577 bytes"),
    ],
)
def test_parts_outside_the_limits_are_refused(changed: dict[str, object], words: str) -> None:
    parts: dict[str, object] = {"genome": b"x", "key": key_of(b"x"), "fitness": (1.0,)}
    Program.of(**parts)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        Program.of(**{**parts, **changed})  # type: ignore[arg-type]


def test_a_program_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        program(b"x").genome = b"y"  # type: ignore[misc]
