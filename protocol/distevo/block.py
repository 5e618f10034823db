"""A block: many programs as one string of bytes, column by column.

One column after another compresses far better than one program after another, and each column is written and read by a
single call into C.  Little-endian, uncompressed, in the order given:

    header      magic "DEB1", then as u32: programs, fitness numbers, behaviours known, genome bytes, metadata bytes
    lengths     of each genome u32, of each fitness u8, of each behaviour u8 (0 or 8), of each metadata u8
    fit         u8 each, 0 or 1
    fitness     f64 each
    behaviours, genomes, metadata

Keys are not stored but made again on reading, so what is read cannot claim another program's key.
"""

from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from math import isnan
from struct import Struct, unpack_from
from struct import pack as pack_struct
from typing import TypeVar

from distevo.errors import BlockError
from distevo.program import BEHAVIOUR_BYTES, MAX_GENOME_BYTES, Keyer, Program

MAX_PROGRAMS = 1 << 20
_HEADER = Struct("<4s5I")
_MAGIC = b"DEB1"


def pack(programs: Sequence[Program]) -> bytes:
    """The block of `programs`, their order kept.  `BlockError` for more than 2**20 programs."""
    count = len(programs)
    if count > MAX_PROGRAMS:
        raise BlockError(f"{count} programs; a block holds at most {MAX_PROGRAMS}")
    if not programs:
        return _HEADER.pack(_MAGIC, 0, 0, 0, 0, 0)
    _, genomes, _, fitnesses, fits, behaviours, metas = zip(*programs, strict=True)
    numbers = list(chain.from_iterable(fitnesses))
    behaviour, genome, meta = b"".join(behaviours), b"".join(genomes), b"".join(metas)
    return b"".join(
        (
            _HEADER.pack(
                _MAGIC, count, len(numbers), len(behaviour) // BEHAVIOUR_BYTES, len(genome), len(meta)
            ),
            pack_struct(f"<{count}I", *map(len, genomes)),
            bytes(map(len, fitnesses)),
            bytes(map(len, behaviours)),
            bytes(map(len, metas)),
            bytes(fits),
            pack_struct(f"<{len(numbers)}d", *numbers),
            behaviour,
            genome,
            meta,
        )
    )


def unpack(data: bytes, key_of: Keyer) -> list[Program]:
    """The programs of a block, in its order, their keys made by `key_of`.

    Any other bytes raise `BlockError`; memory stays within a small multiple of `len(data)`, whatever the bytes claim.
    """
    if len(data) < _HEADER.size:
        raise BlockError(f"{len(data)} bytes; a block has at least {_HEADER.size}")
    magic, count, numbers, behaviours, genome_bytes, meta_bytes = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise BlockError(f"begins with {magic!r}; a block begins with {_MAGIC!r}")
    if count > MAX_PROGRAMS:
        raise BlockError(f"claims {count} programs; a block holds at most {MAX_PROGRAMS}")
    sizes = (
        4 * count,
        count,
        count,
        count,
        count,
        8 * numbers,
        BEHAVIOUR_BYTES * behaviours,
        genome_bytes,
        meta_bytes,
    )
    if len(data) != _HEADER.size + sum(sizes):
        raise BlockError(f"{len(data)} bytes; the header claims {_HEADER.size + sum(sizes)}")
    columns = _cut(data, (_HEADER.size, *sizes))[1:]
    genome_lengths = unpack_from(f"<{count}I", columns[0])
    fitness_lengths, behaviour_lengths, meta_lengths, fits = columns[1:5]
    values = unpack_from(f"<{numbers}d", columns[5])
    if max(genome_lengths, default=0) > MAX_GENOME_BYTES:
        raise BlockError(f"a genome of {max(genome_lengths)} bytes; at most {MAX_GENOME_BYTES} are allowed")
    if 0 in fitness_lengths:
        raise BlockError("a program without fitness")
    if not set(behaviour_lengths) <= {0, BEHAVIOUR_BYTES}:
        raise BlockError(f"a behaviour is neither 0 nor {BEHAVIOUR_BYTES} bytes long")
    if not set(fits) <= {0, 1}:
        raise BlockError("fit is neither 0 nor 1")
    if any(map(isnan, values)):
        raise BlockError("a fitness is NaN")
    lengths = (genome_lengths, fitness_lengths, behaviour_lengths, meta_lengths)
    if tuple(map(sum, lengths)) != (genome_bytes, numbers, BEHAVIOUR_BYTES * behaviours, meta_bytes):
        raise BlockError("the lengths of the programs' parts do not add up to the columns")
    genomes = _cut(columns[7], genome_lengths)
    return [
        Program(*row)
        for row in zip(
            genomes,
            map(key_of, genomes),
            _cut(values, fitness_lengths),
            map(bool, fits),
            _cut(columns[6], behaviour_lengths),
            _cut(columns[8], meta_lengths),
            strict=True,
        )
    ]


_Cuttable = TypeVar("_Cuttable", bytes, tuple[float, ...])


def _cut(whole: _Cuttable, lengths: Sequence[int]) -> list[_Cuttable]:
    return [whole[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]
