"""The slots: worker processes of this platform, and which islands each of them works on."""

from __future__ import annotations

import msgspec

from distevo.events import IslandId
from distevo.instructions import StartWorker
from distevo.outbox import Outbox

FIRST_BACK_OFF = 0.1
MAX_BACK_OFF = 30.0
"""Most seconds between two tries to start a worker that dies before it has finished anything."""
MAX_CONVICTED = 100
"""Workers in a row that may die of one program after another before the next has to wait: some programs of a generation
may hang, but where all do there is no hurry."""
MAX_DOUBLINGS = 10
"""Of the back-off, by when it is at its most: a float ends after a thousand."""


class Slot(msgspec.Struct):
    """One place for a worker process."""

    number: int
    is_ready: bool = False
    islands: list[IslandId] = []
    """In the order in which they were placed; the worker takes turns among those of its earliest task."""
    stillborn: int = 0
    """Workers in a row that died before they had finished anything, of nothing that is known."""
    convicted: int = 0
    """Workers in a row that died of a program, before they had finished anything."""


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
        slot.is_ready = True
        return slot

    def worked(self, number: int) -> None:
        """The worker in this slot has finished something: whatever killed those before it, it does not kill all."""
        self.slots[number].stillborn = self.slots[number].convicted = 0

    def died(self, number: int, cause: str, now: float, *, is_known: bool = False) -> Slot:
        """The worker in this slot is gone: start another, at once unless one after another dies. `is_known`: of which
        program, so that the next one gets further."""
        slot = self.slots[number]
        self.replaced[cause] = self.replaced.get(cause, 0) + 1
        slot.is_ready = False
        if is_known and slot.convicted < MAX_CONVICTED:
            slot.convicted += 1
            slot.stillborn = 0
        else:
            slot.stillborn += 1
        if slot.stillborn <= 1:
            self._outbox.emit(StartWorker(number))
        else:
            delay = min(FIRST_BACK_OFF * 2 ** min(slot.stillborn - 2, MAX_DOUBLINGS), MAX_BACK_OFF)
            self._outbox.later(now + delay, lambda _: self._outbox.emit(StartWorker(number)))
        return slot

    def least_loaded(self) -> Slot:
        """A slot that is ready, and of those the one with the fewest islands, then the lowest number."""
        return min(self.slots, key=lambda slot: (not slot.is_ready, len(slot.islands), slot.number))

    def uneven(self) -> tuple[Slot, Slot] | None:
        """A slot with islands that wait, and a ready one with none; None while there is no such pair."""
        if not self.slots:
            return None
        fullest = max(self.slots, key=lambda slot: (len(slot.islands), -slot.number))
        idle = self.least_loaded()
        return (fullest, idle) if idle.is_ready and not idle.islands and len(fullest.islands) > 1 else None

    @property
    def behind(self) -> set[IslandId]:
        """Islands in slots that wait for another task, which their worker ends first."""
        return {island for slot in self.slots for island in slot.islands if island[:2] != slot.islands[0][:2]}

    @property
    def placed(self) -> int:
        """Islands in all slots."""
        return sum(len(slot.islands) for slot in self.slots)

    def room(self, depth: int) -> int:
        """How many islands are lacking for each slot to have so many."""
        return sum(max(depth - len(slot.islands), 0) for slot in self.slots)

    def of(self, island: IslandId) -> Slot | None:
        """The slot that an island occupies, if it does."""
        return next((slot for slot in self.slots if island in slot.islands), None)
