"""A checkpoint: the state of all islands of one platform at one moment, as one verified string of bytes.

    magic "DISTEVO\\n" | format version u16 | content bytes u32 | payload bytes u32 | BLAKE3 digest 32 | payload

Little-endian.  The payload is zlib over MessagePack of `Checkpoint`; data only, and checked field by field on reading.
The digest covers everything but itself and is looked at before the version: bytes that were flipped are damage
wherever they lie, and only a right digest under a higher version is a newer distevo.  Later versions keep this header.
"""

import zlib
from collections.abc import Callable, Iterable
from math import isfinite
from struct import Struct
from typing import Annotated

import msgspec
from blake3 import blake3
from msgspec import Meta

from distevo.block import MAX_PROGRAMS, count, pack, unpack
from distevo.errors import (
    BlockError,
    BlockTooLarge,
    CheckpointDamaged,
    CheckpointMalformed,
    CheckpointTooLarge,
    CheckpointTruncated,
    CheckpointVersionError,
)
from distevo.population import Population
from distevo.program import KEY_BYTES, keyer

FORMAT_VERSION = 1
MAX_CONTENT_BYTES = 1 << 27
"""Uncompressed; what a reader is ready to spend on one object, whatever its header says."""
MAX_CLAIMS = 4096
"""Most islands of which `decode_wanted` looks at what they claim to be."""
COVER_GRANTS = 1000
"""Most grants that a cover names, the latest: each change of owners adds one, in weeks more than a checkpoint may have.
A snapshot under another grant is only merged once more where it is found, and not deleted before its task is over."""

_MAGIC = b"DISTEVO\n"
_HEAD = Struct("<8sHII")
_HEADER_BYTES = _HEAD.size + 32

Natural = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Name = Annotated[str, Meta(max_length=1024)]
Key = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
Amount = Annotated[float, Meta(ge=0)]


class Counters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an island did since it began: programs, CPU seconds and seconds of wall clock."""

    evaluations: Natural = 0
    duplicates: Natural = 0
    invalid: Natural = 0
    errors: Natural = 0
    cpu_seconds: Amount = 0.0
    seconds: Amount = 0.0


class IslandSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The state of one island, from which its evolution goes on as if it had never stopped."""

    run: Name
    task: Name
    island: Natural
    """Index of the island in its task."""
    problem: Name
    version: Name
    grant: Natural
    """The grant under which its owner evolved it."""
    sequence: Natural
    """Rises with each snapshot under one grant; a last state keeps it in whatever holds that."""
    cover: Annotated[dict[Natural, Natural], Meta(max_length=10_000)]
    """Grant to highest sequence of the snapshots whose programs went into this one.  Lower sequences of its own grant
    are covered without being named."""
    seed: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    """With `generation` this is the random state: that of each generation is derived from the two."""
    generation: Natural
    cursor: Annotated[int, Meta(ge=-1, le=(1 << 63) - 1)]
    """Seeds of an earlier run, and then nodes of the exhaustive sweep, that are behind it; -1 when both are over."""
    optimizer: bytes
    """State of the ask/tell optimiser; of the one that ships, the key of the program that a restart kept, or b""."""
    population: bytes
    """A block of programs (distevo.block); b"" before the first generation."""
    invalid: list[Key]
    """Programs that killed a worker, never to be evaluated again."""
    suspects: list[Key]
    """Programs during which a worker died for a reason that may have been another; invalid at the next death."""
    counters: Counters


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The islands of one boot of one member, at one moment."""

    cluster: Name
    member: Name
    boot: Name
    sequence: Natural
    """Number of the checkpoint in its boot."""
    islands: list[IslandSnapshot]
    resource_usage: Annotated[dict[Name, float], Meta(max_length=1000)]
    """What the platform used, by name; units are part of the names."""


class Claim(msgspec.Struct, frozen=True):
    """Of which island a state says that it is. What else there is of it is passed over, and costs nothing."""

    run: Name
    task: Name
    island: Natural
    problem: Name
    version: Name
    grant: Natural


class _Unread(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A checkpoint whose islands nobody has looked at."""

    cluster: Name
    member: Name
    boot: Name
    sequence: Natural
    islands: Annotated[list[msgspec.Raw], Meta(max_length=MAX_CLAIMS)]
    resource_usage: Annotated[dict[Name, float], Meta(max_length=1000)]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Checkpoint).decode
