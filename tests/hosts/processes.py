"""Whether a process is alive."""

from __future__ import annotations

import psutil


def is_running(pid: int) -> bool:
    """False also for one that ended and that nobody has waited for."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
