"""The attic: plans that are no longer in force, until they may be deleted."""

from __future__ import annotations

from distevo.alarms import NEVER
from distevo.outbox import Outbox

KEEP_SECONDS = 3600.0
"""A plan stays this long after it was superseded: whoever reads the pointer late still finds what it names."""


class Attic:
    """Deletes each superseded plan an hour after this node saw that it was."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._since: dict[str, float] = {}
        """The longest gone first: this is asked after every event, and an hour has thousands of plans."""

    def put(self, name: str, now: float) -> None:
        """This plan is no longer in force, or never was and never can be."""
        self._since.pop(name, None)
        self._since[name] = now

    def next_deadline(self) -> float:
        """When the next one may go."""
        for since in self._since.values():
            return since + KEEP_SECONDS
        return NEVER

    def tick(self, now: float) -> None:
        """Delete what is old enough."""
        while self._since:
            name, since = next(iter(self._since.items()))
            if now < since + KEEP_SECONDS:
                return
            del self._since[name]
            self._outbox.delete(name)
