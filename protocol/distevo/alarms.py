"""Alarms: one time for each key, and which comes first."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K", int, str)
NEVER = float("inf")
Clock = Callable[[], float]
"""When something is due next, or `NEVER`. All clocks are asked after every event, so what has parts hands theirs up,
and asks none of them itself."""


class Alarms(Generic[K]):
    """Setting, cancelling and asking for the next cost about as much with thousands of keys as with one."""

    def __init__(self) -> None:
        self._at: dict[K, float] = {}
        self._heap: list[tuple[float, K]] = []
        """Holds times that no longer count, too, until they come up."""

    def __contains__(self, key: K) -> bool:
        return key in self._at

    def set(self, key: K, at: float) -> None:
        """Wake for this key at this time, and at no other."""
        if self._at.get(key) == at:
            return  # Said again and again, it would fill the heap.
        self._at[key] = at
        heapq.heappush(self._heap, (at, key))

    def bring(self, key: K, at: float) -> None:
        """Wake for this key no later than that."""
        if at < self._at.get(key, NEVER):
            self.set(key, at)

    def cancel(self, key: K) -> None:
        """Do not wake for this key."""
        self._at.pop(key, None)

    def next_deadline(self) -> float:
        """When the next is due."""
        heap = self._heap
        while heap:
            at, key = heap[0]
            if self._at.get(key) == at:
                return at
            heapq.heappop(heap)
        return NEVER

    def due(self, now: float) -> K | None:
        """The first key that is due, which is cancelled; None where none is."""
        if self.next_deadline() > now:
            return None
        key = self._heap[0][1]
        del self._at[key]
        return key
