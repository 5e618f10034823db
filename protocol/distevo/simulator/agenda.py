"""The agenda: virtual time, and what happens when. The one place where time passes."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Action = Callable[[Any], object]


class Agenda:
    """Actions in the order of their moments; those of one moment in the order in which they were planned."""

    def __init__(self) -> None:
        self.now = 0.0
        """Virtual time, seconds."""
        self.steps = 0
        """Actions that have happened."""
        self._heap: list[tuple[float, int, Action, Any]] = []
        self._planned = 0

    def at(self, moment: float, action: Action, argument: Any = None) -> None:
        """Plan `action(argument)`. A moment that has passed is now."""
        self._planned += 1
        heappush(self._heap, (moment if moment > self.now else self.now, self._planned, action, argument))

    def after(self, seconds: float, action: Action, argument: Any = None) -> None:
        """Plan `action(argument)` for so many seconds from now."""
        self._planned += 1
        heappush(self._heap, (self.now + seconds, self._planned, action, argument))

    def run(self, until: float) -> None:
        """Let time pass."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, action, argument = heappop(heap)
            self.steps += 1
            action(argument)
        self.now = until
