"""What the daemon and its workers use, for the metadata of checkpoints; and how much room a disk has."""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Iterable
from pathlib import Path

LOW_DISK_BYTES = 64 << 20
"""With less room than this a checkpoint may be the last that fits."""
LOOK_SECONDS = 30.0
"""How often the room is looked at."""

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20

log = logging.getLogger("distevod")


def usage(workers: Iterable[int], islands: int) -> dict[str, float]:
    """What was used so far, and is now: CPU seconds, memory in MiB; `workers` are process ids."""
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    memory = [rss_mb(pid) for pid in workers]
    return {
        "cpu_seconds": round(own.ru_utime + own.ru_stime, 3),
        "max_rss_mb": round(own.ru_maxrss / 1024, 1),
        "ended_workers_cpu_seconds": round(ended.ru_utime + ended.ru_stime, 3),
        "workers_rss_mb": round(sum(memory), 1),
        "largest_worker_rss_mb": round(max(memory, default=0.0), 1),
        "islands": islands,
    }


def rss_mb(pid: int) -> float:
    """Memory of a process that is there now, in MiB; 0 for one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB
    except (OSError, IndexError):
        return 0.0


class DiskWatch:
    """Tells once when a folder's disk has little room left, and again only after it had more."""

    def __init__(self, folder: Path, least: int = LOW_DISK_BYTES) -> None:
        self._folder, self._least = folder, least
        self._is_low = False

    def look(self) -> str | None:
        """What to say, if there is something to say now."""
        try:
            disk = os.statvfs(self._folder)
        except OSError as error:
            log.debug("the disk cannot be looked at: %s", error)
            return None
        free = disk.f_bavail * disk.f_frsize
        was_low, self._is_low = self._is_low, free < self._least
        if was_low or not self._is_low:
            return None
        return f"the disk of {self._folder} has {free >> 20} MiB left: make room there"


def disk_watches(*folders: Path | None) -> list[DiskWatch]:
    """A watch for each disk on which one of these folders is."""
    by_disk = {folder.stat().st_dev: folder for folder in folders if folder is not None}
    return [DiskWatch(folder) for folder in by_disk.values()]
