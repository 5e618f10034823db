"""The keeper: when a checkpoint is due, which ones are durable, and which may be deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from distevo.checkpoint import Checkpoint, IslandSnapshot
from distevo.events import IslandId
from distevo.instructions import SaveCheckpoint
from distevo.names import checkpoint_name
from distevo.outbox import RETRY_SECONDS, Outbox

COVERING_SNAPSHOTS = 2
"""Durable snapshots of the current owner that must cover an island before an older object with it may go."""

Held = list[tuple[IslandId, int, int]]
"""What an object holds: (island, grant, sequence) of each snapshot."""


class Keeper:
    """Checkpoints of one platform.

    One is due after `generations` generations of some island or `seconds` seconds, whichever comes first, and
    never sooner than `least_seconds` after the one before. One at a time is on its way.
    """

    def __init__(
        self, member: str, boot: str, generations: int, seconds: float, least_seconds: float, outbox: Outbox
    ) -> None:
        self._member, self._boot, self._outbox = member, boot, outbox
        self._generations, self._seconds, self._least = generations, seconds, least_seconds
        self._counts: dict[IslandId, int] = {}
        self._sequence = 0
        self._last_at = -float("inf")
        self._changed_at: float | None = None
        self._writing: tuple[int, Held] | None = None
        self._objects: dict[str, Held] = {}
        self.saved_at: float | None = None
        """When the newest durable checkpoint was confirmed."""

    @property
    def is_writing(self) -> bool:
        """Whether a checkpoint is on its way."""
        return self._writing is not None

    @property
    def has_news(self) -> bool:
        """Whether anything happened since the last checkpoint was begun."""
        return self._changed_at is not None

    def next_sequence(self) -> int:
        """The next number of this boot; snapshots under one grant are ordered by it."""
        self._sequence += 1
        return self._sequence

    def found(self, name: str, islands: Iterable[IslandSnapshot]) -> None:
        """A checkpoint that an earlier boot left in the store."""
        self._objects[name] = _held(islands)

    def generation(self, island: IslandId, now: float) -> None:
        """An island has finished a generation."""
        self._counts[island] = self._counts.get(island, 0) + 1
        if self._changed_at is None:
            self._changed_at = now

    def due(self) -> float | None:
        """When the next checkpoint is due; None while nothing has changed or one is on its way."""
        if self._changed_at is None or self._writing is not None:
            return None
        wished = 0.0 if max(self._counts.values()) >= self._generations else self._changed_at + self._seconds
        return max(wished, self._last_at + self._least)

    def save(
        self, cluster: str, islands: Iterable[IslandSnapshot], resource_usage: dict[str, float], now: float
    ) -> None:
        """Write a checkpoint of these islands."""
        sequence = self.next_sequence()
        stamped = [msgspec.structs.replace(island, sequence=sequence) for island in islands]
        self._writing = sequence, _held(stamped)
        self._counts, self._changed_at, self._last_at = {}, None, now
        checkpoint = Checkpoint(
            cluster=cluster,
            member=self._member,
            boot=self._boot,
            sequence=sequence,
            islands=stamped,
            resource_usage=resource_usage,
        )
        self._outbox.emit(SaveCheckpoint(sequence, checkpoint))

    def saved(self, sequence: int, now: float) -> None:
        """The checkpoint with this number is durable."""
        if self._writing is not None and self._writing[0] == sequence:
            self._objects[checkpoint_name(self._member, self._boot, sequence)] = self._writing[1]
            self._writing, self.saved_at = None, now

    def failed(self, sequence: int, now: float) -> None:
        """It may be in the store or not; the next one, which holds more, follows soon."""
        if self._writing is not None and self._writing[0] == sequence:
            self._counts = {island: self._generations for island, _, _ in self._writing[1]} | self._counts
            self._writing, self._changed_at = None, now if self._counts else None
            self._last_at = max(self._last_at, now - self._least + RETRY_SECONDS)

    def prune(self, grant_of: Callable[[IslandId], int | None]) -> None:
        """Delete what is covered. `grant_of` gives the current grant of an unfinished island, None for a finished one.

        An object goes only when each unfinished island in it is covered by two durable snapshots of the current
        owner. That stays true for ever, so a delete that arrives late does no harm.
        """
        durable: dict[IslandId, list[tuple[int, int]]] = {}
        for held in self._objects.values():
            for island, grant, sequence in held:
                durable.setdefault(island, []).append((grant, sequence))
        for name, held in list(self._objects.items()):
            if all(self._is_covered(mark, durable[mark[0]], grant_of(mark[0])) for mark in held):
                del self._objects[name]
                self._outbox.delete(name, lambda _answer, _now: None)

    @staticmethod
    def _is_covered(mark: tuple[IslandId, int, int], durable: list[tuple[int, int]], grant: int | None) -> bool:
        if grant is None:
            return True
        newer = [at for at in durable if at[0] == grant and at > mark[1:]]
        return len(newer) >= COVERING_SNAPSHOTS


def _held(islands: Iterable[IslandSnapshot]) -> Held:
    return [(IslandId(s.run, s.task, s.island), s.grant, s.sequence) for s in islands]
