"""P14: what a daemon with nothing to do costs, in a cluster of ten on one folder store, linked with one another.

    python tests/performance/idle.py [--members 10] [--seconds 120] [--trials 1] [--quick]

All daemons run on this machine's loopback with the default settings (heartbeats every 10 s, the coordinator's lease
renewed and looked at every 5 s, the inbox listed every 10 s), without any run. Once each is linked with each, and the
settling is over, the CPU time of each daemon's process, from /proc/<pid>/stat, is read before and after; the figure
is its share of one core. The workers' is in the figure `worst_worker_percent` alone. Prints JSON; exits with 1 when a
daemon used more than the target.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.daemon import Daemon, wait_for

TARGET_PERCENT = 0.5
SETTLING_SECONDS = 15.0
"""Longer than every interval of an idle daemon: the last of what a new link brings is over."""
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads, in steps of 10 ms (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def is_linked(daemon: Daemon, members: int) -> bool:
    """Whether it is linked with all others."""
    found = daemon.status()["members"]
    return len(found) == members and all(m["state"] == "alive" and m["path"] in {"self", "direct"} for m in found)


def measure(members: int, seconds: float) -> dict[str, Any]:
    """One cluster."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        options = ("--store", str(folder / "store"), "--listen", "tcp://127.0.0.1:0")
        daemons = [
            stack.enter_context(Daemon(folder / f"m{number}", *options, id=f"m{number}")) for number in range(members)
        ]
        wait_for(lambda: all(is_linked(d, members) for d in daemons), "all to be linked", 120, every=0.5)
        workers = [pid for daemon in daemons for pid in daemon.status()["workers"].values()]
        pids = [daemon.pid for daemon in daemons]
        time.sleep(SETTLING_SECONDS)
        begun, before = time.monotonic(), {pid: cpu_seconds(pid) for pid in (*pids, *workers)}
        time.sleep(seconds)
        passed = time.monotonic() - begun
        used = {pid: 100 * (cpu_seconds(pid) - before[pid]) / passed for pid in before}
        coordinator = daemons[0].status()["cluster"]["coordinator"]
    shares = {daemon.id: used[daemon.pid] for daemon in daemons}
    return {
        "median_percent": round(statistics.median(shares.values()), 3),
        "worst_percent": round(max(shares.values()), 3),
        "worst": max(shares, key=lambda member: shares[member]),
        "coordinator": coordinator,
        "coordinator_percent": round(shares[coordinator], 3),
        "worst_worker_percent": round(max(used[pid] for pid in workers), 3),
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--trials", type=int, default=1, help="clusters, one after the other")
    parser.add_argument("--quick", action="store_true", help="one trial, ten seconds")
    arguments = parser.parse_args()
    trials, seconds = (1, 10.0) if arguments.quick else (arguments.trials, arguments.seconds)
    cases = [measure(arguments.members, seconds) for _ in range(trials)]
    is_met = all(case["worst_percent"] <= TARGET_PERCENT for case in cases)
    found = {
        "benchmark": "idle",
        "members": arguments.members,
        "seconds": seconds,
        "trials": cases,
        "target_percent": TARGET_PERCENT,
        "is_met": is_met,
    }
    print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    sys.exit(not is_met)


if __name__ == "__main__":
    main()