_decode_unread = msgspec.msgpack.Decoder(_Unread).decode
_decode_claim = msgspec.msgpack.Decoder(Claim).decode
_decode_state = msgspec.msgpack.Decoder(IslandSnapshot).decode


def content_bytes(snapshot: IslandSnapshot) -> int:
    """How many bytes of a checkpoint's content a state takes, at most."""
    names = (snapshot.run, snapshot.task, snapshot.problem, snapshot.version)
    keys = len(snapshot.invalid) + len(snapshot.suspects)
    small = 1024 + 4 * sum(map(len, names)) + 18 * len(snapshot.cover) + (KEY_BYTES + 2) * keys
    return small + len(snapshot.population) + len(snapshot.optimizer)


def programs_of(snapshot: IslandSnapshot) -> int:
    """How many programs a state has, by its block, which is taken to be one."""
    return count(snapshot.population)


def encode_checkpoint(checkpoint: Checkpoint, level: int = 6) -> bytes:
    """The bytes of `checkpoint`.  `level` is zlib's, from 1 (fast) to 9 (small); 0 compresses nothing.

    Raises `CheckpointMalformed` for content that `decode_checkpoint` would refuse (the blocks of programs excepted,
    which `pack` made), `ValueError` for another level.
    """
    if not 0 <= level <= 9:
        raise ValueError(f"level {level}; zlib has 0 to 9")
    try:
        content = _encode(checkpoint)
    except (TypeError, ValueError, OverflowError) as error:
        raise CheckpointMalformed(f"cannot be written: {error}") from error
    if len(content) > MAX_CONTENT_BYTES:
        raise CheckpointMalformed(f"{len(content)} bytes; a checkpoint has at most {MAX_CONTENT_BYTES}")
    # What could not be read again must not be written: the islands would be lost without a word.
    _read(content)
    payload = zlib.compress(content, level)
    head = _HEAD.pack(_MAGIC, FORMAT_VERSION, len(content), len(payload))
    return head + blake3(head).update(payload).digest() + payload


def decode_checkpoint(data: bytes) -> Checkpoint:
    """The checkpoint in `data`, everything verified, blocks of programs included.

    Raises `CheckpointTruncated` (the end is missing), `CheckpointDamaged` (other bytes than were written),
    `CheckpointVersionError` (undamaged, by a newer distevo: do not skip it) or `CheckpointMalformed` (undamaged, but
    nothing that an island can be in).  No input makes it raise anything else or use memory without bound.
    """
    checkpoint = _read(_content(data, MAX_CONTENT_BYTES))
    for snapshot in checkpoint.islands:
        _check_programs(snapshot)
    return checkpoint


def decode_wanted(
    data: bytes, is_wanted: Callable[[Claim], bool], most_bytes: int, most_programs: int
) -> list[IslandSnapshot]:
    """Of the states in `data` those that are wanted, verified as in `decode_checkpoint`.

    The others are not looked into: reading a state takes many times the memory and the time that sending it does, and
    whoever sent it may have no business with it.  Raises as `decode_checkpoint`, and `CheckpointTooLarge` for a content
    of more than `most_bytes`, and for more than `most_programs` in what is wanted.
    """
    content = _content(data, most_bytes)
    try:
        unread = _decode_unread(content)
        wanted = [_decode_state(state) for state in unread.islands if is_wanted(_decode_claim(state))]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointMalformed(f"content: {error}") from error
    _check_usage(unread)
    _check_states(wanted)
    left = most_programs
    for snapshot in wanted:
        left -= _check_programs(snapshot, left)
    return wanted


