"""A checkpoint: the state of all islands of one platform at one moment, as one verified string of bytes.

    magic "DISTEVO\\n" | format version u16 | content length u32 | payload length u32 | BLAKE3 digest | payload

Little-endian.  The payload is zlib over MessagePack of `Checkpoint`.  The digest covers all but itself, so it is looked at
before the version: a flipped version is damage, a right digest under a higher version is a newer distevo.  This header is
therefore kept by every later version.
"""

import zlib
from collections.abc import Iterable
from struct import Struct

import msgspec
from blake3 import blake3

from distevo.block import pack, unpack
from distevo.errors import (
    CheckpointDamaged,
    CheckpointMalformed,
    CheckpointTruncated,
    CheckpointVersionError,
)
from distevo.population import Population
from distevo.program import keyer

FORMAT_VERSION = 1
MAX_CONTENT_BYTES = 1 << 27
_MAGIC = b"DISTEVO\n"
_HEAD = Struct("<8sHII")
_DIGEST_BYTES = 32
_HEADER_BYTES = _HEAD.size + _DIGEST_BYTES


class Counters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an island has done so far: numbers of programs, and seconds."""

    evaluations: int = 0
    duplicates: int = 0
    invalid: int = 0
    errors: int = 0
    cpu_seconds: float = 0.0
    seconds: float = 0.0


class IslandSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state of one island."""

    run: str
    task: str
    island: int
    problem: str
    version: str
    grant: int
    sequence: int
    cover: dict[int, int]
    seed: str
    generation: int
    cursor: int
    optimizer: bytes
    population: bytes
    invalid: list[bytes]
    suspects: list[bytes]
    counters: Counters


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The islands of one boot of one member, and what they used."""

    cluster: str
    member: str
    boot: str
    sequence: int
    islands: list[IslandSnapshot]
    resource_usage: dict[str, float]


def encode_checkpoint(checkpoint: Checkpoint, level: int = 6) -> bytes:
    """The bytes of a checkpoint; `level` is zlib's, 1 (fast) to 9 (small)."""
    content = msgspec.msgpack.encode(checkpoint)
    payload = zlib.compress(content, level)
    head = _HEAD.pack(_MAGIC, FORMAT_VERSION, len(content), len(payload))
    return head + blake3(head + payload).digest() + payload


def decode_checkpoint(data: bytes) -> Checkpoint:
    """The checkpoint in `data`, verified."""
    if len(data) < _HEADER_BYTES:
        raise CheckpointTruncated(f"{len(data)} bytes; the header alone has {_HEADER_BYTES}")
    magic, version, content_bytes, payload_bytes = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise CheckpointDamaged(f"begins with {magic!r}; a checkpoint begins with {_MAGIC!r}")
    payload = data[_HEADER_BYTES:]
    if len(payload) < payload_bytes:
        raise CheckpointTruncated(f"{len(payload)} of {payload_bytes} bytes are there")
    if len(payload) > payload_bytes:
        raise CheckpointDamaged(f"{len(payload) - payload_bytes} bytes behind the end")
    if blake3(data[: _HEAD.size] + payload).digest() != data[_HEAD.size : _HEADER_BYTES]:
        raise CheckpointDamaged("the digest does not match")
    if version > FORMAT_VERSION:
        raise CheckpointVersionError(
            f"format version {version}; this distevo reads up to {FORMAT_VERSION}: upgrade it"
        )
    inflater = zlib.decompressobj()
    content = inflater.decompress(payload, content_bytes + 1)
    if len(content) != content_bytes or not inflater.eof:
        raise CheckpointMalformed("wrong length")
    try:
        return msgspec.msgpack.decode(content, type=Checkpoint)
    except msgspec.MsgspecError as error:
        raise CheckpointMalformed(f"content: {error}") from error


def restore(snapshots: Iterable[IslandSnapshot], grant: int) -> IslandSnapshot | None:
    """The state from which the owner under `grant` goes on; None when no snapshot counts."""
    counted = sorted(
        (s for s in snapshots if s.grant <= grant), key=lambda s: (s.grant, s.sequence), reverse=True
    )
    if not counted:
        return None
    start, *others = counted
    merged = [start, *(s for s in others if start.cover.get(s.grant, -1) < s.sequence)]
    cover: dict[int, int] = {}
    for snapshot in merged:
        for by, sequence in [*snapshot.cover.items(), (snapshot.grant, snapshot.sequence)]:
            cover[by] = max(sequence, cover.get(by, 0))
    key_of = keyer(start.problem, start.version)
    population = Population(program for s in merged for program in unpack(s.population, key_of))
    return msgspec.structs.replace(start, cover=cover, population=pack(list(population)))
