"""What a test run leaves behind when it is killed, and the next one removes."""

from __future__ import annotations

from pathlib import Path

from tests.support.hosts import groups, namespaces
from tests.support.hosts.disks import remove as remove_disk
from tests.support.hosts.owners import is_left_over


def sweep() -> None:
    """Remove processes, namespaces and disks whose test run is gone. Those of runs under way stay."""
    cpu, freezer = groups.roots()
    for root in dict.fromkeys((freezer, cpu)):
        for folder in filter(_is_left_over, root.iterdir()):
            groups.remove(folder)
    for namespace in filter(_is_left_over, _in(namespaces.FOLDER)):
        namespaces.remove(namespace.name)
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, point = line.split()[:2]
        if is_left_over(source):
            remove_disk(Path(point.encode().decode("unicode_escape")))  # Blanks are written as \040.


def _is_left_over(path: Path) -> bool:
    return is_left_over(path.name)


def _in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []
