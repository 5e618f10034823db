"""The one mutable object: lease, epoch and the pointer to the plan, changed only by compare-and-swap."""

from __future__ import annotations

from typing import Annotated

import msgspec

from distevo.errors import ObjectFormatError, ObjectVersionError

_FORMAT = 1


class ClusterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Content of the object `cluster`. Whoever swaps it holds the lease, and the same swap names the plan.

    It stays plain JSON, because it is what a person looks at first when something is wrong.
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
    """The record as stored."""
    return msgspec.json.encode(record)


def decode_cluster(data: bytes) -> ClusterRecord:
    """The stored record. Raises ObjectFormatError, or ObjectVersionError for a newer format."""
    try:
        record = msgspec.json.decode(data, type=ClusterRecord)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ObjectFormatError(f"the object `cluster` cannot be read: {error}") from error
    if record.format > _FORMAT:
        raise ObjectVersionError(f"the object `cluster` has format {record.format}, newer than {_FORMAT}")
    return record
