"""P12: memory (RSS) of daemon and workers after ten minutes of grid tasks.

    python tests/performance/memory.py [--minutes 10] [--quick]

Both the memory at the end and the most seen at any second, with the metrics page served and scraped. Prints JSON.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import orjson
import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.daemon import Daemon, wait_for


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--quick", action="store_true", help="ten seconds")
    arguments = parser.parse_args()
    seconds = 10 if arguments.quick else 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder, Daemon(Path(folder), workers=2) as daemon:
        run = daemon.submit(reference="grids", spec="training", cpu_seconds=4, islands_per_task=2, seed=1)
        wait_for(lambda: "metrics url" in daemon.log.read_text(), "the metrics page")
        found = re.search(r"metrics url=(\S+)", daemon.log.read_text())
        assert found is not None
        most_daemon = most_worker = 0.0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status = daemon.status()
            with urllib.request.urlopen(found[1]) as page:
                page.read()
            workers = [rss_mb(pid) for pid in status["workers"].values()]
            most_daemon, most_worker = max(most_daemon, rss_mb(daemon.pid)), max(most_worker, *workers)
            time.sleep(1)
        view = daemon.run(run)
        print(
            orjson.dumps(
                {
                    "benchmark": "memory",
                    "minutes": round(seconds / 60, 2),
                    "daemon_mb": round(rss_mb(daemon.pid), 1),
                    "daemon_most_mb": round(most_daemon, 1),
                    "daemon_target_mb": 45,
                    "workers_mb": [round(mb, 1) for mb in workers],
                    "worker_most_mb": round(most_worker, 1),
                    "worker_target_mb": 60,
                    "tasks_done": view["tasks_done"],
                    "evaluations": view["evaluations"],
                },
                option=orjson.OPT_INDENT_2,
            ).decode()
        )


if __name__ == "__main__":
    main()
