"""Log lines about what others do, at a limited rate."""

from __future__ import annotations

import logging
import time

from distevod.logs import fields

INTERVAL_SECONDS = 10.0

log = logging.getLogger("distevod.transport")


class Complaints:
    """One line for each kind in `INTERVAL_SECONDS`, with the number of those that were left out."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warn(self, kind: str, **details: object) -> None:
        """Complain; `kind` is the text, of which there are only a few, never one of a peer's."""
        now = time.monotonic()
        if now < self._quiet_until.get(kind, 0.0):
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._quiet_until[kind] = now + INTERVAL_SECONDS
        more = self._left_out.pop(kind, 0)
        log.warning(kind, extra=fields(**details, **({"more_of_these": more} if more else {})))
