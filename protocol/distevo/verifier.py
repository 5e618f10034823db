"""The verifier: has guesses evaluated again, and verified, by a worker of this platform."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from distevo.events import Verified, WorkerDied
from distevo.instructions import VerifyProgram
from distevo.outbox import Outbox
from distevo.run import Run
from distevo.slots import Slots

MAX_DEATHS = 2
"""Workers that may die while they look at a guess before it stands unverified."""

MAX_ASKED, MAX_ASKED_BYTES = 1024, 32 * 2**20
"""Guesses of one other member that wait here at a time, and of how many bytes together; what it asks beyond that is
not looked at, and it asks somebody else."""

TakeVerdict = Callable[[Verified, float], None]


class _Look(msgspec.Struct):
    run: Run
    task: str
    genome: bytes
    then: TakeVerdict
    slot: int
    deaths: int = 0
    later: _Look | None = None
    """What its asker wants to know of the task by now."""


class Verifier:
    """Guesses that are being looked at here: of each task one for each member that asks."""

    def __init__(self, slots: Slots, outbox: Outbox) -> None:
        self._slots, self._outbox = slots, outbox
        self._looks: dict[tuple[str, str, str], _Look] = {}
        """By asker, run and task."""

    def look(self, run: Run, task: str, genome: bytes, then: TakeVerdict, asker: str = "") -> None:
        """Look at the guess of a task, for another member if there is an `asker`; what the same one wanted to know of
        the task before no longer counts. Of what another asks one guess of a task is with a worker at a time: however
        often it asks, no more than these waits before the worker."""
        asked = asker, run.name, task
        if asker and not self._has_room(asked, genome):
            return
        look = _Look(run, task, genome, then, self._slots.least_loaded().number)
        known = self._looks.get(asked) if asker else None
        if known is not None and self._slots.slots[known.slot].is_ready:
            known.later = look
        else:
            self._begin(asked, look)

    def _has_room(self, asked: tuple[str, str, str], genome: bytes) -> bool:
        """What it wants to know of this task takes the place of what it wanted to know before."""
        known = [look for other, look in self._looks.items() if other[0] == asked[0] and other != asked]
        waiting = [look for one in known for look in (one, one.later) if look is not None]
        size = len(genome) + sum(len(look.genome) for look in waiting)
        return len(waiting) < MAX_ASKED and size <= MAX_ASKED_BYTES

    def _begin(self, asked: tuple[str, str, str], look: _Look) -> None:
        self._looks[asked] = look
        self._order(look)

    def _end(self, asked: tuple[str, str, str], look: _Look, verdict: Verified, now: float) -> None:
        del self._looks[asked]
        later = look.later
        if later is None or (later.run, later.genome) == (look.run, look.genome):
            (later or look).then(verdict, now)
        else:
            later.slot = self._slots.least_loaded().number
            self._begin(asked, later)

    def ready(self, slot: int) -> None:
        """A worker is there: give it the guesses that wait for it, or for one that is not there yet."""
        for look in self._looks.values():
            if look.slot == slot or not self._slots.slots[look.slot].is_ready:
                look.slot = slot
                self._order(look)

    def elsewhere(self) -> None:
        """A worker is gone: what it was at goes to one that is there, if there is one."""
        slot = self._slots.least_loaded()
        for look in self._looks.values() if slot.is_ready else ():
            if not self._slots.slots[look.slot].is_ready:
                look.slot = slot.number
                self._order(look)

    def has_worker(self, run: str, task: str) -> bool:
        """Whether a worker is there for our own look at the guess of a task, if there is one."""
        look = self._looks.get(("", run, task))
        return look is not None and self._slots.slots[look.slot].is_ready

    def verified(self, event: Verified, now: float) -> None:
        """A worker has looked."""
        for asked, look in self._of(event.run, event.task, event.genome):
            self._slots.worked(look.slot)
            self._end(asked, look, event, now)

    def died(self, event: WorkerDied, now: float) -> str | None:
        """Judge a worker's death while it looked at a guess; None if it did not."""
        concerned = self._of(event.island.run, event.island.task, event.culprit) if event.island is not None else []
        told = None
        for asked, look in concerned:
            if look.slot != event.slot:
                continue
            look.deaths += 1
            if not event.cause.convicts and look.deaths < MAX_DEATHS:
                told = "the guess is verified once more"
                continue
            error = f"the worker that verified the guess died ({event.cause.value})"
            self._end(asked, look, Verified(look.run.name, look.task, look.genome, None, False, None, error), now)
            told = "its task keeps an unverified guess"
        return told

    def _of(self, run: str, task: str, genome: bytes | None) -> list[tuple[tuple[str, str, str], _Look]]:
        """The looks at this guess; at any of the task, if it is not known which it is."""
        return [
            (asked, look)
            for asked, look in self._looks.items()
            if asked[1:] == (run, task) and genome in {None, look.genome}
        ]

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
