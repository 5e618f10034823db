"""The trace of a simulation: what every member heard and did, hashed as it happens and readable where it matters.

Most simulations end well and nobody reads their trace, so lines are kept as they came and put into words only when
somebody asks. The hash covers every event of the whole simulation: two runs of one seed are equal if it is.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
from blake3 import blake3

from distevo.simulator.words import brief, words

KEPT_LINES = 400
_BATCH = 2048


class Trace:
    """Lines of (virtual time, member, event or instruction)."""

    def __init__(self, is_whole: bool = False) -> None:
        """`is_whole`: keep every line, not only the last."""
        self._lines: deque[tuple[float, str, Any]] = deque(maxlen=None if is_whole else KEPT_LINES)
        self._hash = blake3()
        self._unhashed: list[tuple[Any, ...]] = []

    def did(self, now: float, who: str, what: Any) -> None:
        """Add a line about what follows from events, as instructions do: the hash can do without it."""
        self._lines.append((now, who, what))

    def note(self, now: float, who: str, what: Any) -> None:
        """Add a line: an event, or a text about what the world did."""
        self._lines.append((now, who, what))
        self._unhashed.append((now, who, brief(what)))
        if len(self._unhashed) >= _BATCH:
            self._flush()

    def digest(self) -> str:
        """The hash of all lines so far, in hexadecimal."""
        self._flush()
        return self._hash.hexdigest(length=16)

    def lines(self, last: int | None = None) -> list[str]:
        """The lines in words; only the last so many."""
        kept = list(self._lines)
        return [f"{now:9.3f} {who:>12}  {words(what)}" for now, who, what in (kept if last is None else kept[-last:])]

    def _flush(self) -> None:
        self._hash.update(msgspec.msgpack.encode(self._unhashed))
        self._unhashed.clear()
