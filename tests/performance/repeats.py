"""P16: how many evaluations repeat one that was made elsewhere in the cluster, and what avoiding them costs.

    python tests/performance/repeats.py [--seconds 90] [--case regression] [--seen-seconds 5] [--quick]

Three daemons with one worker each, linked over the loopback interface, evolve one task on six islands. What each worker
evaluated in a generation, and when that ended, stands in its trace (DISTEVO_TRACE). From these traces alone:

    repeats           evaluations of a program that was evaluated before, anywhere, of all evaluations
    elsewhere         of these, such as had been made on another platform, and not on this one
    within_delay      repeats of what was evaluated for the first time no longer ago than the stated delay of SEEN: the
                      interval of checkpoints, that of announcements, and a generation on either side
    after_delay       the other repeats: these are judged, at most 1 % of all evaluations

and from the metrics pages the bytes of keys that were sent for each evaluation (at most 16 to each other platform, and
13 kB/s to each for a task), and of merges; and from the result, that no key is in any population twice. CPU time of
merges is given as a share of the CPU time of generations (P5).

Cases: `onemax`, 256 bits, in which hardly anything is proposed twice; `regression`, formulas, and `grids`, a task that
nothing solves, in which half of all proposals are known. An evaluation takes 1 ms of the processor, or as long as it
does with `--cost 0`.

Prints JSON; exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from math import sin
from pathlib import Path
from random import Random
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from distevo.block import unpack
from distevo.checkpoint import decode_checkpoint
from distevo.names import RESULTS
from distevo.program import keyer
from distevo.result import decode_result
from distevo.seen import SEEN_SECONDS
from distevod.evolution.trace import KEY_BYTES, VARIABLE, read_trace
from distevod.problems.grids import Grids
from distevod.store import open_store
from tests.support.daemon import Daemon, wait_for
from tests.support.metrics import scrape

PLATFORMS, ISLANDS = 3, 6
CHECKPOINT_SECONDS, GENERATION_SECONDS, COLLECT_SECONDS = 5.0, 1.0, 1.0
DELAY = CHECKPOINT_SECONDS + SEEN_SECONDS + 2 * GENERATION_SECONDS + COLLECT_SECONDS
TARGET_SHARE, TARGET_MERGE_SHARE = 0.01, 0.005
GRID_TASK = "training:11-11"


def cases(cost: float) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name: (reference, task data)."""
    rng = Random(1)  # Noise has no formula, so that nothing fits.
    points = [[rng.random(), rng.random()] for _ in range(30)]
    formulas = {"X": points, "y": [sin(5 * x) * y + 0.1 * rng.random() for x, y in points]}
    grids = dict(next(iter(Grids.tasks(GRID_TASK).values())))
    return {
        "onemax": ("tests.support.slowed:SlowedOneMax", {"bits": 256, "seconds": cost}),
        "regression": ("tests.support.slowed:SlowedRegression", formulas | {"seconds": cost}),
        "grids": ("tests.support.slowed:SlowedGrids", grids | {"seconds": cost}),
    }


Evaluations = list[tuple[float, bytes, str]]
"""(end of its generation, key, worker) of all evaluations, in the order of their times."""


def read(folder: Path) -> Evaluations:
    """What the workers have written down. There is one for each platform."""
    return sorted(
        (record.ended, record.keys[at : at + KEY_BYTES], file.name)
        for file in folder.iterdir()
        for record in read_trace(file)
        for at in range(0, len(record.keys), KEY_BYTES)
    )


def equal_keys(folder: Path) -> int:
    """Programs in the populations of all results that are there twice."""
    store, count = open_store(str(folder / "store")), 0
    for name in store.list(RESULTS):
        for snapshot in decode_checkpoint(decode_result(store.read(name)[0])[1]).islands:
            keys = [p.key for p in unpack(snapshot.population, keyer(snapshot.problem, snapshot.version))]
            count += len(keys) - len(set(keys))
    return count


