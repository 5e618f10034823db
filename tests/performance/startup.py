"""P11: from `distevod start` in a shell to the first evaluation, a run waiting in the store.

    python tests/performance/startup.py [--trials 20] [--quick]

The problem writes its first evaluation's moment down itself. Both for a problem that imports nothing and for the
grid tasks, which import numpy. Prints JSON.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.daemon import Daemon, wait_for

UNSOLVABLE = {
    "train": [
        {"input": [[0, 1, 2], [3, 0, 1]], "output": [[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9]]},
        {"input": [[1, 1, 0], [0, 2, 0]], "output": [[2, 7, 1, 8], [2, 8, 1, 8], [2, 8, 4, 5]]},
    ],
    "test": [{"input": [[0, 1], [1, 0]], "output": [[0]]}],
}


def measure(problem: str, task: dict[str, Any], trials: int) -> dict[str, Any]:
    """All trials with one problem."""
    seconds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notes = folder / "notes"
        daemon = Daemon(folder, workers=2)
        with daemon:
            daemon.submit(
                reference=f"tests.support.noted:{problem}", data={"t": task | {"path": str(notes)}}, cpu_seconds=10**6
            )
        command = shlex.join([str(Path(sys.executable).parent / "distevod"), *daemon.command[3:]])
        for _ in range(trials):
            notes.write_bytes(b"")
            with daemon.log.open("ab") as log:
                begun = time.monotonic()
                daemon.process = subprocess.Popen(
                    ["sh", "-c", f"exec {command}"], env=daemon.environ, stdout=log, stderr=log
                )
            try:
                wait_for(notes.read_bytes, "the first evaluation", 30, every=0.002)
                seconds.append(float(notes.read_bytes().split()[0]) - begun)
                daemon.wait_ready()
            finally:
                daemon.stop()
    seconds.sort()
    return {
        "problem": problem,
        "trials": trials,
        "p50_s": round(statistics.median(seconds), 3),
        "min_s": round(seconds[0], 3),
        "max_s": round(seconds[-1], 3),
        "target_s": 0.5,
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="two trials each")
    arguments = parser.parse_args()
    trials = 2 if arguments.quick else arguments.trials
    cases = [measure("Noted", {}, trials), measure("NotedGrids", {"task": UNSOLVABLE}, trials)]
    print(orjson.dumps({"benchmark": "startup", "cases": cases}, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
