"""Grid tasks through a daemon: how many are fit and how many solved, one guess each, stop on fit.

    python tests/performance/grid_tasks.py [--tasks training] [--cpu-seconds 1.5] [--islands 1] [--workers 2] [--seed 1]
        [--rungs 0.05,0.5]

`fit`: all training pairs right; `solved`: the test pairs right too, which evolution never sees. The budget is CPU time
of variation and evaluation for each task; `--rungs` are smaller ones that each task has before it. `fit_after` says how
many seconds after the submission so many tasks were fit. Prints JSON.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import orjson
import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.daemon import Daemon


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default="training")
    parser.add_argument("--cpu-seconds", type=float, default=1.5)
    parser.add_argument("--rungs", default="")
    parser.add_argument("--islands", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few tasks")
    arguments = parser.parse_args()
    tasks = "training:0-9" if arguments.quick else arguments.tasks
    with tempfile.TemporaryDirectory() as folder, Daemon(Path(folder), workers=arguments.workers) as daemon:
        begun = time.monotonic()
        run = daemon.submit(
            reference="grids", spec=tasks, cpu_seconds=arguments.cpu_seconds, islands_per_task=arguments.islands,
            seed=arguments.seed,
            rungs=[{"cpu_seconds": float(rung), "evaluations": None} for rung in arguments.rungs.split(",") if rung],
        )  # fmt: skip
        fit_after: dict[int, float] = {}
        while (view := daemon.run(run))["state"] not in {"done", "failed", "cancelled"}:
            fit_after.setdefault(view["fit"], round(time.monotonic() - begun, 1))
            time.sleep(0.2)
        seconds = time.monotonic() - begun
        workers = [psutil.Process(pid).cpu_times() for pid in daemon.status()["workers"].values()]
        results = daemon.results(run)
    print(
        orjson.dumps(
            {
                "benchmark": "grid_tasks",
                "tasks": tasks,
                "tasks_total": view["tasks_total"],
                "fit": view["fit"],
                "solved": view["solved"],
                "budget_core_seconds_per_task": arguments.cpu_seconds,
                "rungs": arguments.rungs,
                "fit_after": {str(fit): seconds for fit, seconds in fit_after.items()},
                "worker_core_seconds": round(sum(cpu.user + cpu.system for cpu in workers), 1),
                "wall_seconds": round(seconds, 1),
                "evaluations": view["evaluations"],
                "duplicates_avoided": view["duplicates_avoided"],
                "solved_ids": sorted(task for task, result in results.items() if result["solved"]),
            },
            option=orjson.OPT_INDENT_2,
        ).decode()
    )


if __name__ == "__main__":
    main()
