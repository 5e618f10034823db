"""Mail that goes out: the box that is being filled, and the boxes that were written.

A member writes one box for all whom it can reach through the store only, at most one in `mail_interval`, and none if
nothing waits. Of what a newer message makes worthless only the newest waits. Boxes are numbered from 1 without gaps,
so that a reader asks for the next one and needs no list.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable

import msgspec
from blake3 import blake3

from distevo.alarms import NEVER
from distevo.box import MAX_LETTERS, Letter, encode_box
from distevo.codec import encode
from distevo.events import StoreAnswer
from distevo.messages import Command, Control, Fit, Head, Migrants, MigrantsAck, PlanHint, PreVote
from distevo.names import mail_name
from distevo.outbox import Outbox

MAX_BOX_BYTES = 4 * 2**20
"""Frames in one box; a single frame that is larger has a box of its own."""
MAX_WAITING_BYTES = 4 * MAX_BOX_BYTES
MAIL_KEEP_SECONDS = 600.0
"""A box that is older by the writer's clock is deleted; the newest stays, since it tells where to read on."""
GATHER_SECONDS = 2.0
"""The first letter waits so long for others, and for a link that may be there in a moment."""

_KEPT = 3
_WORTH: dict[Command, int] = {Command.HEARTBEAT: 0, Command.SEEN: 1, Command.MIGRANTS: 2}
"""Where there is no room the lowest go first; all others are `_KEPT` for the next box."""

_Slot = tuple[str, Hashable]


class _Waiting(msgspec.Struct):
    letter: Letter
    worth: int


class Mail:
    """Writes one boot's boxes."""

    def __init__(self, me: str, boot: str, mail_interval: float, outbox: Outbox, counts: Counter[str]) -> None:
        self._me, self._boot, self._interval, self._outbox, self._counts = me, boot, mail_interval, outbox, counts
        self._waiting: dict[_Slot, _Waiting] = {}
        self._bytes = 0
        self._since = 0.0
        """When the first of them came."""
        self._number = 0
        self._is_writing = False
        self._begun_at = -NEVER
        self._is_last = False
        self._written: deque[tuple[float, int]] = deque()
        """(when it was there, number) of boxes, the oldest first."""

    def put(self, to: str, boot: str, head: Head, payload: bytes, now: float) -> None:
        """Let a message wait for the next box. Raises LocalProtocolError as `codec.encode` does."""
        frame = encode(head, payload)
        slot = (to, _slot(head, frame))
        if not self._waiting:
            self._since = now
        older = self._waiting.get(slot)
        self._bytes += len(frame) - (0 if older is None else len(older.letter.frame))
        # In the older one's place, so that a message that is repeated often does not wait for ever.
        self._waiting[slot] = _Waiting(Letter(to, boot, frame), _WORTH.get(head.command, _KEPT))
        while self._bytes > MAX_WAITING_BYTES or len(self._waiting) > MAX_LETTERS:
            self._shed(min(self._waiting, key=lambda slot: self._waiting[slot].worth))

    def has(self, to: str, command: Command) -> bool:
        """Whether a message that is one of its kind waits for a member."""
        return (to, command) in self._waiting

    def receivers(self) -> list[str]:
        """For whom something waits."""
        return list(dict.fromkeys(to for to, _ in self._waiting))

    def take(self, to: str) -> list[bytes]:
        """Withdraw the frames that wait for a member, to be sent on a better path."""
        return [self._remove(slot).letter.frame for slot in [slot for slot in self._waiting if slot[0] == to]]

    def finish(self) -> None:
        """Write what waits at once: there will be no other box."""
        self._is_last = True

    @property
    def is_finished(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        return not self._waiting and not self._is_writing

    def is_due(self, now: float) -> bool:
        """Whether a box would be written now."""
        return self._due() <= now

    def tick(self, now: float) -> None:
        """Write a box, if it is time for one, and delete what is old."""
        if self.is_due(now):
            self._write(now)
        while len(self._written) > 1 and self._written[0][0] + MAIL_KEEP_SECONDS <= now:
            _, number = self._written.popleft()
            self._outbox.delete(mail_name(self._me, self._boot, number))

    def next_deadline(self) -> float:
        """When `tick` has something to do."""
        due = self._due()
        return due if len(self._written) < 2 else min(due, self._written[0][0] + MAIL_KEEP_SECONDS)

    def _due(self) -> float:
        if self._is_writing or not self._waiting:
            return NEVER
        if self._is_last:
            return -NEVER
        return max(self._begun_at + self._interval, self._since + GATHER_SECONDS)

    def _write(self, now: float) -> None:
        letters = self._pick()
        self._number += 1
        number = self._number
        self._is_writing, self._begun_at, self._since = True, now, now
        self._counts["boxes_written"] += 1

        def written(_: StoreAnswer, now: float) -> None:
            self._is_writing = False
            self._written.append((now, number))

        data = encode_box(self._me, self._boot, number, letters)
        self._outbox.create(mail_name(self._me, self._boot, number), data, written)

    def _pick(self) -> list[Letter]:
        """Withdraw what goes into the next box, in the order in which it came. What is worth least is left out first,
        and that for good."""
        room, left_out = MAX_BOX_BYTES, []
        picked: set[_Slot] = set()
        for worth in range(_KEPT, -1, -1):
            for slot, waiting in self._waiting.items():
                if waiting.worth != worth:
                    continue
                if len(waiting.letter.frame) <= room or not picked:
                    picked.add(slot)
                    room -= len(waiting.letter.frame)
                elif worth < _KEPT:
                    left_out.append(slot)
        for slot in left_out:
            self._shed(slot)
        return [self._remove(slot).letter for slot in list(self._waiting) if slot in picked]

    def _shed(self, slot: _Slot) -> None:
        self._counts["mail_shed"] += 1
        if self._remove(slot).worth == _KEPT:
            self._outbox.log("warning", "mail that should have been kept has no room", member=slot[0])

    def _remove(self, slot: _Slot) -> _Waiting:
        waiting = self._waiting.pop(slot)
        self._bytes -= len(waiting.letter.frame)
        return waiting


def _slot(head: Head, frame: bytes) -> Hashable:
    """What a message has in common with those that it makes worthless."""
    command = head.command
    match head:
        case Migrants() | MigrantsAck():
            return command, head.run, head.task, head.source, head.target
        case Fit():
            return command, head.run, head.task
        case Control():
            return command, head.verb, head.run, head.task
        case PreVote():
            return command, head.hears is None
        case PlanHint():
            return command, head.is_wanted
    if command in {Command.SEEN, Command.POPULATION}:
        # Each says something else, unless it is a repetition.
        return command, blake3(frame).digest(length=16)
    return command
