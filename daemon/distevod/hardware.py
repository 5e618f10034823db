"""The hardware that this platform may use: usable cores and memory, container limits included.

A notebook or container sees the whole host, but is throttled or killed at the limits of its cgroup or of one
above it, so the smallest of all counts. cgroup v1 and v2 are read; a limit that cannot be read is no limit.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_MIB = 1024 * 1024


def usable_cores(root: Path = Path("/")) -> int:
    """Cores that this process may run on: its CPU affinity, at most the CPU quota rounded up; at least 1.

    `root` holds `proc/self/cgroup` and `sys/fs/cgroup`.
    """
    quotas = [quota for folder in _cgroups(root, "cpu") if (quota := _cpu_quota(folder))]
    return max(1, min([len(os.sched_getaffinity(0)), *map(math.ceil, quotas)]))


def usable_memory_mb(root: Path = Path("/")) -> int:
    """Memory in MiB: the machine's, at most the memory limit; at least 1. `root` as for `usable_cores`."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder in _cgroups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):  # v2, v1
            total = min(total, _number(folder / name) or total)
    return max(1, total // _MIB)


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's cgroup for one controller and of those above it; may not exist.

    Each line of /proc/self/cgroup is `number:controllers:path`, the controllers empty for v2 (cgroups(7)).
    """
    mount = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        controllers, path = line.split(":", 2)[1:]
        if controllers and controller not in controllers.split(","):
            continue
        base = mount / controller if controllers else mount
        folder = base / path.lstrip("/")
        yield folder
        yield from (above for above in folder.parents if above.is_relative_to(base))


def _cpu_quota(folder: Path) -> float | None:
    """The CPU quota of one cgroup in cores; None when there is none."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()  # v2
    except (OSError, ValueError):
        quota = period = ""
    if quota.isdigit() and period.isdigit():
        return int(quota) / max(1, int(period))
    micros, of = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")  # v1
    return micros / of if micros and of else None


def _number(path: Path) -> int | None:
    """The positive whole number that a file holds; None for "max", -1, or a file that is not there."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) > 0 else None
