"""What a problem prints: the daemon's log has it, and where that takes no more, it is lost, and nothing else with it.

Else the disk of a log that is full, or a pipe whose reader is gone, would make `print` raise in the middle of an
evaluation, and the program that was evaluated invalid. So would a letter that the locale's encoding lacks.
"""

from __future__ import annotations

import io
import sys
from typing import Any


class _Printed(io.FileIO):
    """A file that takes everything."""

    def write(self, data: Any, /) -> int:
        try:
            written: int | None = super().write(data)  # None: a pipe that does not block is full
        except OSError:
            written = None
        return len(data) if written is None else written


def never_raise() -> None:
    """From now on nothing that is written to standard output or error fails in this process."""
    for name in ("stdout", "stderr"):
        before = getattr(sys, name)
        if before is not None:
            raw = _Printed(before.fileno(), "w", closefd=False)
            text = io.TextIOWrapper(
                raw if before.write_through else io.BufferedWriter(raw),  # Last words count for more than speed.
                before.encoding,
                "backslashreplace",
                line_buffering=before.line_buffering,
                write_through=before.write_through,
            )
            setattr(sys, name, text)
