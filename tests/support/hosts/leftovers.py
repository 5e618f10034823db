"""What a test run leaves behind when it is killed, and the next one removes."""

from __future__ import annotations

from pathlib import Path

from distevo_ctl.hosts import leftovers
from distevo_ctl.hosts.owners import is_left_over
from tests.support.hosts.disks import remove as remove_disk


def sweep() -> None:
    """Remove processes, namespaces and disks whose test run is gone. Those of runs under way stay."""
    leftovers.sweep()
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, point = line.split()[:2]
        if is_left_over(source):
            remove_disk(Path(point.encode().decode("unicode_escape")))  # Blanks are written as \040.
