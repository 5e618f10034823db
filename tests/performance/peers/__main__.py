"""distevo beside DEAP, pygmo, Ray and Dask: speed at equal operators and with each one's own, start, memory, losses.

    make peers                                    # makes build/peers-venv, then runs all of it
    .venv/bin/python -m tests.performance.peers [--repeats 5] [--only ray] [--parts equal,start] [--quick]

One contender runs at a time, in rounds: each round has all of them once, every other round the other way about, so that
a machine that gets slower hurts all alike. `equal`: the same problem files in plain Python, the same selection, rates,
population, children per generation and migration for all; rates and memory. `own`: each one's own operators. `start`:
from the start of the first process to the first evaluation. `losses`: SIGKILL of a worker, a platform, everything.
Prints JSON; the same as Markdown to `--markdown PATH`. What fails is in the JSON and the table with what it said.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import psutil

from tests.performance.peers.contenders import EQUAL, OWN, Contender
from tests.performance.peers.losses import losses
from tests.performance.peers.measures import race, startup, steady
from tests.performance.peers.session import VENV
from tests.performance.peers.table import markdown
from tests.performance.peers.work import WORKS

FAILURES = (RuntimeError, TimeoutError, OSError, subprocess.SubprocessError)
PARTS = ("equal", "own", "start", "losses")
GENERATIONS, SECONDS, REPEATS, PATIENCE = 100, 20.0, 5, 30.0
QUICK_GENERATIONS, QUICK_SECONDS, QUICK_REPEATS = 20, 10.0, 1


def rounds(
    contenders: Sequence[Contender], repeats: int, measure: Callable[[Contender], dict[str, Any]], what: str
) -> dict[str, dict[str, Any]]:
    """By name, each figure of all rounds as median and range; of who failed, what it said."""
    found: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in contenders}
    errors: dict[str, str] = {}
    for number in range(repeats):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            try:
                figures = measure(contender)
            except FAILURES as error:
                errors[contender.name] = str(error)
                figures = {}
            else:
                found[contender.name].append(figures)
            print(orjson.dumps({"part": what, "who": contender.name, **figures}).decode(), file=sys.stderr, flush=True)
    return {
        name: {key: spread([trial[key] for trial in trials if key in trial]) for key in sorted(set().union(*trials))}
        | ({"error": errors[name]} if name in errors else {})
        for name, trials in found.items()
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median and range."""
    median, least, most = statistics.median(values), min(values), max(values)
    return {"median": round(median, 3), "least": round(least, 3), "most": round(most, 3), "count": len(values)}


def versions() -> dict[str, str]:
    """Of the peers in their environment, and of what distevo runs with."""
    listed = subprocess.run([VENV / "bin/pip", "list", "--format", "json"], check=True, capture_output=True).stdout
    peers = {package["name"].lower(): package["version"] for package in orjson.loads(listed)}
    wanted = ("deap", "pygmo", "ray", "dask", "distributed", "numpy")
    return {"distevo": version("distevo")} | {name: peers.get(name, "not installed") for name in wanted}


def machine() -> dict[str, Any]:
    """Where this ran."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    models = {line.partition(":")[2].strip() for line in cpus if line.startswith("model name")}
    return {
        "processor": ", ".join(sorted(models)),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generations", type=int, default=GENERATIONS, help="of each island, measured [100]")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="that own operators have [20]")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="rounds [5]")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds for what was killed to go on [30]")
    parser.add_argument("--only", default="", help="those whose name holds one of these words, as in ray,distevo")
    parser.add_argument("--parts", default=",".join(PARTS), help="of equal,own,start,losses [all]")
    parser.add_argument("--markdown", type=Path, help="where to write the tables")
    parser.add_argument("--quick", action="store_true", help="once, and short")
    arguments = parser.parse_args()
    if not VENV.exists():
        parser.error(f"{VENV} is missing; make it with: make build/peers-venv/.installed")
    generations, seconds, repeats = arguments.generations, arguments.seconds, arguments.repeats
    if arguments.quick:
        generations, seconds, repeats = QUICK_GENERATIONS, QUICK_SECONDS, QUICK_REPEATS
    words = arguments.only.lower().split(",")
    equal, own = (
        [one for one in contenders if any(word in one.name.lower() for word in words)] for contenders in (EQUAL, OWN)
    )
    parts = arguments.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts: no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    report: dict[str, Any] = {
        "benchmark": "peers", "command": " ".join(sys.argv[1:]), "generations": generations, "seconds": seconds,
        "repeats": repeats, "versions": versions(), "machine": machine(),
    }  # fmt: skip
    ways = (
        ("equal", equal, partial(steady, generations=generations)),
        ("own", own, partial(race, seconds=seconds)),
    )
    for part, contenders, measure in ways:
        if part in parts:
            report[part] = {
                work: rounds(
                    [one for one in contenders if work in one.works],
                    repeats,
                    partial(measure, work=work),
                    f"{part} {work}",
                )
                for work in WORKS
            }
    if "start" in parts:
        report["start"] = rounds(equal, repeats, startup, "start")
    if "losses" in parts:
        report["losses"] = {}
        for one in equal:
            try:
                report["losses"][one.name] = losses(one, arguments.patience)
            except FAILURES as error:
                report["losses"][one.name] = {"error": str(error)}
            print(orjson.dumps({one.name: report["losses"][one.name]}).decode(), file=sys.stderr, flush=True)
    report["machine"]["load_after"] = os.getloadavg()[0]
    print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    if arguments.markdown:
        arguments.markdown.write_text(markdown(report))


if __name__ == "__main__":
    main()
