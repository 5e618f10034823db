"""Sealed objects: what was written is read, and everything else is told apart."""

from __future__ import annotations

import struct
import zlib

import msgspec
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from distevo.errors import ObjectDamaged, ObjectError, ObjectFormatError, ObjectVersionError
from distevo.sealed import seal, unseal


class Thing(msgspec.Struct, frozen=True):
    name: str
    numbers: list[int] = []


class Other(msgspec.Struct, frozen=True):
    size: int


KIND = b"THNG"
THING = Thing("x", [1, 2, 3])


def forged(
    kind: bytes = KIND, version: int = 1, head: bytes = b'{"name":"x"}', head_length: int | None = None
) -> bytes:
    """An object with a right digest and whatever content."""
    body = zlib.compress(head)
    prefix = struct.pack(">4s4sHII", b"DEVO", kind, version, len(head) if head_length is None else head_length, 0)
    return prefix + blake3(prefix).update(body).digest(length=16) + body


@given(st.text(), st.lists(st.integers(-(2**63), 2**63 - 1)), st.binary())
def test_what_was_sealed_is_unsealed(name: str, numbers: list[int], payload: bytes) -> None:
    thing = Thing(name, numbers)
    assert unseal(KIND, Thing, seal(KIND, thing, payload)) == (thing, payload)


def test_every_cut_and_every_flipped_bit_is_damage() -> None:
    data = seal(KIND, THING, b"payload")
    for length in range(len(data)):
        with pytest.raises(ObjectDamaged):
            unseal(KIND, Thing, data[:length])
    for place in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(ObjectDamaged):
            unseal(KIND, Thing, bytes(flipped))


def test_a_newer_format_is_no_damage() -> None:
    with pytest.raises(ObjectVersionError, match="upgrade"):
        unseal(KIND, Thing, forged(version=2))


@pytest.mark.parametrize(
    "data",
    [
        forged(kind=b"OTHR"),
        forged(head=b"not json"),
        forged(head=b'{"numbers":[1]}'),
        forged(head=b'{"name":1}'),
        forged(head=b'{"name":"\xff"}'),
        forged(head=b'{"name":"x","numbers":' + b"[" * 100_000),
        forged(head_length=5),
        forged(head_length=2**32 - 1),
        forged(head=bytes(10_000_000), head_length=100),
    ],
)
def test_a_right_digest_does_not_make_wrong_content_good(data: bytes) -> None:
    with pytest.raises(ObjectFormatError):
        unseal(KIND, Thing, data)


@given(st.binary(max_size=200))
def test_any_other_bytes_give_a_typed_error(data: bytes) -> None:
    with pytest.raises(ObjectError):
        unseal(KIND, Other, data)
