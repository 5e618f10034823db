"""Beats: when each peer is owed a heartbeat, since none was sent to it for an interval.

Other messages are signs of life as well, but they put no beat off: a heartbeat alone tells how far islands are, which
runs are refused, which plan is followed and who is suspected, and peers that exchange programs have to hear that too.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from distevo.alarms import NEVER

TOGETHER = 0.25
"""Beats that are due within this part of the shortest interval go together, and from then on keep step."""
NOTICED_INTERVALS = 2.0
"""Within so many of the shortest intervals after a beat it is seen that the path has become one of a shorter interval.

It is no sooner that the peer misses anything: its timeout is of the path on which it heard last."""


class Beats:
    """Keeps the times; sending is the node's business."""

    def __init__(self, interval: Callable[[str], float], shortest: float) -> None:
        """`interval(member)`: seconds between two heartbeats on the path to it, never below `shortest`."""
        self._interval, self._shortest = interval, shortest
        self._noticed = NOTICED_INTERVALS * shortest
        self.sent: dict[str, float] = {}
        """When a heartbeat was sent to each peer last; whoever sends one writes here, and that puts the next off."""
        self._at: dict[str, float] = {}
        """Time of each peer's entry in the heap: not after its beat is due, unless its path has become shorter."""
        self._heap: list[tuple[float, str]] = []

    def watch(self, member: str, now: float) -> None:
        """Beat for this peer; it was greeted just now."""
        self.sent[member] = now
        self._bring(member, now + self._shortest)

    def expect(self, member: str, at: float) -> None:
        """Beat for this peer, at this time if it is sent no heartbeat before: what was sent last has not arrived."""
        self.sent[member] = -NEVER
        self._bring(member, at)

    def drop(self, member: str) -> None:
        """Beat no more."""
        self._at.pop(member, None)
        self.sent.pop(member, None)

    def due(self, now: float) -> list[str]:
        """Who is owed a heartbeat now. Each is named about once an interval, whether one is then sent or not.

        If anybody is, so are those who nearly are: one heartbeat is made for all of them.
        """
        due = []
        until = now
        while self.next_deadline() <= until:
            member = self._heap[0][1]
            on_path = self.sent[member] + self._interval(member)
            if on_path <= until:
                due.append(member)
                self.sent[member] = now
                until = now + TOGETHER * self._shortest
            else:
                # Looked at again soon: by then the path may be another, of a shorter interval.
                self._replace(member, min(on_path, now + self._shortest))
        return due

    def next_deadline(self) -> float:
        """When a beat may be due."""
        heap = self._heap
        while heap:
            at, member = heap[0]
            if self._at.get(member) != at:
                heapq.heappop(heap)
                continue
            sent = self.sent[member]
            if sent + self._shortest <= at:
                return at
            self._replace(member, sent + min(self._interval(member), self._noticed))
        return NEVER

    def _replace(self, member: str, at: float) -> None:
        self._at[member] = at
        heapq.heapreplace(self._heap, (at, member))

    def _bring(self, member: str, at: float) -> None:
        known = self._at.get(member)
        if known is None or at < known:
            self._at[member] = at
            heapq.heappush(self._heap, (at, member))
