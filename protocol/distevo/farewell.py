"""The farewell: what a member that ends cleanly still has to do, in order, once its workers are gone."""

from __future__ import annotations

from collections.abc import Callable

from distevo.alarms import NEVER
from distevo.keeper import Keeper
from distevo.lease import Lease
from distevo.routing import Router

STOP_SECONDS = 3.5
"""How long a stop takes at most: with the store away it ends without its last checkpoint, from the one before."""

Do = Callable[[float], None]


class Farewell:
    """A last checkpoint, a released lease, and a goodbye, which may have to go by mail."""

    def __init__(self, keeper: Keeper, lease: Lease, router: Router, checkpoint: Do, release: Do, goodbye: Do) -> None:
        self._keeper, self._lease, self._router = keeper, lease, router
        self._checkpoint, self._release, self._goodbye = checkpoint, release, goodbye
        self._leave_by = NEVER
        self._has_saved = self._is_released = self._has_said_goodbye = False

    def begin(self, now: float) -> None:
        """A stop is asked for."""
        self._leave_by = now + STOP_SECONDS

    def is_late(self, now: float) -> bool:
        """Whether it has to end as it is."""
        return now >= self._leave_by

    def next_deadline(self, are_workers_gone: bool) -> float:
        """When there is something to do: at once, as soon as nothing is on its way."""
        if are_workers_gone and not self._keeper.is_writing:
            if self._keeper.has_news and self._has_saved:
                return min(self._leave_by, self._keeper.due())
            is_to_release = self._lease.is_ours and not self._is_released
            is_waiting = self._has_said_goodbye and not self._router.is_finished
            if self._keeper.has_news or is_to_release or (self._lease.is_settled and not is_waiting):
                return -NEVER
        return self._leave_by

    def go_on(self, now: float) -> bool:
        """Do what is next, unless something is on its way; whether all is done."""
        if self._keeper.is_writing:
            return False
        if self._keeper.has_news:
            if not self._has_saved or now >= self._keeper.due():
                self._has_saved = True
                self._checkpoint(now)
            return False
        if self._lease.is_ours and not self._is_released:
            self._is_released = True
            self._release(now)
        if not self._lease.is_settled:
            return False
        if not self._has_said_goodbye:
            self._has_said_goodbye = True
            self._goodbye(now)
            self._router.finish()
            self._router.tick(now)
        return self._router.is_finished
