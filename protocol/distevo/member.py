"""A member's announcement: what a platform puts into the inbox to join the cluster."""

from __future__ import annotations

from typing import Annotated

import msgspec

from distevo.names import MAX_ID_BYTES
from distevo.plan import MemberPlan
from distevo.sealed import seal, unseal

_KIND = b"MEMB"


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """The announced object."""

    member: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES)]
    says: MemberPlan
    after: str = ""
    """The boot of that member in the plan that the sender knows; empty for none. A boot takes the place of that one
    and of no other, so that an announcement that comes late cannot bring a dead boot back."""


def encode_announcement(announcement: Announcement) -> bytes:
    """The announcement as an object for the store."""
    return seal(_KIND, announcement)


def decode_announcement(data: bytes) -> Announcement:
    """The announcement in a stored object; errors as in `sealed.unseal`."""
    announcement, _ = unseal(_KIND, Announcement, data)
    return announcement
