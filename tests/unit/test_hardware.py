"""Usable hardware: container limits count, wherever in the tree of cgroups they are set."""

import os
from pathlib import Path

import pytest

from distevod.hardware import usable_cores, usable_memory_mb

AFFINITY = len(os.sched_getaffinity(0))
MACHINE_MB = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
V1 = "5:cpu,cpuacct:/a/b\n4:memory:/a/b\n3:cpuset:/\n"
V2 = "0::/a/b\n"


def tree(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": cgroup, **{f"sys/fs/cgroup/{k}": v for k, v in files.items()}}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_limits_the_machine_counts(tmp_path: Path) -> None:
    assert (usable_cores(tmp_path), usable_memory_mb(tmp_path)) == (AFFINITY, MACHINE_MB)
    unlimited = tree(tmp_path, V2, {"cpu.max": "max 100000", "memory.max": "max"})
    assert (usable_cores(unlimited), usable_memory_mb(unlimited)) == (AFFINITY, MACHINE_MB)


def test_on_this_machine() -> None:
    assert 1 <= usable_cores() <= AFFINITY
    assert 1 <= usable_memory_mb() <= MACHINE_MB


@pytest.mark.parametrize(
    ("cgroup", "files"),
    [
        (V2, {"a/b/cpu.max": "50000 100000", "a/b/memory.max": "104857600"}),
        (V2, {"a/b/cpu.max": "max 100000", "a/cpu.max": "100000 100000", "memory.max": "104857600"}),
        (
            V1,
            {
                "cpu/a/b/cpu.cfs_quota_us": "100000",
                "cpu/a/b/cpu.cfs_period_us": "100000",
                "memory/a/b/memory.limit_in_bytes": "104857600",
            },
        ),
        (
            V1,
            {
                "cpu/a/b/cpu.cfs_quota_us": "-1",
                "cpu/a/b/cpu.cfs_period_us": "100000",
                "cpu/cpu.cfs_quota_us": "20000",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/a/b/memory.limit_in_bytes": "9223372036854771712",
                "memory/memory.limit_in_bytes": "104857600",
            },
        ),
    ],
)
def test_the_smallest_limit_counts(tmp_path: Path, cgroup: str, files: dict[str, str]) -> None:
    root = tree(tmp_path, cgroup, files)
    assert (usable_cores(root), usable_memory_mb(root)) == (1, 100)


def test_limits_beyond_the_machine_do_not_count(tmp_path: Path) -> None:
    root = tree(tmp_path, V2, {"cpu.max": "99900000 100000", "memory.max": str(2**60)})
    assert (usable_cores(root), usable_memory_mb(root)) == (AFFINITY, MACHINE_MB)


def test_the_limit_of_another_controllers_cgroup_does_not_count(tmp_path: Path) -> None:
    files = {"cpu/other/cpu.cfs_quota_us": "1000", "cpu/other/cpu.cfs_period_us": "100000"}
    root = tree(tmp_path, "3:cpuset:/other\n2:cpu,cpuacct:/\n", {**files, "memory/other/memory.limit_in_bytes": "9"})
    assert (usable_cores(root), usable_memory_mb(root)) == (AFFINITY, MACHINE_MB)
