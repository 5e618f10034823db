"""A small disk for one platform, to be filled in the middle of a run."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distevo_ctl.hosts.owners import unique
from distevo_ctl.hosts.tools import ToolError, tool


class Disk:
    """A disk of its own at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Write until not one more byte fits."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(1 << 20)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Remove what `fill` has written."""
        self._ballast.unlink()


@contextmanager
def full_disk(path: Path, mib: int) -> Iterator[Disk]:
    """A disk of `mib` MiB at `path`, which is made; full once `Disk.fill` is called. All on it is lost at the end."""
    path.mkdir(parents=True, exist_ok=True)
    tool("mount", "-t", "tmpfs", "-o", f"size={mib}m", unique("disk"), str(path))
    try:
        yield Disk(path)
    finally:
        remove(path)


def remove(path: Path) -> None:
    """Unmount a disk unless somebody else has, even one with open files: it is gone when the last of them is closed."""
    try:
        tool("umount", "--lazy", str(path))
    except ToolError:
        if path.is_mount():
            raise
