"""The attic: plans that are no longer in force, until they may be deleted."""

from __future__ import annotations

from distevo.outbox import Outbox

KEEP_SECONDS = 3600.0
"""A plan stays this long after it was superseded: whoever reads the pointer late still finds what it names."""


class Attic:
    """Deletes each superseded plan an hour after this node saw that it was."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._since: dict[str, float] = {}

    def put(self, name: str, now: float) -> None:
        """This plan is no longer in force, or never was and never can be."""
        self._since[name] = now

    def next_deadline(self) -> float | None:
        """When the next one may go."""
        return min(self._since.values()) + KEEP_SECONDS if self._since else None

    def tick(self, now: float) -> None:
        """Delete what is old enough."""
        for name in [name for name, since in self._since.items() if now >= since + KEEP_SECONDS]:
            del self._since[name]
            self._outbox.delete(name, lambda _answer, _now: None)
