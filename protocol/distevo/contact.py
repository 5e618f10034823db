"""Contacts: whom a member can speak to, and which of them it wants links with."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

import msgspec
from blake3 import blake3

from distevo.messages import MAX_MEMBERS

FULL_MESH = 32
"""Up to so many members, oneself included, everybody is linked with everybody."""
CANDIDATES = 3
"""In a larger cluster all are linked with the coordinator and the first two standbys: ranks below this."""
RELAYS = 2
"""And with the first of those who can be dialled: candidates may all be notebooks, and then nobody could relay."""
RING_NEIGHBOURS = 3
"""And each with so many on either side of it in the order of the digests of ids: the ring stays connected as long as
no three neighbours in a row are away, and says nothing about names or places."""
FAR = 2**31
"""Rank of a member that is no candidate for coordinator."""


class Contact(msgspec.Struct, frozen=True):
    """One member, as the plan shows it."""

    boot: str
    key: str
    endpoints: tuple[str, ...] = ()
    """Where it can be dialled; empty for who dials out only."""
    rank: int = FAR
    """0 for the coordinator, then the first standbys in the order in which they would follow, and relays with them."""
    is_alive: bool = True
    """Who is not defends its id and its key against no newcomer."""

    def also_at(self, endpoints: Sequence[str]) -> Contact:
        """The same member, which may be found at these endpoints as well."""
        return msgspec.structs.replace(self, endpoints=(*self.endpoints, *endpoints))


def with_relays(order: Mapping[str, int], dialable: Collection[str]) -> dict[str, int]:
    """The ranks in `order`, but that the first `RELAYS` of those who can be dialled are no lower than candidates."""
    relays = [member for member in sorted(order, key=order.__getitem__) if member in dialable][:RELAYS]
    return {**order, **{member: min(order[member], CANDIDATES - 1) for member in relays}}


def wished(me: str, rank: int, contacts: Mapping[str, Contact], wanted: Collection[str] = ()) -> dict[str, Contact]:
    """The contacts that `me`, itself of this rank, wants to be linked with, in the order of `contacts`.

    All, in a small cluster and for candidates and relays of a larger one; else these, neighbours on the ring, and those
    who are `wanted` besides.  Apart from `wanted`, if one wants the other, the other wants it too.
    """
    if len(contacts) < FULL_MESH or rank < CANDIDATES:
        return dict(contacts)
    ring = _ring(frozenset([*contacts, me]))
    place = bisect_left(ring, _place(me), key=_place)
    near = {ring[(place + step) % len(ring)] for step in range(-RING_NEIGHBOURS, RING_NEIGHBOURS + 1)}
    near.update(wanted)
    return {member: contact for member, contact in contacts.items() if contact.rank < CANDIDATES or member in near}


@lru_cache(maxsize=4)
def _ring(members: frozenset[str]) -> list[str]:
    return sorted(members, key=_place)


@lru_cache(maxsize=2 * MAX_MEMBERS)
def _place(member: str) -> tuple[bytes, str]:
    return blake3(member.encode()).digest(length=8), member
