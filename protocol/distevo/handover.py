"""Hand-over: islands on their way from this platform to the owner that the plan names now.

They stay in the checkpoints here until one that holds their last state is durable. From then on nothing depends on
the message: a new owner that never gets it takes the state from the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from distevo.alarms import NEVER
from distevo.checkpoint import IslandSnapshot
from distevo.events import IslandId
from distevo.keeper import Mark
from distevo.work import IslandWork, Stage

REPEAT_SECONDS = 5.0
KEEP_SECONDS = 30.0
"""How long an island whose last state is durable is kept, and sent again, while its new owner has not shown it."""


class _Parting(msgspec.Struct):
    snapshot: IslandSnapshot
    owner: str
    since: float
    is_durable: bool = False
    is_taken: bool = False


class HandOver:
    """`send` sends a state to its new owner; `done` is told when nothing is left to do here."""

    def __init__(self, send: Callable[[str, IslandSnapshot], None], done: Callable[[IslandId], None]) -> None:
        self._send, self._done = send, done
        self._partings: dict[IslandId, _Parting] = {}
        self._repeat_at = NEVER
        self._is_leaving = False

    def leave(self) -> None:
        """This platform goes as soon as it can: what is durable is sent once, and no more waited for."""
        self._is_leaving = True
        for island, parting in list(self._partings.items()):
            self._end(island, parting)

    def part(self, island: IslandId, snapshot: IslandSnapshot, owner: str, now: float) -> None:
        """The plan gives an island to another owner; an empty one: to nobody yet."""
        # Where there is nobody to take it, it is enough that it is durable.
        self._partings[island] = _Parting(snapshot, owner, now, is_taken=not owner)
        self._repeat_at = min(self._repeat_at, now + REPEAT_SECONDS)
        if owner:
            self._send(owner, snapshot)

    def keep(self, islands: Mapping[IslandId, IslandWork]) -> None:
        """Of these in hand, those that no longer part came back; what is not in hand is over."""
        for island in list(self._partings):
            work = islands.get(island)
            if work is None or work.stage is not Stage.PARTING:
                del self._partings[island]

    def durable(self, marks: list[Mark]) -> None:
        """A checkpoint with these is durable."""
        for mark in marks:
            parting = self._partings.get(mark.island)
            if parting is None:
                continue
            if (mark.grant, mark.sequence) >= (parting.snapshot.grant, parting.snapshot.sequence):
                parting.is_durable = True
                self._end(mark.island, parting)

    def taken(self, island: IslandId, grant: int) -> None:
        """Somebody has it in hand under this grant."""
        parting = self._partings.get(island)
        if parting is not None and grant > parting.snapshot.grant:
            parting.is_taken = True
            self._end(island, parting)

    def tick(self, now: float) -> None:
        """Send again what was not taken, and let go of what was kept long enough."""
        if now < self._repeat_at:
            return
        for island, parting in list(self._partings.items()):
            if parting.is_durable and now >= parting.since + KEEP_SECONDS:
                parting.is_taken = True
                self._end(island, parting)
            elif not parting.is_taken:
                self._send(parting.owner, parting.snapshot)
        self._repeat_at = now + REPEAT_SECONDS if self._partings else NEVER

    def next_deadline(self) -> float:
        """When `tick` has something to do."""
        return self._repeat_at

    def _end(self, island: IslandId, parting: _Parting) -> None:
        if parting.is_durable and (parting.is_taken or self._is_leaving):
            del self._partings[island]
            self._done(island)
