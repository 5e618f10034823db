"""A member's announcement: what a platform puts into the inbox to join the cluster."""

from __future__ import annotations

from typing import Annotated

import msgspec

from distevo.names import MAX_ID_BYTES
from distevo.plan import MemberPlan
from distevo.sealed import seal, unseal

_KIND = b"MEMB"

MAX_KIND = 64
MAX_KEY = 64
MAX_ENDPOINTS = 32
MAX_ENDPOINT = 300
"""Characters of each: a host's name has at most 253."""
MAX_NUMBER = 2**53
"""What JSON holds wherever it is read."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """The announced object."""

    member: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES)]
    says: MemberPlan
    after: str = ""
    """The boot of that member in the plan that the sender knows; empty for none. A boot takes the place of that one
    and of no other, so that an announcement that comes late cannot bring a dead boot back."""


def fault(says: MemberPlan) -> str | None:
    """Why a platform cannot be taken in as it describes itself, or None. Every plan carries that description: what it
    cannot hold would bring down whoever coordinates, and what is long would make all plans large."""
    numbers = {
        "workers": says.workers,
        "memory_mb": says.memory_mb,
        "batch_size": says.batch_size,
        "islands": says.islands or 0,
        "priority": says.priority,
    }
    name = next((name for name, number in numbers.items() if abs(number) > MAX_NUMBER), None)
    if name is not None:
        return f"its {name} is beyond {MAX_NUMBER}"
    if not 0 < len(says.kind) <= MAX_KIND:
        return f"its kind has {len(says.kind)} characters; 1 to {MAX_KIND} are allowed"
    if len(says.key) > MAX_KEY:
        return f"its key has {len(says.key)} characters; a key has at most {MAX_KEY}"
    if len(says.endpoints) > MAX_ENDPOINTS:
        return f"it has {len(says.endpoints)} endpoints; at most {MAX_ENDPOINTS} are allowed"
    longest = max(map(len, says.endpoints), default=0)
    if longest > MAX_ENDPOINT:
        return f"an endpoint of it has {longest} characters; at most {MAX_ENDPOINT} are allowed"
    return None


def encode_announcement(announcement: Announcement) -> bytes:
    """The announcement as an object for the store."""
    return seal(_KIND, announcement)


def decode_announcement(data: bytes) -> Announcement:
    """The announcement in a stored object; errors as in `sealed.unseal`."""
    announcement, _ = unseal(_KIND, Announcement, data)
    return announcement
