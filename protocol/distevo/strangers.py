"""Strangers: whom the plan does not show, and who waits on a link for the plan that does."""

from __future__ import annotations

MOST = 8
"""Of so many unknown keys or boots each makes this member say, within `PERIOD_SECONDS`, that somebody waits."""
PERIOD_SECONDS = 10.0
WAITS_SECONDS = (0.3, 1.5)
"""When the inbox is looked at for the announcement of one, which dials while it writes it."""


class Strangers:
    """Who has come lately, so that no crowd of them makes the listings of the inbox dear."""

    def __init__(self) -> None:
        self._recent: dict[tuple[str, str], float] = {}
        """When each (key, boot) came first, in the last `PERIOD_SECONDS`."""

    def is_new(self, key: str, boot: str, now: float) -> bool:
        """Whether the inbox is to be looked at because of this one."""
        self._recent = {other: at for other, at in self._recent.items() if now < at + PERIOD_SECONDS}
        if (key, boot) in self._recent or len(self._recent) >= MOST:
            return False
        self._recent[key, boot] = now
        return True
