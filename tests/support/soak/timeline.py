"""What happened when, for whoever has to find out why."""

from __future__ import annotations

import time


class Timeline:
    """Lines with the seconds since the beginning."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self.lines: list[str] = []

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begun

    def note(self, text: str) -> None:
        """Something happened now."""
        self.lines.append(f"{self.now:8.2f}  {text}")
