"""Runs that a platform sets aside: it cannot work on them, and says why, so that others get their islands."""

from __future__ import annotations

from collections.abc import Callable, Collection

from distevo.alarms import NEVER
from distevo.outbox import Outbox

STORE_AWAY = "its store does not answer"


class SetAside:
    """Which they are, and how long the objects of runs are waited for that are still being read."""

    def __init__(self, outbox: Outbox, patience: float, changed: Callable[[], None]) -> None:
        """`patience`: seconds until others may have the islands of a run whose object the store does not give.
        `changed` is told when this platform can work on fewer runs than before, or on more."""
        self._outbox, self._patience, self._changed = outbox, patience, changed
        self.reasons: dict[str, str] = {}
        """Why, by run."""
        self._waits_until: dict[str, float] = {}
        """By name of the object; for ever, once others may have the run."""

    def add(self, run: str, reason: str) -> None:
        """A run cannot be worked on here."""
        if run not in self.reasons:
            self.reasons[run] = reason
            self._changed()
            level = "warning" if reason == STORE_AWAY else "error"
            self._outbox.log(level, "a run is set aside", run=run, reason=reason)

    def take_back(self, run: str, reason: str) -> bool:
        """This may be no reason any more; whether it was the one."""
        if self.reasons.get(run) != reason:
            return False
        del self.reasons[run]
        self._changed()
        return True

    def keep(self, runs: Collection[str]) -> None:
        """Forget all runs but these."""
        for name in [name for name in self.reasons if name not in runs]:
            del self.reasons[name]

    # --- the objects of runs ---------------------------------------------------------------------

    def wait(self, name: str, now: float) -> None:
        """The object of a run is being read."""
        self._waits_until.setdefault(name, now + self._patience)

    def came(self, name: str) -> bool:
        """It was read, or cannot be; whether it was waited for."""
        return self._waits_until.pop(name, None) is not None

    def next_deadline(self) -> float:
        """When `overdue` has something to tell."""
        if not self._waits_until:
            return NEVER  # As nearly always, and it is asked after every event.
        return min(self._waits_until.values())

    def overdue(self, now: float) -> list[str]:
        """The objects that have not come for so long; each is told once."""
        late = [name for name, until in self._waits_until.items() if until <= now]
        self._waits_until |= dict.fromkeys(late, NEVER)
        return late
