"""The frames of one link that wait because libzmq takes no more for now."""

from __future__ import annotations

import itertools
from collections import Counter, OrderedDict
from collections.abc import Callable

from distevo.messages import Command, Forward, Head, Migrants

MAX_FRAMES = 1024
MAX_BYTES = 64 * 2**20
"""At least three of the largest frames."""

Place = int | tuple[str | int, ...]
"""Where a frame waits: a number, a number in a tuple for what is relayed for others, or a name with what else tells of
which frames only the newest waits."""


class SendQueue:
    """Sends frames in order. What blocks waits, within bounds: of heartbeats, and of the migrants along one edge, only
    the newest. If room is wanted, what is relayed for others goes first, then those; and what still finds none is
    dropped and counted. What is relayed has nothing make room for it: whoever sends much through here is not to
    silence us."""

    def __init__(self, write: Callable[[bytes], bool], counts: Counter[str]) -> None:
        """`write` sends a frame without waiting; False: not now."""
        self._write, self._counts = write, counts
        self._waiting: OrderedDict[Place, bytes] = OrderedDict()
        self._numbers = itertools.count()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, head: Head, frame: bytes) -> None:
        """Send a frame, now or later."""
        if not self._waiting and self._write(frame):
            return
        place = _place(head)
        if place is not None and (old := self._waiting.get(place)) is not None:
            self._counts["dropped_replaced"] += 1
            if self._bytes - len(old) + len(frame) <= MAX_BYTES:
                # In the place of the old one, so that those that come after it need not wait longer for it.
                self._waiting[place] = frame
                self._bytes += len(frame) - len(old)
                return
            self._drop(place)
        is_relayed = isinstance(head, Forward) and head.origin is not None
        if self._fits(len(frame)) if is_relayed else self._make_room(len(frame)):
            number = next(self._numbers)
            self._waiting[place or ((number,) if is_relayed else number)] = frame
            self._bytes += len(frame)
        else:
            self._counts["dropped_queue_full"] += 1

    def drain(self) -> bool:
        """Send what is waiting; whether nothing is left."""
        while self._waiting:
            place, frame = next(iter(self._waiting.items()))
            if not self._write(frame):
                return False
            self._drop(place)
        return True

    def clear(self) -> None:
        """Forget what is waiting."""
        self._waiting.clear()
        self._bytes = 0

    def _make_room(self, size: int) -> bool:
        """Whether a frame of this size fits, if need be without what is of others or is sent again anyway."""
        if self._fits(size):
            return True
        spare = [place for place in self._waiting if isinstance(place, tuple)]
        for place in sorted(spare, key=lambda place: (not isinstance(place[0], int), len(place))):
            self._drop(place)
            self._counts["dropped_queue_full"] += 1
            if self._fits(size):
                return True
        return False

    def _fits(self, size: int) -> bool:
        return len(self._waiting) < MAX_FRAMES and self._bytes + size <= MAX_BYTES

    def _drop(self, place: Place) -> None:
        self._bytes -= len(self._waiting.pop(place))


def _place(head: Head) -> tuple[str | int, ...] | None:
    """Where a frame waits if only the newest of its kind does."""
    if head.command is Command.HEARTBEAT:
        return ("heartbeat",)
    if isinstance(head, Migrants):
        return (head.run, head.task, head.source, head.target)
    return None