def judged(trace: Evaluations, delay: float) -> dict[str, Any]:
    """What the traces say."""
    first: dict[bytes, float] = {}
    workers: dict[bytes, set[str]] = {}
    found: Counter[str] = Counter()
    for at, key, worker in trace:
        known, here = first.setdefault(key, at), workers.setdefault(key, set())
        if here:
            found["repeats"] += 1
            found["elsewhere"] += worker not in here
            found["within_delay" if at - known <= delay else "after_delay"] += 1
            found["elsewhere_after_delay"] += worker not in here and at - known > delay
        here.add(worker)
    total = len(trace)
    names = ("repeats", "elsewhere", "within_delay", "after_delay", "elsewhere_after_delay")
    return {"evaluations": total, "distinct": len(first)} | {
        name: {"count": found[name], "share": round(found[name] / max(total, 1), 5)} for name in names
    }


def measure(case: str, seconds: float, cost: float) -> dict[str, Any]:
    """One run of a case."""
    reference, data = cases(cost)[case]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ("--store", str(folder / "store"), "--listen", "tcp://127.0.0.1:0", "--islands-per-platform", "2")
        environ = {VARIABLE: str(folder / "trace")}
        daemons = [
            Daemon(folder / f"p{index}", *options, id=f"p{index}", environ=environ) for index in range(PLATFORMS)
        ]
        try:
            for daemon in daemons:
                daemon.start()
            for daemon in daemons:
                wait_for(lambda: paths(daemon).count("direct") == PLATFORMS - 1, "links", 60)  # noqa: B023
            daemons[0].submit(
                reference=reference,
                data={"t": data},
                islands_per_task=ISLANDS,
                cpu_seconds=seconds * PLATFORMS,
                run="r",
            )
            wait_for(lambda: over(daemons[0]), "the run to end", 20 * seconds + 60, every=0.5)
            pages = [scrape(daemon) for daemon in daemons]
            result = daemons[0].results("r")["t"]
        finally:
            for daemon in daemons:
                if daemon.process is not None and daemon.process.poll() is None:
                    daemon.stop()
        trace = judged(read(folder / "trace"), DELAY) | {"equal_keys": equal_keys(folder)}
    sums = {
        key: sum(sum(page.figures(family, *labels).values()) for page in pages)
        for key, family, labels in (
            ("seen_bytes", "seen_bytes_total", ()),
            ("merge_bytes", "merge_bytes_total", ()),
            ("merge_seconds", "merge_seconds_total", ("kind",)),
            ("cpu_seconds", "generation_cpu_seconds_total", ()),
        )
    }
    return trace | {
        "case": case,
        "fit": result["fit"],
        "fitness": result["fitness"],
        "seen_bytes_per_evaluation": round(sums["seen_bytes"] / trace["evaluations"], 2),
        "merge_bytes_per_evaluation": round(sums["merge_bytes"] / trace["evaluations"], 2),
        "merge_share_of_cpu": round(sums["merge_seconds"] / sums["cpu_seconds"], 6),
        "is_met": trace["after_delay"]["share"] <= TARGET_SHARE
        and not trace["equal_keys"]
        and sums["merge_seconds"] <= TARGET_MERGE_SHARE * sums["cpu_seconds"],
    }


def paths(daemon: Daemon) -> list[str]:
    """How the others are reached."""
    return [member["path"] for member in daemon.status()["members"]]


def over(daemon: Daemon) -> bool:
    """Whether the run is."""
    return daemon.run("r")["state"] in {"done", "failed"}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of CPU, for each platform")
    parser.add_argument("--case", choices=list(cases(0.0)), help="only this one")
    parser.add_argument("--cost", type=float, default=0.001, help="CPU seconds of an evaluation, at least")
    parser.add_argument("--quick", action="store_true", help="five seconds of one case")
    arguments = parser.parse_args()
    names = [arguments.case] if arguments.case else ["regression"] if arguments.quick else list(cases(0.0))
    found = [measure(name, 5.0 if arguments.quick else arguments.seconds, arguments.cost) for name in names]
    answer = {
        "benchmark": "repeats",
        "delay_seconds": DELAY,
        "cost_seconds": arguments.cost,
        "target_share": TARGET_SHARE,
        "cases": found,
        "is_met": all(case["is_met"] for case in found),
    }
    print(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
    sys.exit(not answer["is_met"])


if __name__ == "__main__":
    main()
