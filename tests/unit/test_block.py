"""Blocks: what is packed comes back, and hostile bytes give BlockError and nothing else."""

import struct
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from distevo.block import MAX_PROGRAMS, best_fitness, pack, unpack
from distevo.errors import BlockError, BlockTooLarge
from distevo.population import Population
from distevo.program import MAX_FITNESS_NUMBERS, MAX_GENOME_BYTES, MAX_META_BYTES, Program
from tests.support.programs import key_of, program, program_lists

encode = msgspec.msgpack.encode
SAMPLE = [
    program(b"fill_holes(x,4)", 0.75, 2.0, fit=False, behaviour=b"8 bytes.", meta=b"seed"),
    program(b"x", 0.5, fit=True),
    program(b"", float("-inf"), 0.0, 1.0, behaviour=b"\xff" * 8),
]


@given(program_lists)
def test_what_is_packed_comes_back(programs: list[Program]) -> None:
    assert unpack(pack(programs), key_of) == programs


@given(program_lists)
def test_the_best_fitness_is_known_without_the_programs(programs: list[Program]) -> None:
    best = Population(programs).best
    assert best_fitness(pack(programs)) == (None if best is None else best.fitness)


def test_largest_parts_come_back() -> None:
    programs = [
        program(bytes(MAX_GENOME_BYTES), *[1.0] * MAX_FITNESS_NUMBERS, meta=bytes(MAX_META_BYTES)),
        program(b"x"),
    ]
    assert unpack(pack(programs), key_of) == programs


def test_the_format_never_changes() -> None:
    """Stored blocks must stay readable; if this fails, the checkpoint's format version has to rise."""
    assert pack(SAMPLE[:2]).hex() == (
        "9692cbbfe8000000000000cbbfe00000000000009291cbc0000000000000009092c40473656564c40092c3c292"
        "c408382062797465732ec40092c40f66696c6c5f686f6c657328782c3429c40178"
    )
    assert pack([]).hex() == "96909090909090"


def test_keys_are_made_on_reading() -> None:
    assert [p.key for p in unpack(pack(SAMPLE), lambda genome: genome[:1].ljust(32))] == [
        b"f".ljust(32),
        b"x".ljust(32),
        b"".ljust(32),
    ]


def test_a_negative_zero_becomes_the_only_zero() -> None:
    first, second = unpack(columns(costs=[-0.0, 0.0], other_costs=[[-0.0], [0.0]]), key_of)
    assert repr(first.fitness) == repr(second.fitness) == "(0.0, 0.0)"


def test_too_many_programs_are_refused() -> None:
    with pytest.raises(BlockError, match="1048577 programs"):
        pack([SAMPLE[0]] * (MAX_PROGRAMS + 1))


def test_no_more_is_made_of_a_block_than_its_reader_takes() -> None:
    data, size = pack(SAMPLE), sum(len(program.genome) for program in SAMPLE)
    assert unpack(data, key_of, len(SAMPLE), size) == SAMPLE
    for most, most_bytes in ((len(SAMPLE) - 1, size), (len(SAMPLE), size - 1)):
        with pytest.raises(BlockTooLarge, match=f"{len(SAMPLE)} programs; at most {most} are taken"):
            unpack(data, _never, most, most_bytes)


def _never(_genome: bytes) -> bytes:
    raise AssertionError("a key was made")


def test_every_truncation_is_an_error() -> None:
    data = pack(SAMPLE)
    for length in range(len(data)):
        with pytest.raises(BlockError):
            unpack(data[:length], key_of)
    with pytest.raises(BlockError):
        unpack(data + b"\0", key_of)


def test_every_flipped_bit_is_an_error_or_another_sound_block() -> None:
    data = pack(SAMPLE)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        check_hostile(bytes(flipped))


def columns(**changed: Any) -> bytes:
    """A block of two programs, some of its columns exchanged."""
    sound: dict[str, Any] = {
        "costs": [-1.0, -2.0],
        "other_costs": [],
        "metadata": [],
        "unfit": [False, True],
        "behaviours": [b"", b"8 bytes."],
        "genomes": [b"x", b"y"],
    }
    assert changed.keys() <= sound.keys()
    return encode(list((sound | changed).values()))


HOSTILE = {
    "nothing": b"",
    "another type": encode({"genomes": []}),
    "too few columns": encode([[], [], [], [], []]),
    "too many columns": encode([[], [], [], [], [], [], []]),
    "few costs": columns(costs=[-1.0]),
    "few other costs": columns(other_costs=[[1.0]]),
    "few metadata": columns(metadata=[b""]),
    "few unfit": columns(unfit=[True]),
    "few behaviours": columns(behaviours=[b""]),
    "few genomes": columns(genomes=[b"x"]),
    "many genomes": columns(genomes=[b"x", b"y", b"z"]),
    "text for bytes": columns(genomes=["x", "y"]),
    "text for a number": columns(costs=["1", "2"]),
    "a number for a boolean": columns(unfit=[1, 0]),
    "nil": columns(genomes=None),
    "NaN": columns(costs=[1.0, float("nan")]),
    "NaN among the others": columns(other_costs=[[], [float("nan")]]),
    "an odd behaviour": columns(behaviours=[b"", b"1234567"]),
    "a long behaviour": columns(behaviours=[b"", b"123456789"]),
    "a large genome": columns(genomes=[b"x", bytes(MAX_GENOME_BYTES + 1)]),
    "much metadata": columns(metadata=[b"", bytes(MAX_META_BYTES + 1)]),
    "many numbers": columns(other_costs=[[], [1.0] * MAX_FITNESS_NUMBERS]),
    "deep nesting": b"\x91" * 100_000,
    "deep nesting inside": b"\x96\x90\x90\x90\x90\x90" + b"\x91" * 100_000,
    "a huge array": b"\x96\xdd\xff\xff\xff\xff",
    "a huge string": b"\x96\x90\x90\x90\x90\x91\xc6\xff\xff\xff\xff",
    "too many programs": b"\x96\xdd" + struct.pack(">I", MAX_PROGRAMS + 1) + b"\x00" * (MAX_PROGRAMS + 1),
    "too many of another column": b"\x96\x90\x90\x90\xdd" + struct.pack(">I", 1 << 23) + b"\xc2" * (1 << 23),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_are_refused_within_bounded_memory(data: bytes) -> None:
    assert len(unpack(columns(), key_of)) == 2, "the block that the hostile ones are made from is sound"
    tracemalloc.start()
    try:
        with pytest.raises(BlockError):
            unpack(data, key_of)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000 + 4 * len(data)


@given(st.binary(max_size=200))
@example(b"\xc1")
def test_any_bytes_are_an_error_or_a_sound_block(data: bytes) -> None:
    check_hostile(data)


junk = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.binary(max_size=9),
        st.text(max_size=3),
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["costs", "other_costs", "metadata", "unfit", "behaviours", "genomes"]),
        st.lists(junk, max_size=3),
    )
)
def test_any_columns_are_an_error_or_a_sound_block(changed: dict[str, Any]) -> None:
    check_hostile(columns(**changed))


def check_hostile(data: bytes) -> None:
    try:
        programs = unpack(data, key_of)
    except BlockError:
        return
    again = [Program.of(p.genome, key_of(p.genome), p.fitness, p.fit, p.behaviour, p.meta) for p in programs]
    assert again == programs
    assert unpack(pack(programs), key_of) == programs
