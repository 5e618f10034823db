"""Sealed objects: how a typed value lies in the store.

    magic 4 | kind 4 | format 2 | head length 4 | payload length 4 | BLAKE3-128 of all else 16 | zlib(head + payload)

The digest is looked at before anything else, so that flipped bytes are damage wherever they lie, and only a right
digest under a higher format is a newer distevo. The head is JSON of one `msgspec.Struct`; the payload is bytes that the
head's type gives a meaning to. Whoever reads checks everything before using anything.
"""

from __future__ import annotations

import struct
import zlib
from typing import TypeVar

import msgspec
from blake3 import blake3

from distevo.errors import ObjectDamaged, ObjectFormatError, ObjectVersionError

_MAGIC = b"DEVO"
_HEAD = struct.Struct(">4s4sHII")
_DIGEST_BYTES = 16
_HEADER_BYTES = _HEAD.size + _DIGEST_BYTES
_FORMAT = 1
MAX_SEALED_BYTES = 256 * 2**20
"""Largest head or payload, uncompressed: bounds what a hostile object can make a reader allocate."""

T = TypeVar("T", bound=msgspec.Struct)


def seal(kind: bytes, head: msgspec.Struct, payload: bytes = b"") -> bytes:
    """The bytes of `head` and `payload` as an object of `kind` (4 bytes)."""
    encoded = msgspec.json.encode(head)
    body = zlib.compress(encoded + payload, 3)
    prefix = _HEAD.pack(_MAGIC, kind, _FORMAT, len(encoded), len(payload))
    return prefix + _digest(prefix, body) + body


def unseal(kind: bytes, head_type: type[T], data: bytes) -> tuple[T, bytes]:
    """(head, payload) of a sealed object.

    Raises ObjectDamaged (cut or flipped), ObjectVersionError (written by a newer distevo) or
    ObjectFormatError (whole, but not what `kind` and `head_type` ask for).
    """
    if len(data) < _HEADER_BYTES:
        raise ObjectDamaged(f"{len(data)} bytes are less than a header of {_HEADER_BYTES}")
    magic, found, version, head_length, payload_length = _HEAD.unpack_from(data)
    prefix, body = data[: _HEAD.size], data[_HEADER_BYTES:]
    if magic != _MAGIC:
        raise ObjectDamaged(f"does not begin with {_MAGIC!r}")
    if _digest(prefix, body) != data[_HEAD.size : _HEADER_BYTES]:
        raise ObjectDamaged("the digest does not match the content")
    if version > _FORMAT:
        raise ObjectVersionError(f"format {version}; this distevo reads up to {_FORMAT}: upgrade it")
    if found != kind:
        raise ObjectFormatError(f"is a {found!r}, not a {kind!r}")
    if max(head_length, payload_length) > MAX_SEALED_BYTES:
        raise ObjectFormatError(f"claims more than {MAX_SEALED_BYTES} bytes")
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(body, head_length + payload_length + 1)
    except zlib.error as error:
        raise ObjectFormatError(f"cannot be decompressed: {error}") from error
    if len(content) != head_length + payload_length:
        raise ObjectFormatError("holds more or less than its header says")
    try:
        head = msgspec.json.decode(content[:head_length], type=head_type)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ObjectFormatError(f"head: {error}") from error
    return head, content[head_length:]


def is_whole(data: bytes) -> bool:
    """Whether these are the bytes that `seal` made."""
    return (
        data.startswith(_MAGIC)
        and _digest(data[: _HEAD.size], data[_HEADER_BYTES:]) == data[_HEAD.size : _HEADER_BYTES]
    )


def _digest(prefix: bytes, body: bytes) -> bytes:
    return blake3(prefix).update(body).digest(length=_DIGEST_BYTES)
