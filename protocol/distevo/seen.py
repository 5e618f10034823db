"""Seen keys: what the islands of one task have evaluated, so that no other platform evaluates it again.

A key is announced only when a durable checkpoint holds the state in which its program was evaluated: otherwise a
death between the two would leave a program that everybody skips and nobody has. Fit programs are never among the
keys (the islands leave them out). All of it may be lost at any time, which costs evaluations and nothing else.

Delay: from an evaluation to its key on the way is at most the interval of checkpoints, the time that writing one
takes, and `SEEN_SECONDS`; more only where a task evaluates faster than is announced. Bytes: each platform sends each
other at most `MAX_SEEN_BYTES` in `SEEN_SECONDS` for a task, 13 kB/s or 819 keys/s. Memory: `MAX_WAITING_BYTES` for
each island before its keys are durable (twice that while a checkpoint is on its way) and for each task afterwards;
beyond that the oldest keys are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, NewType

import msgspec

from distevo.alarms import NEVER
from distevo.errors import RemoteProtocolError
from distevo.events import IslandId
from distevo.messages import SEEN_KEY_BYTES, Code

SEEN_SECONDS = 5.0
"""Between two announcements for one task. A longer time saves messages and lets more be evaluated twice meanwhile."""
MAX_SEEN_BYTES = 64 << 10
"""Most bytes of keys in one message, and of one generation of an island."""
MAX_WAITING_BYTES = 4 * MAX_SEEN_BYTES

Durable = NewType("Durable", bytes)
"""Keys whose evaluations a durable checkpoint holds: the only ones announced. `SeenKeys.durable` alone makes them."""


class Announcement(NamedTuple):
    """For every other member that works on the task, and for the task's other islands here."""

    run: str
    task: str
    keys: Durable


class _Task(msgspec.Struct):
    """What is left to announce for one task."""

    waiting: list[Durable] = []
    """The messages to come, the oldest keys first; all but the last are full."""
    next_at: float = 0.0
    """When something may be announced again, in seconds."""


class SeenKeys:
    """The keys of one platform's islands on their way from a worker's report to the other platforms.

    Reported -> bound to a checkpoint that holds them -> durable -> announced. Whatever breaks that chain (a checkpoint
    that failed, an island let go) sends keys back or drops them, and never forward.
    """

    def __init__(self) -> None:
        self._reported: dict[IslandId, bytearray] = {}
        self._saving: tuple[int, dict[IslandId, bytearray]] | None = None
        """Number of the checkpoint on its way, and the keys that it makes durable."""
        self._tasks: dict[tuple[str, str], _Task] = {}

    def reported(self, island: IslandId, keys: bytes) -> None:
        """A generation of this island, whose state is in hand now, has evaluated these."""
        if keys:
            waiting = self._reported.setdefault(island, bytearray())
            waiting += keys
            del waiting[:-MAX_WAITING_BYTES]

    def saving(self, sequence: int, islands: Iterable[IslandId]) -> None:
        """The checkpoint with this number, which holds the state in hand of these islands, is on its way.

        One at a time is: an answer about an earlier one no longer counts, and its keys wait for this one.
        """
        self._take_back()
        self._saving = sequence, {island: self._reported.pop(island) for island in islands if island in self._reported}

    def durable(self, sequence: int) -> None:
        """The checkpoint with this number is durable: its keys may be announced."""
        if self._saving is None or self._saving[0] != sequence:
            return
        (_, held), self._saving = self._saving, None
        by_task: dict[tuple[str, str], list[bytearray]] = {}
        for island, keys in held.items():
            by_task.setdefault((island.run, island.task), []).append(keys)
        for name, parts in by_task.items():
            task = self._tasks.setdefault(name, _Task())
            # Islands share the room, so that none is left out for as long as another evaluates more than fits.
            share = MAX_WAITING_BYTES // SEEN_KEY_BYTES // len(parts) * SEEN_KEY_BYTES
            left = b"".join([*task.waiting, *(keys[-share:] for keys in parts)])[-MAX_WAITING_BYTES:]
            task.waiting = [Durable(left[at : at + MAX_SEEN_BYTES]) for at in range(0, len(left), MAX_SEEN_BYTES)]

    def failed(self, sequence: int) -> None:
        """The checkpoint with this number may not be there: its keys wait for the next."""
        if self._saving is not None and self._saving[0] == sequence:
            self._take_back()

    def let_go(self, island: IslandId) -> None:
        """The island's state in hand is given up, or replaced by one from elsewhere.

        No later checkpoint of this platform holds what was evaluated since the last one.
        """
        self._reported.pop(island, None)
        if self._saving is not None:
            self._saving[1].pop(island, None)

    def tasks(self) -> list[tuple[str, str]]:
        """(run, task) of all keys that are on their way, each once."""
        saving = self._saving[1] if self._saving is not None else {}
        on_their_way = [island[:2] for island in (*self._reported, *saving)]
        return list(dict.fromkeys([*on_their_way, *self._tasks]))

    def closed(self, run: str, task: str) -> None:
        """Nobody works on this task any more."""
        saving = self._saving[1] if self._saving is not None else {}
        for island in [*self._reported, *saving]:
            if (island.run, island.task) == (run, task):
                self.let_go(island)
        self._tasks.pop((run, task), None)

    def announce(self, now: float) -> list[Announcement]:
        """What is to be sent now: for each task at most one message in `SEEN_SECONDS`."""
        made = []
        for (run, name), task in list(self._tasks.items()):
            if task.next_at > now:
                continue
            if not task.waiting:
                del self._tasks[run, name]
                continue
            made.append(Announcement(run, name, task.waiting.pop(0)))
            task.next_at = now + SEEN_SECONDS
        return made

    def next_deadline(self) -> float:
        """When there is something to announce next. It may be in the past."""
        deadline = NEVER
        # Asked after every event: hence the plain loop.
        for task in self._tasks.values():
            if task.waiting and task.next_at < deadline:
                deadline = task.next_at
        return deadline

    def _take_back(self) -> None:
        """Let the keys that were bound to a checkpoint wait for another."""
        if self._saving is None:
            return
        (_, held), self._saving = self._saving, None
        for island, keys in held.items():
            keys += self._reported.get(island, b"")
            del keys[:-MAX_WAITING_BYTES]
            self._reported[island] = keys


def heard(keys: bytes) -> bytes:
    """The payload of a SEEN, for all islands of its task here. Raises RemoteProtocolError for what is none.

    It is not announced again: whoever evaluated tells all others.
    """
    if len(keys) > MAX_SEEN_BYTES:
        raise RemoteProtocolError(Code.TOO_LARGE, f"{len(keys)} bytes of keys; at most {MAX_SEEN_BYTES} are allowed")
    if len(keys) % SEEN_KEY_BYTES:
        raise RemoteProtocolError(Code.MALFORMED, f"{len(keys)} bytes of keys are not a multiple of {SEEN_KEY_BYTES}")
    return keys