def _content(data: bytes, most: int) -> bytes:
    """What a checkpoint holds, of at most so many bytes."""
    if not data.startswith(_MAGIC[: len(data)]):
        raise CheckpointDamaged(f"begins with {data[: len(_MAGIC)]!r}; a checkpoint begins with {_MAGIC!r}")
    if len(data) < _HEADER_BYTES:
        raise CheckpointTruncated(f"ends after {len(data)} bytes; the header alone has {_HEADER_BYTES}")
    _, version, content_bytes, payload_bytes = _HEAD.unpack_from(data)
    head, digest, payload = data[: _HEAD.size], data[_HEAD.size : _HEADER_BYTES], data[_HEADER_BYTES:]
    if len(payload) < payload_bytes:
        raise CheckpointTruncated(f"ends after {len(data)} bytes of {_HEADER_BYTES + payload_bytes}")
    if len(payload) > payload_bytes:
        raise CheckpointDamaged(f"{len(payload) - payload_bytes} bytes more than the header states")
    if blake3(head).update(payload).digest() != digest:
        raise CheckpointDamaged("the digest does not match the bytes")
    if version > FORMAT_VERSION:
        raise CheckpointVersionError(
            f"format version {version}; this distevo reads up to {FORMAT_VERSION}, so upgrade it"
        )
    if version < 1:
        raise CheckpointMalformed(f"format version {version}")
    if content_bytes > most:
        raise CheckpointTooLarge(f"{content_bytes} bytes of content; {most} at most")
    return _inflate(payload, content_bytes)


def is_whole(data: bytes) -> bool:
    """Whether these are the bytes that `encode_checkpoint` made."""
    head, digest, payload = data[: _HEAD.size], data[_HEAD.size : _HEADER_BYTES], data[_HEADER_BYTES:]
    return data.startswith(_MAGIC) and blake3(head).update(payload).digest() == digest


def latest(cover: dict[int, int]) -> dict[int, int]:
    """The part of a cover that a snapshot is to have."""
    return cover if len(cover) <= COVER_GRANTS else dict(sorted(cover.items())[-COVER_GRANTS:])


def restore(snapshots: Iterable[IslandSnapshot], grant: int) -> IslandSnapshot | None:
    """The state from which the owner under `grant` continues an island; None when there is nothing to continue.

    `snapshots` are verified ones of one island, in any order; those above `grant` are ignored.  The trajectory (seed,
    generation, cursor, optimizer) is that of the highest (grant, sequence).  Programs, invalid and suspects of every
    other that it does not cover are merged in, and the new cover names them; each counter is the highest, since
    snapshots share an unknown part of their past.  The highest generation decides nothing: a former owner that was
    cut off may have evolved on for long, and never seen what its successor found.

    The union may be larger than the island's population; the island cuts it in its next generation.  When nothing
    was merged, the block stays byte for byte, and the island resumes as if it had never stopped.

    Raises `ValueError` when the snapshots are of several islands, `BlockError` for an unverified block.
    """
    ranked = sorted((snapshot for snapshot in snapshots if snapshot.grant <= grant), key=_rank)
    if not ranked:
        return None
    if len({(s.run, s.task, s.island, s.problem, s.version) for s in ranked}) > 1:
        raise ValueError("snapshots of several islands; restore takes those of one")
    start = ranked.pop()
    missed = [snapshot for snapshot in ranked if not _covers(start, snapshot)]
    cover: dict[int, int] = {}
    for snapshot in (start, *missed):
        for by, sequence in (*snapshot.cover.items(), (snapshot.grant, snapshot.sequence)):
            cover[by] = max(sequence, cover.get(by, 0))
    cover = latest(cover)
    if not missed:
        return msgspec.structs.replace(start, cover=cover)
    merged = (start, *missed)
    key_of = keyer(start.problem, start.version)
    blocks = [snapshot.population for snapshot in merged if snapshot.population]
    population = Population(program for block in blocks for program in unpack(block, key_of))
    invalid = {key for snapshot in merged for key in snapshot.invalid}
    suspects = {key for snapshot in merged for key in snapshot.suspects}
    return msgspec.structs.replace(
        start,
        cover=cover,
        population=pack(list(population)),
        invalid=sorted(invalid),
        suspects=sorted(suspects - invalid),
        counters=Counters(*map(max, *(msgspec.structs.astuple(snapshot.counters) for snapshot in merged))),
    )


