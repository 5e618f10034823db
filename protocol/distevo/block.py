"""A block: many programs as one string of bytes, column by column.

One column after another compresses far better than one program after another, and is written and read by C alone.
A block is one MessagePack array of six columns and nothing behind it; they are the fields of `Program`:

    costs          array of f64
    other costs    array of arrays of f64; empty where no program has any
    metadata       array of bytes; empty where no program has any
    unfit          array of booleans
    behaviours     array of bytes
    genomes        array of bytes

The size is the genome's.  Keys are not stored but made again on reading, so that nothing read can claim another
program's key.
"""

from collections.abc import Sequence
from itertools import accumulate, chain, repeat
from math import isnan
from typing import Annotated

import msgspec

from distevo.errors import BlockError, BlockTooLarge
from distevo.program import (
    BEHAVIOUR_BYTES,
    MAX_FITNESS_NUMBERS,
    MAX_GENOME_BYTES,
    MAX_META_BYTES,
    Keyer,
    Program,
)

MAX_PROGRAMS = 1 << 20

_Column = msgspec.Meta(max_length=MAX_PROGRAMS)
_Genome = Annotated[bytes, msgspec.Meta(max_length=MAX_GENOME_BYTES)]
_Others = Annotated[tuple[float, ...], msgspec.Meta(max_length=MAX_FITNESS_NUMBERS - 1)]
_Behaviour = Annotated[bytes, msgspec.Meta(max_length=BEHAVIOUR_BYTES)]
_Metadata = Annotated[bytes, msgspec.Meta(max_length=MAX_META_BYTES)]


class _Columns(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    costs: Annotated[list[float], _Column]
    other_costs: Annotated[list[_Others], _Column]
    metadata: Annotated[list[_Metadata], _Column]
    unfit: Annotated[list[bool], _Column]
    behaviours: Annotated[list[_Behaviour], _Column]
    genomes: Annotated[list[_Genome], _Column]


class _Costs(msgspec.Struct, array_like=True):
    """The first columns; the others are passed over."""

    costs: Annotated[list[float], _Column]
    other_costs: Annotated[list[_Others], _Column]


_LENGTHS = {0xDC: 2, 0xDD: 4}
"""Octets of an array's length behind its first, where that does not hold it."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Columns).decode
_decode_costs = msgspec.msgpack.Decoder(_Costs).decode


def fitting(programs: Sequence[Program], most: int) -> list[Program]:
    """As many of these, from the first on, as have genomes of `most` bytes together."""
    sizes = accumulate(program.size for program in programs)
    return [program for program, size in zip(programs, sizes, strict=True) if size <= most]


def pack(programs: Sequence[Program]) -> bytes:
    """The block of `programs`, their order kept.  `BlockError` for more than 2**20 programs."""
    if len(programs) > MAX_PROGRAMS:
        raise BlockError(f"{len(programs)} programs; a block holds at most {MAX_PROGRAMS}")
    other_costs = [program.other_costs for program in programs]
    metadata = [program.meta for program in programs]
    return _encode(
        _Columns(
            [program.cost for program in programs],
            other_costs if any(other_costs) else [],
            metadata if any(metadata) else [],
            [program.unfit for program in programs],
            [program.behaviour for program in programs],
            [program.genome for program in programs],
        )
    )


def best_fitness(data: bytes) -> tuple[float, ...] | None:
    """The fitness of the best program of a block that `pack` made; None of an empty one. No program is made for it."""
    columns = _decode_costs(data)
    if not columns.other_costs:
        return (0.0 - min(columns.costs),) if columns.costs else None
    cost, others = min(zip(columns.costs, columns.other_costs, strict=True))
    return (0.0 - cost, *[0.0 - other for other in others])


def count(data: bytes) -> int:
    """How many programs a block that `pack` made has. Of another it may be wrong: `unpack` judges."""
    first = data[1] if len(data) > 1 else 0
    if first & 0xF0 == 0x90:
        return first & 0x0F
    return int.from_bytes(data[2 : 2 + _LENGTHS[first]]) if first in _LENGTHS else 0


def unpack(
    data: bytes, key_of: Keyer, most: int = MAX_PROGRAMS, most_bytes: int = MAX_PROGRAMS * MAX_GENOME_BYTES
) -> list[Program]:
    """The programs of a block, in its order, their keys made by `key_of`.

    Any other bytes raise `BlockError`; memory stays within a small multiple of `len(data)`, whatever they claim. More
    than `most` programs, or than `most_bytes` of genomes, raise `BlockTooLarge` before any program is made of them.
    """
    if count(data) > most:
        raise BlockTooLarge(f"{count(data)} programs; at most {most} are taken")
    try:
        columns = _decode(data)
    except msgspec.DecodeError as error:
        raise BlockError(f"no block of programs: {error}") from error
    genomes, metadata, other_costs = columns.genomes, columns.metadata, columns.other_costs
    if not len(genomes) == len(columns.costs) == len(columns.unfit) == len(columns.behaviours):
        raise BlockError("the columns of the block differ in length")
    if len(metadata) not in (0, len(genomes)) or len(other_costs) not in (0, len(genomes)):
        raise BlockError("a column of the block is neither empty nor as long as the others")
    if not {0, BEHAVIOUR_BYTES}.issuperset(map(len, columns.behaviours)):
        raise BlockError(f"a behaviour has neither {BEHAVIOUR_BYTES} bytes nor none")
    if any(map(isnan, columns.costs)) or any(map(isnan, chain.from_iterable(other_costs))):
        raise BlockError("a fitness number is NaN")
    if len(genomes) > most or sum(map(len, genomes)) > most_bytes:
        raise BlockTooLarge(f"{len(genomes)} programs; at most {most} are taken, of {most_bytes} bytes together")
    keys = [key_of(genome) for genome in genomes]
    return list(
        map(
            Program,
            columns.costs,
            other_costs or repeat(()),
            map(len, genomes),
            keys,
            metadata or repeat(b""),
            columns.unfit,
            columns.behaviours,
            genomes,
        )
    )
