"""Whether workers idle: three unequal platforms work through 100 tasks, and a trace shows when each worker was busy.

    python tests/performance/idle_workers.py [--tasks 100] [--cpu-seconds 0.5] [--islands 1] [--quick]

The platforms have 1, 2 and 1 workers, batches of 50, 250 and 100, memory of 2, 4 and 1 GB, and the third is niced by
10, so that they differ in what they say they can do and in what they do; all share this machine's cores and a folder.
Every evaluation burns 2 ms of CPU time; the workers' traces (DISTEVO_TRACE) say when each generation began and ended,
and of which task.

Looked at is the time in which work is left for everybody: from the first generation of all to the beginning of the last
task that was begun. Of each worker: `busy_percent` is the time inside generations; `between_percent` the time between
two of them up to 50 ms (a report, a new task); `idle_percent` the rest, gaps longer than that; and `longest_gap_s`,
which includes the time before its first generation. Prints JSON; exits with 1 when some worker idled for more than the
target.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from distevod.evolution.trace import VARIABLE, Record, read_trace
from tests.support.daemon import Daemon, wait_for

TARGET_PERCENT = 1.0
GAP_SECONDS = 0.05
COST_US = 2000
PLATFORMS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "one": (1, ("--batch-size", "50", "--memory-mb", "2048"), ()),
    "two": (2, ("--batch-size", "250", "--memory-mb", "4096"), ()),
    "niced": (1, ("--batch-size", "100", "--memory-mb", "1024"), ("nice", "-n", "10")),
}
"""Workers, options, and what goes before the command."""


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--cpu-seconds", type=float, default=0.5, help="Budget of each task.")
    parser.add_argument("--islands", type=int, default=1, help="Islands of each task.")
    parser.add_argument("--options", default="", help="More options for all daemons, as one text.")
    parser.add_argument("--quick", action="store_true", help="Only see that it works.")
    options = parser.parse_args()
    if options.quick:
        options.tasks, options.cpu_seconds = 20, 0.1
    result = measure(options.tasks, options.cpu_seconds, options.islands, options.options.split())
    print(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode())
    worst = max(worker["idle_percent"] for worker in result["workers"])
    return 0 if options.quick or worst <= TARGET_PERCENT else 1


def measure(tasks: int, cpu_seconds: float, islands: int, options: list[str]) -> dict[str, Any]:
    """Let three platforms work through a run, and read the trace."""
    with tempfile.TemporaryDirectory(prefix="distevo-idle-") as name, ExitStack() as stack:
        folder, traces = Path(name), Path(name) / "traces"
        store, environ = ("--store", str(folder / "store")), {VARIABLE: str(traces)}
        daemons = {
            member: stack.enter_context(
                Daemon(
                    folder / member, *store, *own, *options, workers=workers, id=member, prefix=prefix, environ=environ
                )
            )
            for member, (workers, own, prefix) in PLATFORMS.items()
        }
        wait_for(lambda: all(_sees_all(daemon) for daemon in daemons.values()), "three platforms to be one cluster", 60)
        owners = {pid: member for member, daemon in daemons.items() for pid in daemon.status()["workers"].values()}
        data = {f"t{number:03}": {"bits": 256, "cost_us": COST_US} for number in range(tasks)}
        begun = time.monotonic()
        run = daemons["one"].submit(
            reference="tests.support.rugged:Rugged",
            data=data,
            cpu_seconds=cpu_seconds,
            islands_per_task=islands,
            seed=1,
        )
        daemons["one"].wait_done(run, 60 + 4 * tasks * cpu_seconds)
        result = judged({int(path.stem): list(read_trace(path)) for path in traces.iterdir()}, owners)
        settings = {"tasks": tasks, "cpu_seconds": cpu_seconds, "islands_per_task": islands, "options": options}
        return settings | {"seconds": round(time.monotonic() - begun, 2)} | result


def _sees_all(daemon: Daemon) -> bool:
    states = [member["state"] for member in daemon.status()["members"]]
    return states == ["alive"] * len(PLATFORMS)


def judged(found: dict[int, list[Record]], owners: dict[int, str]) -> dict[str, Any]:
    """How busy each worker was while there was work for all. Workers that were replaced have no platform."""
    first_of_task: dict[str, float] = {}
    for record in (record for trace in found.values() for record in trace):
        first_of_task[record.task] = min(record.begun, first_of_task.get(record.task, record.begun))
    begin, end = min(first_of_task.values()), max(first_of_task.values())
    # One that checks a problem's tasks for whoever submits it is none of the workers.
    rows = [_row(found.get(pid, []), begin, end) | {"platform": member} for pid, member in owners.items()]
    count = len(rows)
    return {
        "seconds_with_work_for_all": round(end - begin, 2),
        "generations": sum(len(trace) for trace in found.values()),
        "workers": rows,
        "idle_percent_mean": round(sum(row["idle_percent"] for row in rows) / count, 3),
        "longest_gap_s": max(row["longest_gap_s"] for row in rows),
    }


def _row(trace: list[Record], begin: float, end: float) -> dict[str, Any]:
    """One worker's."""
    inside = [record for record in trace if record.begun < end]
    moments = [begin, *(moment for record in inside for moment in (record.begun, record.ended)), end]
    gaps = [max(later - earlier, 0.0) for earlier, later in list(pairwise(moments))[::2]]
    whole = max(end - begin, 1e-9)
    idle, between = sum(gap for gap in gaps if gap > GAP_SECONDS), sum(gap for gap in gaps if gap <= GAP_SECONDS)
    return {
        "generations": len(inside),
        "tasks": len({record.task for record in inside}),
        "busy_percent": round(100 * (1 - (idle + between) / whole), 3),
        "between_percent": round(100 * between / whole, 3),
        "idle_percent": round(100 * idle / whole, 3),
        "longest_gap_s": round(max(gaps), 3),
        "gaps": [round(gap, 3) for gap in sorted(gaps, reverse=True) if gap > GAP_SECONDS][:8],
    }


if __name__ == "__main__":
    sys.exit(main())
