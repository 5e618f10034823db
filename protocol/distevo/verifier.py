"""The verifier: has guesses evaluated again, and verified, by a worker of this platform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from distevo.events import Verified, WorkerDied
from distevo.instructions import VerifyProgram
from distevo.outbox import Outbox
from distevo.run import Run
from distevo.slots import Slots

MAX_DEATHS = 2
"""Workers that may die while they look at a guess before it stands unverified."""

TakeVerdict = Callable[[Verified, float], None]


@dataclass(slots=True)
class _Look:
    run: Run
    task: str
    genome: bytes
    then: TakeVerdict
    slot: int
    deaths: int = 0


class Verifier:
    """Guesses that are being looked at here, one of each task."""

    def __init__(self, slots: Slots, outbox: Outbox) -> None:
        self._slots, self._outbox = slots, outbox
        self._looks: dict[tuple[str, str], _Look] = {}

    def look(self, run: Run, task: str, genome: bytes, then: TakeVerdict) -> None:
        """Look at the guess of a task; an earlier guess of the same task no longer counts."""
        look = _Look(run, task, genome, then, self._slots.least_loaded().number)
        self._looks[run.name, task] = look
        self._order(look)

    def ready(self, slot: int) -> None:
        """A worker is there: give it the guesses that wait for it."""
        for look in self._looks.values():
            if look.slot == slot:
                self._order(look)

    def verified(self, event: Verified, now: float) -> None:
        """A worker has looked."""
        look = self._looks.get((event.run, event.task))
        if look is None or look.genome != event.genome:
            return  # An answer about an earlier guess.
        self._slots.worked(look.slot)
        del self._looks[event.run, event.task]
        look.then(event, now)

    def died(self, event: WorkerDied, now: float) -> str | None:
        """Judge a worker's death while it looked at a guess; None if it did not."""
        look = self._looks.get((event.island.run, event.island.task)) if event.island is not None else None
        if look is None or look.slot != event.slot:
            return None
        look.deaths += 1
        if not event.cause.convicts and look.deaths < MAX_DEATHS:
            return "the guess is verified once more"
        del self._looks[look.run.name, look.task]
        error = f"the worker that verified the guess died ({event.cause.value})"
        look.then(Verified(look.run.name, look.task, look.genome, None, False, None, error), now)
        return "its task keeps an unverified guess"

    def _order(self, look: _Look) -> None:
        if self._slots.slots[look.slot].is_ready:
            self._outbox.emit(
                VerifyProgram(
                    slot=look.slot,
                    run=look.run.name,
                    task=look.task,
                    problem=look.run.problem,
                    data=bytes(look.run.tasks[look.task]),
                    genome=look.genome,
                )
            )
