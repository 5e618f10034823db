"""A block: many programs as one string of bytes, column by column.

One column after another compresses far better than one program after another, and is written and read by C alone.
A block is one MessagePack array, in this order and nothing behind it; `programs` is how many, everywhere:

    genomes       array of bytes
    fitness       array of f64: the first number of each
    others        array of arrays of f64: the other numbers of each, or empty where no program has any
    fit           array of booleans
    behaviours    array of bytes, 8 or none each
    metadata      array of bytes

Keys are not stored but made again on reading, so that nothing read can claim another program's key.
"""

from collections.abc import Sequence
from itertools import chain, repeat
from math import isnan
from typing import Annotated

import msgspec

from distevo.errors import BlockError
from distevo.program import (
    BEHAVIOUR_BYTES,
    MAX_FITNESS_NUMBERS,
    MAX_GENOME_BYTES,
    MAX_META_BYTES,
    Keyer,
    Order,
    Program,
)

MAX_PROGRAMS = 1 << 20


_Column = msgspec.Meta(max_length=MAX_PROGRAMS)
_Genome = Annotated[bytes, msgspec.Meta(max_length=MAX_GENOME_BYTES)]
_Others = Annotated[tuple[float, ...], msgspec.Meta(max_length=MAX_FITNESS_NUMBERS - 1)]
_Behaviour = Annotated[bytes, msgspec.Meta(max_length=BEHAVIOUR_BYTES)]
_Metadata = Annotated[bytes, msgspec.Meta(max_length=MAX_META_BYTES)]


class _Columns(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    genomes: Annotated[list[_Genome], _Column]
    fitness: Annotated[list[float], _Column]
    others: Annotated[list[_Others], _Column]
    fit: Annotated[list[bool], _Column]
    behaviours: Annotated[list[_Behaviour], _Column]
    metadata: Annotated[list[_Metadata], _Column]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Columns).decode


def pack(programs: Sequence[Program]) -> bytes:
    """The block of `programs`, their order kept.  `BlockError` for more than 2**20 programs."""
    if len(programs) > MAX_PROGRAMS:
        raise BlockError(f"{len(programs)} programs; a block holds at most {MAX_PROGRAMS}")
    other_costs = [program.order.other_costs for program in programs]
    return _encode(
        _Columns(
            [program.genome for program in programs],
            [0.0 - program.order.cost for program in programs],
            list(map(_negated, other_costs)) if any(other_costs) else [],
            [program.fit for program in programs],
            [program.behaviour for program in programs],
            [program.meta for program in programs],
        )
    )


def unpack(data: bytes, key_of: Keyer) -> list[Program]:
    """The programs of a block, in its order, their keys made by `key_of`.

    Any other bytes raise `BlockError`; memory stays within a small multiple of `len(data)`, whatever they claim.
    """
    try:
        columns = _decode(data)
    except msgspec.DecodeError as error:
        raise BlockError(f"no block of programs: {error}") from error
    count = len(columns.genomes)
    lengths = {len(column) for column in (columns.fitness, columns.fit, columns.behaviours, columns.metadata)}
    if lengths != {count} or len(columns.others) not in (0, count):
        raise BlockError("the columns of the block differ in length")
    if not {0, BEHAVIOUR_BYTES}.issuperset(map(len, columns.behaviours)):
        raise BlockError(f"a behaviour has neither {BEHAVIOUR_BYTES} bytes nor none")
    if any(map(isnan, columns.fitness)) or any(map(isnan, chain.from_iterable(columns.others))):
        raise BlockError("a fitness number is NaN")
    keys = list(map(key_of, columns.genomes))
    orders = map(
        Order,
        [0.0 - number for number in columns.fitness],
        map(_negated, columns.others) if columns.others else repeat(()),
        map(len, columns.genomes),
        keys,
        columns.metadata,
        [not fit for fit in columns.fit],
        columns.behaviours,
    )
    return list(map(Program, orders, columns.genomes, keys, columns.fit, columns.behaviours, columns.metadata))


def _negated(numbers: tuple[float, ...]) -> tuple[float, ...]:
    return tuple([0.0 - number for number in numbers])
