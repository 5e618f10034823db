"""SIGKILL of the daemon at random moments, 50 times in one run.

    python tests/performance/kill_daemon.py [--kills 50] [--seed 1]

After each kill the restarted daemon is held against what the store held: every island goes on from its last
checkpoint, and no result that the plan names changes. In the end each task has one result, the same as if nothing
had happened. Prints JSON; any violation ends it with an AssertionError.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.kills import kill_again_and_again


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few kills")
    arguments = parser.parse_args()
    kills = 3 if arguments.quick else arguments.kills
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seen = kill_again_and_again(Path(folder), kills, task_count=14, cost_us=900, seed=arguments.seed)
    print(orjson.dumps(seen | {"seconds": round(time.monotonic() - begun, 1)}).decode())


if __name__ == "__main__":
    main()
