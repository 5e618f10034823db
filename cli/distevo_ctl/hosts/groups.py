"""One cgroup, of v1 or v2: the processes of a host, their CPU quota, and whether they run at all."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from functools import cache
from pathlib import Path

from distevo_ctl.hosts.owners import unique
from distevo_ctl.patience import wait_for

_PERIOD_US = 20_000
"""Of the quota: short beside every time-out, since a throttled process does nothing at all until the next one."""


class Group:
    """A cgroup of the machine with its CPU quota and its freezer; in v1 these are two folders."""

    def __init__(self, label: str) -> None:
        name = unique(label)
        self.cpu, self.freezer = (root / name for root in roots())
        for folder in self.folders:
            folder.mkdir()

    @property
    def folders(self) -> list[Path]:
        """Those that a process has to be put into."""
        return sorted({self.cpu, self.freezer})

    def limit(self, cpus: float | None) -> None:
        """All processes together get `cpus` seconds of CPU in a second; None: as many as there are."""
        quota = None if cpus is None else int(cpus * _PERIOD_US)
        if (self.cpu / "cpu.max").exists():
            (self.cpu / "cpu.max").write_text(f"{'max' if quota is None else quota} {_PERIOD_US}")
        else:
            (self.cpu / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (self.cpu / "cpu.cfs_quota_us").write_text(str(-1 if quota is None else quota))

    def freeze(self) -> None:
        """Stop all processes at once, until `thaw`; returns when all stand still."""
        _freeze(self.freezer, is_frozen=True)

    def thaw(self) -> None:
        """Let them go on."""
        _freeze(self.freezer, is_frozen=False)

    def kill(self) -> None:
        """SIGKILL to all processes, of which none sees another one die; returns when all are gone."""
        kill(self.freezer)

    def close(self) -> None:
        """Kill what is in it, and remove it."""
        self.kill()
        for folder in self.folders:
            remove(folder)


@cache
def roots() -> tuple[Path, Path]:
    """The roots of the hierarchies that have the CPU quota and the freezer. Raises FileNotFoundError without."""
    v1: dict[str, Path] = {}
    v2: Path | None = None
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, options = line.split()[:4]
        if kind == "cgroup":
            v1 |= {controller: Path(point) for controller in options.split(",")}
        elif kind == "cgroup2":
            v2 = Path(point)
    cpu, freezer = v1.get("cpu", v2), v1.get("freezer", v2)
    if cpu is None or freezer is None:
        raise FileNotFoundError("no cgroups are mounted")
    if cpu == v2 and "cpu" not in (cpu / "cgroup.subtree_control").read_text().split():
        (cpu / "cgroup.subtree_control").write_text("+cpu")
    return cpu, freezer


def kill(folder: Path) -> None:
    """Kill the processes of a group, whether it is frozen or not."""
    _freeze(folder, is_frozen=True)  # So that none of them starts another meanwhile.
    _kill_all(folder)
    _freeze(folder, is_frozen=False)  # In v1 the frozen cannot die.
    # Again at every look: to join takes a process up to 30 ms, so that one may come after the first.
    wait_for(lambda: not _kill_all(folder), f"the processes in {folder} to end")


def remove(folder: Path) -> None:
    """Kill the processes of a group and remove it, unless somebody else has; in v1 first the folder of the freezer."""

    def is_gone() -> bool:
        try:
            kill(folder)
            folder.rmdir()
        except OSError:  # Removed by another run, or busy as long as one of them is dying.
            return not folder.exists()
        return True

    wait_for(is_gone, f"{folder} to be removed")


def _kill_all(folder: Path) -> int:
    """SIGKILL to the processes that are in a group now; how many these are."""
    pids = [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)


def _freeze(folder: Path, *, is_frozen: bool) -> None:
    if (folder / "cgroup.freeze").exists():
        (folder / "cgroup.freeze").write_text(str(int(is_frozen)))
        told, wanted = folder / "cgroup.events", f"frozen {int(is_frozen)}"
    elif (folder / "freezer.state").exists():
        told, wanted = folder / "freezer.state", "FROZEN" if is_frozen else "THAWED"
        told.write_text(wanted)
    else:
        return  # In v1 the folder with the quota has no freezer.
    wait_for(lambda: wanted in told.read_text().splitlines(), f"{folder} to be {wanted}")
