"""The one mutable object: lease, epoch and the pointer to the plan, changed only by compare-and-swap."""

from __future__ import annotations

from typing import Annotated

import msgspec
from blake3 import blake3

from distevo.errors import ObjectDamaged, ObjectFormatError, ObjectVersionError

_FORMAT = 1


class ClusterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Content of the object `cluster`. Whoever swaps it holds the lease, and the same swap names the plan.

    It stays readable, because it is what a person looks at first when something is wrong.
    """

    format: int = _FORMAT
    cluster: str
    """Id of the cluster, made with the object and never changed."""
    epoch: Annotated[int, msgspec.Meta(ge=0)]
    """Number of the holder's term; a takeover adds one, and nothing ever subtracts."""
    holder: str
    """Member id of the coordinator; empty when the lease was released."""
    boot: str
    nonce: str
    """Drawn anew for each swap: how a writer knows its own write again after an unknown answer."""
    ttl: Annotated[float, msgspec.Meta(gt=0, le=3600)]
    """Seconds without a change of this object after which others may try to take it."""
    plan: str | None
    """Name of the plan object in force."""
    plan_version: Annotated[int, msgspec.Meta(ge=0)]


def encode_cluster(record: ClusterRecord) -> bytes:
    """The record as stored: a line of JSON, and a line with its digest."""
    text = msgspec.json.encode(record)
    return text + b"\n" + _digest(text) + b"\n"


def decode_cluster(data: bytes) -> ClusterRecord:
    """The stored record. Raises ObjectDamaged, ObjectVersionError (a newer format) or ObjectFormatError."""
    if not is_whole(data):
        raise ObjectDamaged("the object `cluster` is damaged: its digest does not match")
    text, _, _ = data.partition(b"\n")
    try:
        version = msgspec.json.decode(text, type=_Version).format
        if version > _FORMAT:
            raise ObjectVersionError(f"the object `cluster` has format {version}, newer than {_FORMAT}: upgrade")
        return msgspec.json.decode(text, type=ClusterRecord)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ObjectFormatError(f"the object `cluster` cannot be read: {error}") from error


def is_whole(data: bytes) -> bool:
    """Whether these are the bytes that `encode_cluster` made."""
    text, _, digest = data.partition(b"\n")
    return digest == _digest(text) + b"\n"


class _Version(msgspec.Struct):
    format: int


def _digest(text: bytes) -> bytes:
    return blake3(text).hexdigest(length=16).encode()
