"""Names that say which process made a thing, so that runs side by side keep apart and the dead can be told."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

_PREFIX = "distevo-host"
_MADE = re.compile(rf"{_PREFIX}-(\d+)-(\d+)-")
_numbers = itertools.count(1)


def unique(label: str) -> str:
    """A name for something of the whole machine: no other process has it, nor anything else in this one."""
    return f"{_PREFIX}-{os.getpid()}-{_started(os.getpid())}-{next(_numbers)}-{label}"


def is_left_over(name: str) -> bool:
    """Whether a process made that which is gone."""
    made = _MADE.match(name)
    return made is not None and _started(int(made[1])) != int(made[2])


def _started(pid: int) -> int | None:
    """When a process started, in clock ticks since the machine did: a pid is used again, this pair is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])  # Field 22 of proc(5); the name in field 2 may hold anything.
