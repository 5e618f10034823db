"""The keeper: when a checkpoint is due, which ones are durable, and which may be deleted."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from itertools import islice
from typing import NamedTuple

import msgspec

from distevo.alarms import NEVER
from distevo.checkpoint import MAX_CONTENT_BYTES, Checkpoint, IslandSnapshot, content_bytes
from distevo.events import IslandId
from distevo.instructions import SaveCheckpoint
from distevo.names import checkpoint_name
from distevo.outbox import RETRY_SECONDS, Outbox, Trouble, next_wait
from distevo.work import cut

URGENT_SECONDS = 1.0
"""However urgent the next checkpoint is, it begins no sooner after the one before."""
COVERING_SNAPSHOTS = 2
"""Durable snapshots of the current owner that must cover an island before an older object with it may go."""
MOST_BYTES = MAX_CONTENT_BYTES - 2**20
"""Of the islands in one object."""


class Mark(NamedTuple):
    """What an object holds of one island."""

    island: IslandId
    grant: int
    sequence: int
    cover: dict[int, int]

    def covers(self, other: Mark) -> bool:
        """Whether the programs of the other snapshot went into this one."""
        if other.grant == self.grant:
            return other.sequence < self.sequence
        return other.sequence <= self.cover.get(other.grant, -1)


def id_of(snapshot: IslandSnapshot) -> IslandId:
    """The island of which this is a state."""
    return IslandId(snapshot.run, snapshot.task, snapshot.island)


def marks_of(islands: Iterable[IslandSnapshot]) -> list[Mark]:
    """What an object with these snapshots holds."""
    return [Mark(id_of(s), s.grant, s.sequence, s.cover) for s in islands]


class Keeper:
    """Checkpoints of one platform.

    One is due after `generations` generations of some island or `seconds` seconds, whichever comes first, and
    not sooner than `least_seconds` after the one before, unless it is urgent. One at a time is on its way: what became
    due meanwhile is written from the state that there is by then, and so the newest takes the place of all that waited.
    What one object has no room for follows in others.
    """

    def __init__(
        self, member: str, boot: str, generations: int, seconds: float, least_seconds: float, outbox: Outbox
    ) -> None:
        self._member, self._boot, self._outbox = member, boot, outbox
        self._generations, self._seconds, self._least = generations, seconds, least_seconds
        self._counts: dict[IslandId, int] = {}
        """Generations of each island since the last checkpoint was begun."""
        self._is_full = False
        """Whether some island has had as many as a checkpoint is due after."""
        self._rest: set[IslandId] = set()
        """Islands that the last object had no room for."""
        self._too_large: set[IslandId] = set()
        """Islands that are so by themselves, and were told of."""
        self._sequence = 0
        self._last_at = -NEVER
        self._changed_at: float | None = None
        self._is_urgent = False
        self._retry_at = -NEVER
        self._writing: tuple[int, list[Mark]] | None = None
        self._wait = 0.0
        """Seconds between the checkpoint that failed last and the next try; 0 after one that did not fail."""
        self._objects: dict[str, list[Mark]] = {}
        self._held: dict[tuple[IslandId, int], dict[int, Mark]] = {}
        """The marks in `_objects` by island and grant, and there by sequence, the newest last."""
        self._unsure: dict[str, list[Mark]] = {}
        """Checkpoints that may be in the store or not: they cover nothing, and go like the others."""
        self.trouble: Trouble | None = None
        """While the last checkpoint could not be written."""
        self.saved_at: float | None = None
        """When the newest durable checkpoint was confirmed."""
        self.replaced = 0
        """Checkpoints that became due while another was on its way, and whose place a newer one took."""

    @property
    def is_writing(self) -> bool:
        """Whether a checkpoint is on its way."""
        return self._writing is not None

    @property
    def has_news(self) -> bool:
        """Whether anything happened since the last checkpoint was begun, or a part of that is still to be written."""
        return self._changed_at is not None or bool(self._rest)

    @property
    def on_its_way(self) -> list[IslandId]:
        """The islands in the object that is on its way."""
        return [mark.island for mark in self._writing[1]] if self._writing is not None else []

    def next_sequence(self) -> int:
        """The next number of this boot; snapshots under one grant are ordered by it."""
        self._sequence += 1
        return self._sequence

    def change(self, now: float) -> None:
        """Something is to be kept at once: a state that is handed over."""
        self._changed_at = now if self._changed_at is None else self._changed_at
        self._is_urgent = True

    def hasten(self, seconds: float) -> None:
        """An end is expected: from now on a checkpoint is due so many seconds after the last, if anything happened."""
        self._seconds, self._least = min(self._seconds, seconds), min(self._least, seconds, URGENT_SECONDS)

    def generation(self, island: IslandId, now: float) -> None:
        """An island has finished a generation."""
        self._counts[island] = count = self._counts.get(island, 0) + 1
        self._is_full |= count >= self._generations
        if self._changed_at is None:
            self._changed_at = now

    def due(self) -> float:
        """When the next checkpoint is due; never while nothing has changed or one is on its way."""
        return self._due() if self._writing is None else NEVER

    def _due(self) -> float:
        if self._changed_at is None and not self._rest:
            return NEVER
        is_urgent = self._is_urgent or bool(self._rest)
        least = min(self._least, URGENT_SECONDS) if is_urgent else self._least
        soonest = max(self._last_at + least, self._retry_at)
        if is_urgent or self._is_full or self._changed_at is None:
            return soonest
        return max(soonest, self._changed_at + self._seconds)

    def save(
        self,
        cluster: str,
        islands: Iterable[IslandSnapshot],
        resource_usage: dict[str, float],
        now: float,
        handed: Container[IslandId] = (),
    ) -> int:
        """Write a checkpoint of these islands, or of those of them that one object has room for; returns its number.

        `handed`: islands that are on their way to another owner. Their last states keep the number under which they are
        sent: under a later one nobody would know of this object that all that it holds is in hand elsewhere.
        """
        sequence = self.next_sequence()
        stamped = [
            island if id_of(island) in handed else msgspec.structs.replace(island, sequence=sequence)
            for island in self._next_of(list(islands))
        ]
        self._writing, self._last_at = (sequence, marks_of(stamped)), now
        checkpoint = Checkpoint(
            cluster=cluster,
            member=self._member,
            boot=self._boot,
            sequence=sequence,
            islands=stamped,
            resource_usage=resource_usage,
        )
        self._outbox.emit(SaveCheckpoint(sequence, checkpoint))
        return sequence

    def _next_of(self, islands: list[IslandSnapshot]) -> list[IslandSnapshot]:
        """What the next object is to hold: the rest of those that the ones before had no room for, or all anew."""
        left = [island for island in islands if id_of(island) in self._rest]
        if not left:
            left, self._counts, self._changed_at = islands, {}, None
            self._is_full = self._is_urgent = False
        self._rest = set()
        chosen, room = [], MOST_BYTES
        for island in left:
            size = min(content_bytes(island), MOST_BYTES)
            if size <= room:
                chosen.append(self._reduced(island))
                room -= size
            else:
                self._rest.add(id_of(island))
        return chosen

    def _reduced(self, island: IslandSnapshot) -> IslandSnapshot:
        """A state that fits into an object: one that is too large alone must not keep others from being saved, nor its
        own platform from leaving."""
        reduced = cut(island, MOST_BYTES)
        if reduced is not island and id_of(island) not in self._too_large:
            self._too_large.add(id_of(island))
            size = content_bytes(island)
            reason = f"it has {size} bytes, and a checkpoint {MAX_CONTENT_BYTES}: only its best programs are saved"
            self._outbox.log("warning", "an island is too large", island=str(id_of(island)), reason=reason)
        return reduced

    def saved(self, sequence: int, now: float) -> list[Mark]:
        """The checkpoint with this number is durable; returns what it holds."""
        if self._writing is None or self._writing[0] != sequence:
            return []
        marks = self._writing[1]
        self.replaced += not self._rest and self._due() < now
        self._objects[checkpoint_name(self._member, self._boot, sequence)] = marks
        for mark in marks:
            self._held.setdefault((mark.island, mark.grant), {})[mark.sequence] = mark
        self._writing, self.saved_at, self._wait, self.trouble = None, now, 0.0, None
        return marks

    def failed(self, sequence: int, reason: str, now: float) -> None:
        """It may be in the store or not; the next one, which holds more, follows, later after each failure in a row."""
        if self._writing is not None and self._writing[0] == sequence:
            self._unsure[checkpoint_name(self._member, self._boot, sequence)] = self._writing[1]
            self._writing, self._changed_at, self._is_urgent = None, now, True
            self._wait = next_wait(self._wait)
            self._retry_at = now + self._wait
            self.trouble = Trouble.after(self.trouble, reason, now)

    def answers_again(self, now: float) -> None:
        """The store was away and answers: what failed is tried soon. It may still take no writes."""
        self._retry_at = min(self._retry_at, now + RETRY_SECONDS)

    def covers(self, mark: Mark, grant: int) -> bool:
        """Whether enough durable snapshots of this platform, under its present `grant`, cover that one."""
        held = self._held.get((mark.island, grant), {})
        if len(held) < COVERING_SNAPSHOTS:
            return False
        # A later snapshot of one grant covers what an earlier one does, so none but the newest need be asked.
        return all(own.covers(mark) for own in islice(reversed(held.values()), COVERING_SNAPSHOTS))

    def prune(self, grant_of: Callable[[Mark], int | None]) -> None:
        """Delete what is covered. `grant_of` gives the current grant of the island, None where this state of it is not
        needed any more.

        An object goes only when each unfinished island in it is covered by two durable snapshots of the current
        owner. That stays true for ever, so a delete that arrives late does no harm.
        """

        def may_go(mark: Mark) -> bool:
            grant = grant_of(mark)
            return grant is None or self.covers(mark, grant)

        for objects in (self._unsure, self._objects):
            for name, marks in list(objects.items()):
                if not all(may_go(mark) for mark in marks):
                    continue
                del objects[name]
                if objects is self._objects:
                    self._forget(marks)
                self._outbox.delete(name)

    def _forget(self, marks: list[Mark]) -> None:
        """An object with these marks goes: it covers nothing any more."""
        for mark in marks:
            held = self._held.get((mark.island, mark.grant), {})
            # A state that was handed over has one number in several objects.
            held.pop(mark.sequence, None)
            if not held:
                self._held.pop((mark.island, mark.grant), None)
