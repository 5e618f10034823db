"""How long the verbs of the folder store take, fsync included.

    python tests/performance/store_speed.py [--count 300] [FOLDER]

prints JSON: milliseconds at the median and at the 99th percentile, for objects of `--size` bytes.  `versions` is how
many versions of a mutable object there are: those of the last ten minutes are kept, so about 500 when a lease is
renewed every 1.2 s and 12,000 when one is swapped as often as `swap_interval` allows.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from distevod.store import FolderStore

Milliseconds = dict[str, float]


def measure(count: int, action: Callable[[int], object]) -> Milliseconds:
    """Time `action(number)` for each number below `count`."""
    took = []
    for number in range(count):
        start = time.perf_counter()
        action(number)
        took.append((time.perf_counter() - start) * 1000)
    took.sort()
    return {"p50": round(took[count // 2], 3), "p99": round(took[count * 99 // 100], 3)}


def write_bare(folder: Path, number: int, data: bytes) -> None:
    """The system calls of a `create`, and nothing around them: the floor."""
    temporary = folder / f"temporary-{number}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)
    os.link(temporary, folder / str(number))
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    temporary.unlink()


def measure_mutable(root: Path, count: int, data: bytes, versions: int) -> dict[str, Milliseconds]:
    """Swap and read an object that has `versions` versions already."""
    store = FolderStore(root)
    token = store.create("cluster", data)
    for number in range(2, versions + 1):
        (root / "cas" / "cluster" / f"{number:020}").write_bytes(data)
    token = store.read("cluster")[1]

    def replace(_: int) -> None:
        nonlocal token
        token = store.replace("cluster", data, token)

    return {"replace": measure(count, replace), "read": measure(count, lambda _: store.read("cluster"))}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("folder", nargs="?", help="where to make the store (default: a temporary folder)")
    arguments.add_argument("--count", type=int, default=300)
    arguments.add_argument("--size", type=int, default=20_000)
    arguments.add_argument("--quick", action="store_true", help="few repeats")
    given = arguments.parse_args()
    if given.quick:
        given.count = 30
    count, data = given.count, bytes(given.size)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        root = Path(folder)
        store = FolderStore(root / "store")
        bare = root / "bare"
        bare.mkdir()
        report: dict[str, object] = {
            "count": count,
            "size": given.size,
            "bare calls of a create": measure(count, lambda number: write_bare(bare, number, data)),
            "create": measure(count, lambda number: store.create(f"plans/{number}", data)),
            "create in a new folder": measure(count, lambda number: store.create(f"results/a/{number}/x", data)),
            "read": measure(count, lambda number: store.read(f"plans/{number}")),
        }
        for number in range(1000):
            (root / "store" / "plans" / f"more-{number:03}").write_bytes(b"")
        report["list of 1,000"] = measure(count, lambda _: store.list("plans/more-"))
        report["delete"] = measure(count, lambda number: store.delete(f"plans/{number}"))
        report["open"] = measure(count, lambda _: FolderStore(root / "store"))
        for versions in (1, 500, 12_000):
            report[f"versions: {versions}"] = measure_mutable(root / str(versions), count, data, versions)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
