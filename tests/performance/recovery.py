"""P10: a worker is killed, or hangs: how long until its island goes on, and how many generations are lost.

    python tests/performance/recovery.py [--trials 20] [--quick]

Measured from outside: from the kill to the first evaluation that the replaced worker makes, which the problem writes
down itself (monotonic clock, process id, genome). For a hang the evaluation time-out is taken off. Prints JSON.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.daemon import Daemon, wait_for

TIMEOUT = 1.0


def trial(daemon: Daemon, run: str, notes: Path, strike: Callable[[int], None]) -> tuple[float, int]:
    """(seconds from the strike to the next evaluation in a new process, generations lost)."""
    generation = generations(daemon)
    wait_for(lambda: generations(daemon) > generation + 2, "generations")
    pid = daemon.status()["workers"]["0"]
    before = generations(daemon)
    begun = time.monotonic()
    strike(pid)

    def first_after() -> float | None:
        for line in reversed(notes.read_bytes()[-400_000:].splitlines()):
            moment, process, _ = line.split()
            if int(process) == pid:
                break
            found.append(float(moment))
        return found[-1] if found else None

    found: list[float] = []
    wait_for(first_after, "an evaluation in the new worker", 30, every=0.005)
    resumed = generations(daemon)
    return found[-1] - begun, max(before - resumed, 0)


def generations(daemon: Daemon) -> int:
    """Generations that the daemon knows of."""
    islands: list[dict[str, Any]] = daemon.ask(do="islands")["islands"]
    return sum(int(island["generation"]) for island in islands)


def measure(trials: int, how: str) -> dict[str, Any]:
    """All trials of one kind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notes = folder / "notes"
        options = ("--evaluation-timeout-seconds", str(TIMEOUT), "--batch-size", "50")
        with Daemon(folder, *options) as daemon:
            run = daemon.submit(
                reference="tests.support.noted:Noted", data={"t": {"path": str(notes)}}, cpu_seconds=10**6
            )
            strikes: dict[str, Callable[[int], None]] = {
                "killed": lambda pid: os.kill(pid, signal.SIGKILL),
                "hangs": lambda pid: (folder / "notes.hang").touch(),
            }
            seen = [trial(daemon, run, notes, strikes[how]) for _ in range(trials)]
    seconds = sorted(taken - (TIMEOUT if how == "hangs" else 0) for taken, _ in seen)
    return {
        "how": how,
        "trials": trials,
        "p50_s": round(statistics.median(seconds), 3),
        "p95_s": round(seconds[min(int(len(seconds) * 0.95), len(seconds) - 1)], 3),
        "max_s": round(seconds[-1], 3),
        "most_generations_lost": max(lost for _, lost in seen),
        "target_s": 0.4,
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="two trials each")
    arguments = parser.parse_args()
    trials = 2 if arguments.quick else arguments.trials
    cases = [measure(trials, how) for how in ("killed", "hangs")]
    print(orjson.dumps({"benchmark": "recovery", "cases": cases}, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
