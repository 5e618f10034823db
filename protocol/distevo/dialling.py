"""Dialling: who is dialled, and when again.

Of two members that both can be dialled the lower id does it, and the other only if nothing came of that for a while,
so that there are seldom two links to choose from. A link that was there for long is dialled again at once when it is
lost; what fails waits longer each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from blake3 import blake3

from distevo.alarms import Alarms, Clock
from distevo.contact import Contact
from distevo.instructions import Dial
from distevo.outbox import Outbox

YIELD_SECONDS = 3.0
"""The higher id leaves the lower one so long for a first link,"""
REDIAL_YIELD_SECONDS = 0.5
"""and so long for a new one: a loss that is not made good within a second counts as evidence of death."""
LONGEST_WAIT = 30.0
_DOUBLINGS = 5
"""1, 2, 4, 8, 16 s, then `LONGEST_WAIT`."""
STABLE_SECONDS = 10.0
"""A link that lived for less did not end the row of failures."""


class _Aim(msgspec.Struct):
    contact: Contact
    failures: int = 0
    is_pending: bool = False
    """Whether `Dial` has come to neither an open link nor a failure yet."""


class Dialler:
    """Decides when each wished-for member is dialled."""

    def __init__(self, me: str, is_dialable: bool, outbox: Outbox, is_linked: Callable[[str], bool]) -> None:
        self._me, self._is_dialable, self._outbox, self._is_linked = me, is_dialable, outbox, is_linked
        self.is_known = True
        """Whether the plan shows us: else nobody could dial us."""
        self._aims: dict[str, _Aim] = {}
        self._alarms: Alarms[str] = Alarms()
        """When each is dialled next; not while a dial is under way or a link is there."""
        self.clock: Clock = self._alarms.next_deadline
        """When `tick` has something to do."""

    def aim(self, wished: Mapping[str, Contact], now: float) -> None:
        """Dial these from now on, and no others. A new boot or endpoint is dialled without waiting."""
        aims: dict[str, _Aim] = {}
        for member, contact in wished.items():
            if not contact.endpoints:
                continue
            aim = self._aims.get(member)
            is_new = aim is None or _where(aim.contact) != _where(contact)
            if aim is None:
                aim = _Aim(contact)
            aims[member], aim.contact = aim, contact
            if is_new:
                aim.failures = 0
                self._schedule(member, aim, now + (0.0 if self._goes_first(member) else YIELD_SECONDS))
        for member in self._aims.keys() - aims.keys():
            self._alarms.cancel(member)
        self._aims = aims

    def settled(self, member: str) -> None:
        """The dial has come to an open link, or to one more than is needed."""
        aim = self._aims.get(member)
        if aim is not None:
            aim.is_pending = False

    def failed(self, member: str, now: float, is_refused: bool = False) -> None:
        """The dial came to nothing; `is_refused`: the other end will hardly think better of it soon."""
        aim = self._aims.get(member)
        if aim is None:
            return
        aim.is_pending = False
        aim.failures = _DOUBLINGS + 1 if is_refused else aim.failures + 1
        self._schedule(member, aim, now + self._wait(member, aim.failures))

    def lost(self, member: str, now: float, lived: float) -> None:
        """The open link with it, which `lived` so many seconds, is gone."""
        aim = self._aims.get(member)
        if aim is None or aim.is_pending:
            return
        if lived >= STABLE_SECONDS:
            aim.failures = 0
        else:
            aim.failures += 1
        first = 0.0 if self._goes_first(member) else REDIAL_YIELD_SECONDS
        self._schedule(member, aim, now + (self._wait(member, aim.failures) if aim.failures else first))

    def tick(self, now: float) -> None:
        """Dial who is due."""
        while (member := self._alarms.due(now)) is not None:
            aim = self._aims[member]
            if not self._is_linked(member):
                aim.is_pending = True
                self._outbox.emit(Dial(member, aim.contact.endpoints, aim.contact.key))

    def _goes_first(self, member: str) -> bool:
        # Who cannot be dialled has nobody to wait for.
        return self._me < member or not self._is_dialable or not self.is_known

    def _schedule(self, member: str, aim: _Aim, at: float) -> None:
        if not aim.is_pending:
            self._alarms.set(member, at)

    def _wait(self, member: str, failures: int) -> float:
        """Seconds before the next try: doubled each time, and the upper half of it at random but reproducible.

        Without that, all who lost one member would come back to it at the same moments.
        """
        longest = LONGEST_WAIT if failures > _DOUBLINGS else 2.0 ** (failures - 1)
        draw = int.from_bytes(blake3(f"{self._me}\n{member}\n{failures}".encode()).digest(length=4), "big") / 2**32
        return longest * (1.0 + draw) / 2.0


def _where(contact: Contact) -> tuple[str, str, tuple[str, ...]]:
    return contact.boot, contact.key, contact.endpoints
