"""Routes: through whom a member is reached that there is no link with.

A relay is tried and learned from: one that has no link with the member says so, and is left alone for a while; one
through which the member was heard is the first choice. When all refuse, mail is left.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import msgspec

from distevo.alarms import NEVER
from distevo.contact import CANDIDATES, Contact
from distevo.links import Links
from distevo.path import MAIL, Path, PathKind

BAD_SECONDS = 30.0
"""How long a relay that refused is not asked again for the same member."""
MAX_RELAYS = 8
"""Most relays that are tried for a member: who is linked with none of these seldom is with another."""


class _Route(msgspec.Struct):
    path: Path = MAIL
    seen: int = -1
    """`Links.changes` when the path was chosen."""
    until: float = NEVER
    """When a relay that has refused may be asked again."""
    heard_via: str | None = None
    """The relay through which the member was heard last,"""
    heard_at: float = -NEVER
    """and when."""
    bad: dict[str, float] = {}
    """Relay -> until when it is left alone."""


class Routes:
    """The relay for each member without a link."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._contacts: Mapping[str, Contact] = {}
        self._routes: dict[str, _Route] = {}
        self._first: list[str] = []
        """Those linked with, in the order in which they are tried as relays."""
        self._first_seen = -1

    def follow(self, contacts: Mapping[str, Contact]) -> None:
        """Forget who is gone or has another boot now."""
        old, self._contacts = self._contacts, contacts
        for member in list(self._routes):
            if member not in contacts or contacts[member].boot != old[member].boot:
                del self._routes[member]
        self._first_seen = -1

    def path(self, member: str, now: float) -> Path:
        """The path to a contact that there is no link with: VIA or MAIL."""
        route = self._routes.get(member)
        if route is None:
            route = self._routes[member] = _Route()
        via = route.path.via
        if via is None:
            if route.seen != self._links.changes or route.until <= now:
                self._choose(route, now)
        elif via not in self._links.open:
            self._choose(route, now)
        return route.path

    def heard(self, member: str, relay: str, now: float) -> None:
        """The member was heard through this relay: it will do for the way back too."""
        route = self._routes.get(member)
        if route is None:
            route = self._routes[member] = _Route()
        route.heard_at = now
        if route.heard_via != relay or route.path.via != relay:
            route.heard_via, route.path = relay, Path(PathKind.VIA, relay)
            route.bad.pop(relay, None)

    def refused(self, member: str, relay: str, now: float) -> bool:
        """The relay has no link with the member; whether it was the one in use."""
        route = self._routes.get(member)
        if route is None or route.path.via != relay:
            return False
        route.bad = {other: until for other, until in route.bad.items() if until > now}
        route.bad[relay] = now + BAD_SECONDS
        if route.heard_via == relay:
            route.heard_via = None
        self._choose(route, now)
        return True

    def is_heard(self, member: str, since: float) -> bool:
        """Whether the member was heard since then, through a relay that may bring more of it."""
        route = self._routes.get(member)
        return route is not None and route.heard_at > since and route.heard_via in self._links.open

    def proven(self, member: str) -> str | None:
        """The relay in use, if the member was heard through it."""
        route = self._routes.get(member)
        return route.heard_via if route is not None and route.path.via == route.heard_via else None

    def behind(self, relay: str) -> list[str]:
        """Whom this relay was the path to and from."""
        return [member for member, route in self._routes.items() if relay == route.heard_via == route.path.via]

    def give_up(self, relay: str, now: float) -> list[str]:
        """Leave a relay alone that seems lost; whom it was the path to and from."""
        behind = self.behind(relay)
        for member in behind:
            self.refused(member, relay, now)
        return behind

    def _choose(self, route: _Route, now: float) -> None:
        links = self._links
        if self._first_seen != links.changes:
            self._first_seen = links.changes
            self._first = heapq.nsmallest(MAX_RELAYS, links.open, key=self._precedence)
        route.seen, route.until, route.path = links.changes, NEVER, MAIL
        heard = [route.heard_via] if route.heard_via in links.open else []
        for relay in [*heard, *self._first]:
            bad_until = route.bad.get(relay, now)
            if bad_until <= now:
                route.path = Path(PathKind.VIA, relay)
                return
            route.until = min(route.until, bad_until)

    def _precedence(self, member: str) -> tuple[int, str]:
        contact = self._contacts[member]
        return min(contact.rank, CANDIDATES), member