def _rank(snapshot: IslandSnapshot) -> tuple[int, int, bytes]:
    # The content comes last, so that the start is the same whatever the order of the snapshots.
    canonical = msgspec.structs.replace(snapshot, cover=dict(sorted(snapshot.cover.items())))
    return snapshot.grant, snapshot.sequence, _encode(canonical)


def _covers(snapshot: IslandSnapshot, other: IslandSnapshot) -> bool:
    if (other.grant, other.sequence) == (snapshot.grant, snapshot.sequence):
        return other == snapshot
    if other.grant == snapshot.grant:
        return other.sequence < snapshot.sequence
    return other.sequence <= snapshot.cover.get(other.grant, -1)


def _inflate(payload: bytes, content_bytes: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        # One byte more than promised is enough to see that a bomb is one.
        content = inflater.decompress(payload, content_bytes + 1)
    except zlib.error as error:
        raise CheckpointMalformed(f"cannot be decompressed: {error}") from error
    if len(content) != content_bytes or not inflater.eof or inflater.unused_data:
        raise CheckpointMalformed(f"does not decompress to the {content_bytes} bytes that the header states")
    return content


def _read(content: bytes) -> Checkpoint:
    try:
        checkpoint = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CheckpointMalformed(f"content: {error}") from error
    _check_usage(checkpoint)
    _check_states(checkpoint.islands)
    return checkpoint


def _check_usage(checkpoint: Checkpoint | _Unread) -> None:
    if not all(map(isfinite, checkpoint.resource_usage.values())):
        raise CheckpointMalformed("resource usage is not finite")


def _check_states(states: Iterable[IslandSnapshot]) -> None:
    """Raise CheckpointMalformed for what no island can be in, as far as it can be seen without a look at programs."""
    seen = set()
    for snapshot in states:
        identity = (snapshot.run, snapshot.task, snapshot.island)
        if identity in seen:
            raise CheckpointMalformed(f"island {identity} is there twice")
        seen.add(identity)
        if not (isfinite(snapshot.counters.cpu_seconds) and isfinite(snapshot.counters.seconds)):
            raise CheckpointMalformed(f"island {identity}: seconds are not finite")
        if max(snapshot.cover, default=0) > snapshot.grant:
            raise CheckpointMalformed(f"island {identity}: covers grants above its own, {snapshot.grant}")
        if snapshot.cover.get(snapshot.grant, 0) > snapshot.sequence:
            raise CheckpointMalformed(f"island {identity}: covers sequences above its own, {snapshot.sequence}")


def _check_programs(snapshot: IslandSnapshot, most: int = MAX_PROGRAMS) -> int:
    """How many programs it has. Raises CheckpointMalformed for what is no block of them, or has one twice."""
    if not snapshot.population:
        return 0
    identity = (snapshot.run, snapshot.task, snapshot.island)
    try:
        programs = unpack(snapshot.population, keyer(snapshot.problem, snapshot.version), most)
    except BlockTooLarge as error:
        raise CheckpointTooLarge(f"island {identity}: {error}") from error
    except BlockError as error:
        raise CheckpointMalformed(f"island {identity}: {error}") from error
    if len({program.key for program in programs}) != len(programs):
        raise CheckpointMalformed(f"island {identity}: a program is there twice")
    return len(programs)
