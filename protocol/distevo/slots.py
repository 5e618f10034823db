"""The slots: worker processes of this platform, and which islands each of them works on."""

from __future__ import annotations

from dataclasses import dataclass, field

from distevo.events import IslandId
from distevo.instructions import StartWorker
from distevo.outbox import Outbox

MAX_BACK_OFF = 30.0
"""Most seconds between two tries to start a worker that dies before it is ready."""


@dataclass(slots=True)
class Slot:
    """One place for a worker process."""

    number: int
    is_ready: bool = False
    islands: list[IslandId] = field(default_factory=list)
    """In the order in which they were placed; the worker takes turns among those of its earliest task."""
    stillborn: int = 0
    """Workers in a row that died before they were ready."""


class Slots:
    """All slots of a platform, with the count of workers that had to be replaced."""

    def __init__(self, workers: int, outbox: Outbox) -> None:
        self.slots = [Slot(number) for number in range(workers)]
        self.replaced: dict[str, int] = {}
        """Replaced workers by cause of death."""
        self._outbox = outbox

    def start(self) -> None:
        """Start a worker in every slot."""
        for slot in self.slots:
            self._outbox.emit(StartWorker(slot.number))

    def ready(self, number: int) -> Slot:
        """The worker in this slot can take islands; returns the slot, whose islands are to be started."""
        slot = self.slots[number]
        slot.is_ready, slot.stillborn = True, 0
        return slot

    def died(self, number: int, cause: str, now: float) -> Slot:
        """The worker in this slot is gone: start another, at once unless it keeps dying before it is ready."""
        slot = self.slots[number]
        self.replaced[cause] = self.replaced.get(cause, 0) + 1
        if slot.is_ready:
            self._outbox.emit(StartWorker(number))
        else:
            slot.stillborn += 1
            delay = min(0.1 * 2**slot.stillborn, MAX_BACK_OFF)
            self._outbox.later(now + delay, lambda _: self._outbox.emit(StartWorker(number)))
        slot.is_ready = False
        return slot

    def least_loaded(self) -> Slot:
        """The slot with the fewest islands; of equal ones a ready one, then the lowest number."""
        return min(self.slots, key=lambda slot: (len(slot.islands), not slot.is_ready, slot.number))

    def release(self, island: IslandId) -> None:
        """The island no longer occupies its slot, if it had one."""
        for slot in self.slots:
            if island in slot.islands:
                slot.islands.remove(island)
