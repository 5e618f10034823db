"""Requests to a bucket in an hour, as counted by real daemons, against what `distevo-ctl cost` estimates.

    python tests/performance/bucket_requests.py [--minutes 10] [--platforms 4] [--quick]

Daemons with default settings evolve tasks that nobody solves, on a bucket in an emulator behind a proxy that adds 50 ms
to each request: once linked with each other, and once with nobody to be dialled, so that all they have is mail. What
each counts as billed (`store_billed_requests_total`) is taken once all evolve, and again at the end. Prints JSON, by
class: A (writes and lists), B (reads), free; `ratio` is counted over estimated. Mail is deleted when it is ten minutes
old, so that of what is free a shorter run sees less.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from distevo.cost import Shape, estimate
from tests.support.daemon import Daemon, wait_for
from tests.support.gcs import Emulator, Proxy
from tests.support.metrics import scrape

LATENCY = 0.05
SETTLE_SECONDS = 30.0
"""What starting costs is over by then: announcements, the first looks into mailboxes."""
KINDS = {"links": "tcp://127.0.0.1:0", "mail": "none"}
TASK = {"bits": 256, "cost_us": 1000}


def measure(folder: Path, kind: str, platforms: int, seconds: float) -> dict[str, Any]:
    """Count for so long. Raises TimeoutError when the cluster does not get to work."""
    with ExitStack() as stack:
        emulator = stack.enter_context(Emulator())
        proxy = stack.enter_context(Proxy(emulator.port))
        proxy.latency = LATENCY
        store = f"gs://{emulator.bucket()}/cluster"
        daemons = []
        for number in range(platforms):
            name = f"p{number}"
            environ = {"STORAGE_EMULATOR_HOST": proxy.url}
            options = ("--store", store, "--listen", KINDS[kind])
            daemons.append(stack.enter_context(Daemon(folder / kind / name, *options, id=name, environ=environ)))
        names = {daemon.id for daemon in daemons}
        wait_for(lambda: all(_alive(daemon) == names for daemon in daemons), "all to know each other", 120)
        tasks = {f"t{number}": TASK for number in range(platforms)}
        daemons[0].submit(reference="tests.support.rugged:Rugged", data=tasks, islands_per_task=2, evaluations=10**9)
        wait_for(lambda: all(_evolves(daemon) for daemon in daemons), "all to evolve", 120)
        time.sleep(min(SETTLE_SECONDS, seconds))
        before, begun = _billed(daemons), time.monotonic()
        time.sleep(seconds)
        counted, took = _billed(daemons) - before, time.monotonic() - begun
    shape = Shape(
        platforms=platforms, mail=platforms if kind == "mail" else 0, tasks=platforms, tasks_per_hour=0.0,
        starts_per_day=0.0,
    )  # fmt: skip
    total = estimate(shape).total()
    daily = {"A": total.inserts + total.lists, "B": total.reads + total.misses, "free": total.deletes}
    hourly = {name: counted[name] * 3600 / took / platforms for name in daily}
    return {
        "platforms": platforms,
        "seconds": round(took, 1),
        "requests_per_platform_and_hour": {
            name: {
                "counted": round(hourly[name], 1),
                "estimated": round(daily[name] / 24 / platforms, 1),
                "ratio": round(hourly[name] / (daily[name] / 24 / platforms), 3),
            }
            for name in daily
        },
    }


def _alive(daemon: Daemon) -> set[str]:
    return {member["id"] for member in daemon.status()["members"] if member["state"] == "alive"}


def _evolves(daemon: Daemon) -> bool:
    return any(island["generation"] for island in daemon.ask(do="islands")["islands"])


def _billed(daemons: list[Daemon]) -> Counter[str]:
    """By class, of all daemons together."""
    total: Counter[str] = Counter()
    for daemon in daemons:
        for (_, name), value in scrape(daemon).figures("store_billed_requests_total", "class").items():
            total[name] += int(value)
    return total


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--platforms", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="two platforms, for a minute")
    arguments = parser.parse_args()
    platforms = 2 if arguments.quick else arguments.platforms
    seconds = 60.0 if arguments.quick else arguments.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        print(orjson.dumps({kind: measure(Path(folder), kind, platforms, seconds) for kind in KINDS}).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
