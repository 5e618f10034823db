"""The log of a detached daemon, and what it says of that daemon's end."""

from __future__ import annotations

import os
from pathlib import Path

LOG_NAME = "distevod.log"
TAIL_BYTES = 16_384
ERROR = "error: "
"""Begins the last that a daemon says which cannot go on."""


def error_in(lines: list[str]) -> str | None:
    """The daemon's own error, with the lines that follow; None if it said none."""
    said = [number for number, line in enumerate(lines) if line.startswith(ERROR)]
    return "\n".join(lines[said[-1] :]).removeprefix(ERROR) if said else None


def log_size(state_dir: Path) -> int:
    """Bytes that daemons of this folder have logged so far, as far as it can be told."""
    try:
        return (state_dir / LOG_NAME).stat().st_size
    except OSError:
        return 0


def last_end(state_dir: Path, since: int = 0) -> str | None:
    """What the last daemon of this folder ended with, in a line; None if it ended well, or nobody can tell.

    `since`: only what was logged after so many bytes counts.
    """
    try:
        with (state_dir / LOG_NAME).open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(size - TAIL_BYTES, since if since <= size else 0))  # it may have been cut meanwhile
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:  # it had no log of its own, or not for our eyes
        return None
    said = error_in(lines)
    if said is None or any(not line.startswith(" ") for line in said.splitlines()[1:]):
        return None  # another daemon has logged since
    return said.splitlines()[0]


def ended_hint(state_dir: Path) -> str:
    """The same as a sentence before another hint; empty if there is none."""
    said = last_end(state_dir)
    return f"the last one ended with: {said}\n  " if said else ""
