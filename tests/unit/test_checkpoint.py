"""The format of a checkpoint: what is written comes back, and anything else gives a typed error, never an island."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from distevo.block import MAX_PROGRAMS, pack
from distevo.checkpoint import (
    FORMAT_VERSION,
    MAX_CLAIMS,
    MAX_CONTENT_BYTES,
    Checkpoint,
    Counters,
    IslandSnapshot,
    decode_checkpoint,
    decode_wanted,
    encode_checkpoint,
)
from distevo.errors import (
    CheckpointDamaged,
    CheckpointError,
    CheckpointMalformed,
    CheckpointTooLarge,
    CheckpointTruncated,
    CheckpointVersionError,
)
from tests.support.programs import PROBLEM, VERSION, populations, program

naturals = st.integers(0, 2**63 - 1)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = st.binary(min_size=32, max_size=32)
amounts = st.floats(0, allow_infinity=False)
grants = st.integers(0, 5)
snapshots = st.builds(
    lambda grant, cover, **fields: IslandSnapshot(
        problem=PROBLEM, version=VERSION, grant=grant, cover={g: s for g, s in cover.items() if g < grant}, **fields
    ),
    run=names,
    task=names,
    island=naturals,
    grant=grants,
    sequence=naturals,
    cover=st.dictionaries(grants, naturals, max_size=3),
    seed=st.binary(min_size=16, max_size=16).map(bytes.hex),
    generation=naturals,
    cursor=st.integers(-1, 2**63 - 1),
    optimizer=st.binary(max_size=9),
    population=st.one_of(st.just(b""), populations.map(lambda population: pack(list(population)))),
    invalid=st.lists(keys, max_size=2),
    suspects=st.lists(keys, max_size=2),
    counters=st.builds(Counters, naturals, naturals, naturals, naturals, amounts, amounts),
)
checkpoints = st.builds(
    Checkpoint,
    cluster=names,
    member=names,
    boot=names,
    sequence=naturals,
    islands=st.lists(snapshots, max_size=3, unique_by=lambda s: (s.run, s.task, s.island)),
    resource_usage=st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
)

SAMPLE = Checkpoint(
    cluster="c1",
    member="laptop",
    boot="00ff",
    sequence=7,
    islands=[
        IslandSnapshot(
            run="r1",
            task="007bbfb7",
            island=0,
            problem=PROBLEM,
            version=VERSION,
            grant=2,
            sequence=5,
            cover={1: 9, 2: 4},
            seed="0123456789abcdef" * 2,
            generation=11,
            cursor=120,
            optimizer=b"",
            population=pack([program(b"x", 0.5, behaviour=b"8 bytes."), program(b"y", 0.25)]),
            invalid=[bytes(32)],
            suspects=[],
            counters=Counters(evaluations=100, duplicates=60, invalid=3, errors=1, cpu_seconds=1.5, seconds=2.0),
        )
    ],
    resource_usage={"cpu_seconds": 1.5},
)
DATA = encode_checkpoint(SAMPLE)
HEADER_BYTES = 50


def content_of(checkpoint: Checkpoint = SAMPLE) -> dict[str, Any]:
    """The content as plain data, to be spoilt."""
    plain: dict[str, Any] = msgspec.to_builtins(checkpoint, builtin_types=(bytes,))
    return plain


def seal(
    content: bytes, *, version: int = FORMAT_VERSION, claimed: int | None = None, payload: bytes | None = None
) -> bytes:
    """A checkpoint of any content, its digest right: what an enemy or a later version could write."""
    payload = zlib.compress(content) if payload is None else payload
    claimed = len(content) if claimed is None else claimed
    head = struct.pack("<8sHII", b"DISTEVO\n", version, claimed, len(payload))
    return head + blake3(head + payload).digest() + payload


def seal_plain(plain: object) -> bytes:
    return seal(msgspec.msgpack.encode(plain))


# --- what is written comes back


@given(checkpoints, st.integers(0, 9))
def test_what_is_written_comes_back(checkpoint: Checkpoint, level: int) -> None:
    assert decode_checkpoint(encode_checkpoint(checkpoint, level)) == checkpoint


def test_the_format_never_changes() -> None:
    """Written by format version 1; if this fails, FORMAT_VERSION has to rise and these bytes must stay readable."""
    stored = bytes.fromhex(
        "4449535445564f0a0100c50100004501000051a5fb8448d4428bb1804f0ce9ce67bb8156d91fb59306a073fe4b0cf40764dd"
        "789c85903d4ec3401085ed000244c311720190cd5f8284043789bcebb1b5c2de5d7676a3840e8ad4890b7a82631b47e20a29"
        "e22e0d2d0de218945809a14048bc6afede37d21be43432a8418da99bc510135059e4492d644a84d0a9e304418170638053d8"
        "ce19461ef771f46eed3f29c3c7ca4db587d785e3b40809482b5b1d58b95482441097a895a721648079171432c11fdd49a83c"
        "ae1b3fd8ad0915f5f2dede6d6ca608e0bf351df7e8f8e4f4acd53ef708f521f8dd972170a8c9356f2fa346a150bd6721358b"
        "d92da8ca2aa590265aeeab83876431fbb0965acc5e57c57098cce749b5d36e92be063cacaca4b27b95ddcf19ef7a11f34755"
        "d3fa47051a9440350e0b2a0caf43c4c1146ab7593e46bff48d8c18ad03c08b35772303a584427b4aa5e9205051e7b9b8fc5c"
        "21f3f5e0eafbc78b02144651e818f442b8fbd3f505e8fea6d0"
    )
    assert decode_checkpoint(stored) == SAMPLE


@pytest.mark.parametrize("level", [-1, 10])
def test_levels_that_zlib_lacks_are_refused(level: int) -> None:
    with pytest.raises(ValueError, match="zlib has 0 to 9"):
        encode_checkpoint(SAMPLE, level)


# --- damage


def test_every_truncation_is_truncated() -> None:
    for length in range(len(DATA)):
        with pytest.raises(CheckpointTruncated):
            decode_checkpoint(DATA[:length])


def test_every_flipped_bit_is_seen() -> None:
    for bit in range(8 * len(DATA)):
        flipped = bytearray(DATA)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((CheckpointDamaged, CheckpointTruncated)) as caught:
            decode_checkpoint(bytes(flipped))
        in_payload_length = 14 <= bit // 8 < 18
        assert caught.type is CheckpointDamaged or in_payload_length


def test_bytes_behind_the_end_are_damage() -> None:
    with pytest.raises(CheckpointDamaged, match="1 bytes more"):
        decode_checkpoint(DATA + b"\0")


def test_another_file_is_damage_however_short() -> None:
    for data in (b"{", b'{"cluster": "c1"}' * 9, DATA[1:]):
        with pytest.raises(CheckpointDamaged, match="a checkpoint begins with"):
            decode_checkpoint(data)


@given(st.data())
def test_scattered_damage_is_seen(data: st.DataObject) -> None:
    spoilt = bytearray(DATA)
    for place in data.draw(st.lists(st.integers(0, len(DATA) - 1), min_size=1, max_size=9)):
        spoilt[place] = data.draw(st.integers(0, 255))
    if spoilt == DATA:
        assert decode_checkpoint(bytes(spoilt)) == SAMPLE
    else:
        with pytest.raises((CheckpointDamaged, CheckpointTruncated)):
            decode_checkpoint(bytes(spoilt))


# --- other versions


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 0xFFFF])
def test_a_newer_version_is_not_damage(version: int) -> None:
    with pytest.raises(CheckpointVersionError, match="upgrade it"):
        decode_checkpoint(seal(b"", version=version, payload=b"in a format that nobody knows yet"))


def test_version_nought_never_was() -> None:
    with pytest.raises(CheckpointMalformed, match="format version 0"):
        decode_checkpoint(seal(b"", version=0))


# --- right digest, impossible content


def test_the_sealed_sample_is_sound() -> None:
    """What the hostile ones below are made from is read without complaint, so each fails for what was spoilt in it."""
    assert decode_checkpoint(seal_plain(content_of())) == SAMPLE
    assert decode_checkpoint(seal(CONTENT, payload=zlib.compress(CONTENT, 1))) == SAMPLE


CONTENT = msgspec.msgpack.encode(content_of())
BOMB = zlib.compress(bytes(1 << 26), 9)
PAYLOADS = {
    "a bomb that claims to be small": seal(b"", claimed=1000, payload=BOMB),
    "a bomb that claims to be nothing": seal(b"", claimed=0, payload=BOMB),
    "more than a reader is ready to spend": seal(b"", claimed=MAX_CONTENT_BYTES + 1, payload=BOMB),
    "the largest claim": seal(b"", claimed=0xFFFFFFFF),
    "less than it claims": seal(b"", claimed=1000),
    "no zlib": seal(b"", payload=b"not compressed"),
    "nothing": seal(b"", payload=b""),
    "zlib cut short": seal(CONTENT, payload=zlib.compress(CONTENT)[:-1]),
    "more behind the zlib": seal(CONTENT, payload=zlib.compress(CONTENT) + b"def"),
    "no MessagePack": seal(b"\xc1"),
    "an empty content": seal(b""),
    "two contents": seal(CONTENT * 2),
    "deep nesting": seal(b"\x91" * 1_000_000),
    "deep nesting in a field": seal(b"\x81\xa7islands" + b"\x91" * 1_000_000),
    "deep maps": seal(b"\x81\xa1x" * 1_000_000),
    "a huge array": seal(b"\x81\xa7islands\xdd\xff\xff\xff\xff"),
    "a huge map": seal(b"\x81\xaeresource_usage\xdf\xff\xff\xff\xff"),
    "a huge string": seal(b"\x81\xa7cluster\xdb\xff\xff\xff\xff"),
    "text that is no UTF-8": seal(b"\x81\xa7cluster\xa2\xff\xfe"),
    "an extension": seal(b"\xc7\x01\x05\x00"),
}


def wanted(data: bytes, is_wanted: bool = True) -> list[IslandSnapshot]:
    return decode_wanted(data, lambda _: is_wanted, MAX_CONTENT_BYTES, MAX_PROGRAMS)


@pytest.mark.parametrize("read", [decode_checkpoint, wanted])
@pytest.mark.parametrize("data", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_hostile_payloads_are_refused_within_bounded_memory(data: bytes, read: Callable[[bytes], object]) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointMalformed):
            read(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_what_is_wanted_of_a_checkpoint_is_read_and_the_rest_is_not() -> None:
    other = msgspec.structs.replace(SAMPLE.islands[0], island=1, population=b"no block")
    two = msgspec.structs.replace(SAMPLE, islands=[*SAMPLE.islands, other])
    data = encode_checkpoint(two)
    assert decode_wanted(data, lambda claim: claim.island == 0, MAX_CONTENT_BYTES, 2) == SAMPLE.islands
    assert wanted(data, is_wanted=False) == []
    with pytest.raises(CheckpointMalformed, match="no block"):
        wanted(data)


def test_of_more_than_may_be_nothing_is_read() -> None:
    for bytes_, programs in ((len(CONTENT) - 1, 2), (len(CONTENT), 1)):
        with pytest.raises(CheckpointTooLarge):
            decode_wanted(DATA, lambda _: True, bytes_, programs)
    assert decode_wanted(DATA, lambda _: True, len(CONTENT), 2) == SAMPLE.islands


def test_no_more_claims_are_looked_at_than_anybody_has_to_make() -> None:
    plain = content_of()
    plain["islands"] = [first(plain) | {"island": index} for index in range(MAX_CLAIMS)]
    assert wanted(seal_plain(plain), is_wanted=False) == []
    plain["islands"].append(first(plain))
    with pytest.raises(CheckpointMalformed):
        wanted(seal_plain(plain), is_wanted=False)


@pytest.mark.parametrize("field", [b"\xa6island", b"\xa4seed", b"\xa4more"])
def test_what_is_passed_over_may_be_as_deep_as_it_likes(field: bytes) -> None:
    island = b"\x81" + field + b"\x91" * 1_000_000 + b"\xc0"
    outer = [b"\xa7cluster\xa0", b"\xa6member\xa0", b"\xa4boot\xa0", b"\xa8sequence\x00", b"\xaeresource_usage\x80"]
    with pytest.raises(CheckpointMalformed):
        wanted(seal(b"\x86" + b"".join(outer) + b"\xa7islands\x91" + island))


def first(plain: dict[str, Any]) -> dict[str, Any]:
    island: dict[str, Any] = plain["islands"][0]
    return island


def island_with(**changed: object) -> Callable[[dict[str, Any]], object]:
    return lambda plain: first(plain).update(changed)


def counters_with(**changed: object) -> Callable[[dict[str, Any]], object]:
    return lambda plain: first(plain)["counters"].update(changed)


IMPOSSIBLE: dict[str, Callable[[dict[str, Any]], object]] = {
    "no cluster": lambda plain: plain.pop("cluster"),
    "no seed": lambda plain: first(plain).pop("seed"),
    "an unknown field": lambda plain: plain.update(more=1),
    "an unknown field of an island": island_with(more=1),
    "islands by name": lambda plain: plain.update(islands={"0": first(plain)}),
    "an island twice": lambda plain: plain["islands"].append(first(plain)),
    "a negative generation": island_with(generation=-1),
    "a negative grant": island_with(grant=-1),
    "a negative sequence": island_with(sequence=-1),
    "a negative checkpoint": lambda plain: plain.update(sequence=-1),
    "a negative island": island_with(island=-1),
    "a cursor below -1": island_with(cursor=-2),
    "a huge generation": island_with(generation=2**63),
    "a fractional generation": island_with(generation=1.5),
    "a generation in words": island_with(generation="11"),
    "a boolean grant": island_with(grant=True),
    "no population": island_with(population=None),
    "a long name": island_with(run="r" * 1025),
    "a seed in capitals": island_with(seed="0123456789ABCDEF" * 2),
    "a short seed": island_with(seed="00"),
    "a seed and a line": island_with(seed="0123456789abcdef" * 2 + "\n"),
    "a short key among the invalid": island_with(invalid=[bytes(31)]),
    "a long key among the suspects": island_with(suspects=[bytes(33)]),
    "a negative cover": island_with(cover={1: -1}),
    "a cover of a negative grant": island_with(cover={-1: 1}),
    "a cover of a grant above its own": island_with(cover={3: 1}),
    "a cover of a sequence above its own": island_with(cover={2: 6}),
    "a huge cover": island_with(grant=20_000, cover=dict.fromkeys(range(10_001), 1)),
    "negative counters": counters_with(evaluations=-1),
    "counters that are NaN": counters_with(cpu_seconds=float("nan")),
    "counters that are infinite": counters_with(seconds=float("inf")),
    "usage that is NaN": lambda plain: plain.update(resource_usage={"memory_mb": float("nan")}),
    "a block that is none": island_with(population=b"not a block"),
    "a block cut short": lambda plain: first(plain).update(population=first(plain)["population"][:-1]),
    "a program twice": island_with(population=pack([program(b"x", 1.0), program(b"x", 2.0)])),
}


@pytest.mark.parametrize("spoil", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_impossible_content_is_refused(spoil: Callable[[dict[str, Any]], object]) -> None:
    plain = content_of()
    spoil(plain)
    with pytest.raises(CheckpointMalformed):
        decode_checkpoint(seal_plain(plain))
    with pytest.raises(CheckpointMalformed):
        wanted(seal_plain(plain))


junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.binary(max_size=40), names),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(names | st.integers(-2, 9), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.data())
def test_whatever_is_sealed_is_refused_or_could_have_been_written(data: st.DataObject) -> None:
    plain = content_of()
    island = first(plain)
    places = [plain, island, island["counters"], island["cover"]]
    for _ in range(data.draw(st.integers(1, 3))):
        spoilt: dict[Any, Any] = data.draw(st.sampled_from(places))
        spoilt[data.draw(st.sampled_from(sorted(spoilt)))] = data.draw(junk)
    check_sealed(seal_plain(plain))


@settings(max_examples=300)
@given(st.binary(max_size=64), st.integers(0, 500))
def test_content_spoilt_before_sealing_is_refused_or_could_have_been_written(noise: bytes, at: int) -> None:
    check_sealed(seal(CONTENT[:at] + noise + CONTENT[at + len(noise) :]))


def check_sealed(data: bytes) -> None:
    try:
        checkpoint = decode_checkpoint(data)
    except CheckpointMalformed:
        return
    assert decode_checkpoint(encode_checkpoint(checkpoint)) == checkpoint


@given(st.binary(max_size=100))
def test_any_bytes_give_a_typed_error(data: bytes) -> None:
    with pytest.raises(CheckpointError):
        decode_checkpoint(data)


# --- what could not be read is not written


@pytest.mark.parametrize(
    "changed",
    [
        {"grant": -1},
        {"generation": 2**64},
        {"generation": 2**63},
        {"run": "\ud800"},
        {"seed": "not hexadecimal"},
        {"invalid": [b"short"]},
        {"cover": {3: 1}},
        {"optimizer": object()},
        {"counters": Counters(cpu_seconds=float("nan"))},
    ],
)
def test_what_could_not_be_read_is_not_written(changed: dict[str, Any]) -> None:
    island = msgspec.structs.replace(SAMPLE.islands[0], **changed)
    with pytest.raises(CheckpointMalformed):
        encode_checkpoint(msgspec.structs.replace(SAMPLE, islands=[island]))


def test_an_island_is_not_written_twice() -> None:
    with pytest.raises(CheckpointMalformed, match="twice"):
        encode_checkpoint(msgspec.structs.replace(SAMPLE, islands=SAMPLE.islands * 2))


def test_more_than_a_reader_takes_is_not_written() -> None:
    island = msgspec.structs.replace(SAMPLE.islands[0], optimizer=bytes(MAX_CONTENT_BYTES))
    with pytest.raises(CheckpointMalformed, match="at most"):
        encode_checkpoint(msgspec.structs.replace(SAMPLE, islands=[island]))
