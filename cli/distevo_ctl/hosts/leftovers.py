"""What a process that made hosts leaves behind when it is killed, and the next one removes."""

from __future__ import annotations

from pathlib import Path

from distevo_ctl.hosts import groups, namespaces
from distevo_ctl.hosts.owners import is_left_over


def sweep() -> None:
    """Remove processes, cgroups and namespaces whose maker is gone. Those of makers that run stay."""
    cpu, freezer = groups.roots()
    for root in dict.fromkeys((freezer, cpu)):
        for folder in filter(_is_left_over, root.iterdir()):
            groups.remove(folder)
    if namespaces.FOLDER.is_dir():
        for namespace in filter(_is_left_over, namespaces.FOLDER.iterdir()):
            namespaces.remove(namespace.name)


def _is_left_over(path: Path) -> bool:
    return is_left_over(path.name)
