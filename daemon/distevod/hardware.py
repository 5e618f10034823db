"""The hardware that this platform may use: usable cores and memory, container limits included.

A notebook or container sees the whole host in `/proc`, but is throttled or killed at its cgroup's limit, so
the smaller of both counts. cgroup v1 and v2 are read from their usual mounts; a limit that cannot be read is
no limit.
"""

import math
import os
from pathlib import Path

_MIB = 1024 * 1024


def usable_cores(root: Path = Path("/")) -> int:
    """Cores that this process may run on: its CPU affinity, at most the cgroup's quota rounded up; at least
    1."""
    cores = len(os.sched_getaffinity(0))
    quota = _cpu_quota(root / "sys/fs/cgroup")
    return max(1, min(cores, math.ceil(quota))) if quota else cores


def usable_memory_mb(root: Path = Path("/")) -> int:
    """Memory in MiB: the machine's, at most the cgroup's limit; at least 1.

    Raises OSError or ValueError where `/proc/meminfo` is missing or is not Linux's.
    """
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            total = int(line.split()[1]) // 1024
            break
    else:
        raise ValueError("/proc/meminfo has no MemTotal")
    cgroup = root / "sys/fs/cgroup"
    limits = [_number(cgroup / "memory.max"), _number(cgroup / "memory/memory.limit_in_bytes")]
    return max(1, min([total, *(limit // _MIB for limit in limits if limit)]))


def _cpu_quota(cgroup: Path) -> float | None:
    """The cgroup's CPU quota in cores; None when there is none."""
    try:
        words = (cgroup / "cpu.max").read_text().split()
    except OSError:
        words = []
    if len(words) == 2 and words[0].isdigit() and words[1].isdigit():
        return int(words[0]) / int(words[1])
    quota, period = _number(cgroup / "cpu/cpu.cfs_quota_us"), _number(cgroup / "cpu/cpu.cfs_period_us")
    return quota / period if quota and period else None


def _number(path: Path) -> int | None:
    """A positive whole number that a file holds; None for "max", -1, or a file that is not there."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) > 0 else None
