"""All platforms of a cluster are killed at once, and another number of platforms, which were never there, go on.

    python tests/performance/kill_cluster.py [--trials 20] [--seed 1] [--quick]

The cluster's store is a bucket in an emulator, behind a proxy that adds 50 ms to each request; each platform has a host
and half a core of its own. A run that nobody solves goes through all trials. In each, one more run is submitted, which
has to wait for its turn, and some milliseconds to seconds after that was confirmed all platforms and their workers are
killed with SIGKILL at the same moment. One to four new platforms start on what they left. On the way no epoch may fall,
no named result change, and no island be in two hands under one grant. The last platforms finish: the long run's result
holds whatever was durable at any kill, each run that was confirmed is fit, and each task has one result in the store.

`seconds_to_go_on`: from the start of the new platforms until every open island evolves again. It includes the wait for
the dead coordinator's lease (15 s by default, 5 s here). Prints JSON; with 1 as exit status when anything was wrong.
Needs root.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from distevo.names import RESULTS
from tests.support.bucket_cluster import BucketCluster
from tests.support.cluster import EASY, LISTENING, SLOW, within
from tests.support.gcs import Emulator
from tests.support.hosts import Network
from tests.support.hosts.requirements import missing
from tests.support.quantiles import summary

CPUS = 0.5
ROOM = ("--islands-per-platform", "8", "--memory-mb", "16384")
"""One platform has room for all islands that are begun: what waits for a place does not evolve."""
ISLANDS = 4
MOST_PLATFORMS = 4
GO_ON_SECONDS = 90.0


def trials(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Run them. Raises AssertionError or TimeoutError when something is lost."""
    rng = random.Random(seed)
    with Network() as network, Emulator() as emulator, _cluster(folder, network, emulator) as cluster:
        names = _start(cluster, network, 0, 3)
        run = cluster.submit(names[0], data={"t": SLOW}, islands_per_task=ISLANDS)
        cluster.wait_durable(run)
        took: list[float] = []
        confirmed: list[str] = []
        platforms = [len(names)]
        for trial in range(1, count + 1):
            confirmed.append(cluster.submit(rng.choice(names), **EASY))
            time.sleep(rng.uniform(0.0, 5.0))  # Not for luck: the moment of the kill is what varies.
            cluster.note_durable(run)
            for name in names:
                cluster.kill(name)
            others = [number for number in range(1, MOST_PLATFORMS + 1) if number != len(names)]
            begun = time.monotonic()
            names = _start(cluster, network, trial, rng.choice(others))
            islands = {island for island in cluster.places() if island.run == run}
            assert len(islands) == ISLANDS
            cluster.wait_working(names, GO_ON_SECONDS, islands)
            took.append(time.monotonic() - begun)
            platforms.append(len(names))
            print(f"trial {trial}: {platforms[-2]} killed, {platforms[-1]} go on in {took[-1]:.1f} s", file=sys.stderr)
        cluster.finish(run, *names)
        for waiting in confirmed:
            assert cluster.daemons[names[0]].wait_done(waiting, 60)["fit"] == 1
        stored = cluster.store.list(RESULTS)
        assert len(stored) == 1 + count, f"{1 + count} tasks have {len(stored)} results"
    return {"trials": count, "platforms": platforms, "seconds_to_go_on": summary(took), "lost": 0}


def _cluster(folder: Path, network: Network, emulator: Emulator) -> BucketCluster:
    return BucketCluster(folder, network, emulator, *LISTENING, *ROOM)


def _start(cluster: BucketCluster, network: Network, trial: int, count: int) -> list[str]:
    names = [f"p{trial}{'abcd'[number]}" for number in range(count)]
    for name in names:
        cluster.start(network.host(name, CPUS))
    within(GO_ON_SECONDS, lambda: _are_in(cluster, names), f"{names} to be in the plan")
    return names


def _are_in(cluster: BucketCluster, names: list[str]) -> bool:
    known = cluster.members(names[0])
    return all(known.get(name) == "alive" for name in names)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="two trials")
    arguments = parser.parse_args()
    if lacks := missing():
        print(orjson.dumps({"skipped": lacks}).decode())
        return 0
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            seen = trials(Path(folder), 2 if arguments.quick else arguments.trials, arguments.seed)
        except (AssertionError, TimeoutError) as error:
            print(orjson.dumps({"wrong": str(error)}).decode())
            return 1
    print(orjson.dumps(seen | {"seconds": round(time.monotonic() - begun, 1)}).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
