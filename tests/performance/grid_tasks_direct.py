"""Grid tasks on one core without the daemon: the sweep, then a minimal loop of genetic programming.

    python tests/performance/grid_tasks_direct.py --tasks training --cpu-seconds 1.5

prints one JSON object: how many tasks were fit (all training pairs right) and solved (the one guess, the smallest
fit program, right on the test pairs too), by phase, and what it cost in CPU seconds, construction included.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from distevod.problems.grids import Grids

BATCH = 500
POPULATION = 200


def solve(task: Any, seed: str, cpu_seconds: float) -> dict[str, Any]:
    """One task: the smallest fit program of the first batch that has one, or none."""
    began = time.process_time()
    problem = Grids(task)
    rng = Random(seed)
    best: dict[bytes, tuple[float, int, bytes, Any]] = {}  # by behaviour
    known: set[bytes] = set()
    fits: list[tuple[int, bytes, Any]] = []
    evaluations = 0
    phase = "sweep"

    def take(genome: Any, text: bytes, outcome: dict[str, Any]) -> None:
        known.add(text)
        if outcome["fit"]:
            fits.append((len(text), text, genome))
        entry = (-outcome["fitness"], len(text), text, genome)
        old = best.get(outcome["behaviour"])
        if old is None or entry[:3] < old[:3]:
            best[outcome["behaviour"]] = entry

    def trim() -> None:
        kept = sorted(best.items(), key=lambda item: item[1][:3])[:POPULATION]
        best.clear()
        best.update(kept)

    for node in problem.sweep(0, 1):
        evaluations += 1
        if node is not None:
            take(node[0], problem.encode(node[0]), node[1])
        if evaluations % BATCH == 0:
            trim()
            if fits or time.process_time() - began > cpu_seconds:
                break
    while not fits and time.process_time() - began <= cpu_seconds:
        phase = "evolution"
        trim()
        parents = sorted(best.values(), key=lambda entry: entry[:3])
        for _ in range(BATCH):
            a = parents[min(rng.randrange(len(parents)) for _ in range(4))][3]
            if rng.random() < 0.3:
                b = parents[min(rng.randrange(len(parents)) for _ in range(4))][3]
                child = problem.crossover(a, b, rng)
            else:
                child = problem.mutate(a, rng)
            text = problem.encode(child)
            if text in known:
                continue
            known.add(text)
            evaluations += 1
            outcome = problem.evaluate(child)
            if outcome is not None:
                take(child, text, outcome)
            if time.process_time() - began > cpu_seconds:
                break
    spent = time.process_time() - began
    guess = min(fits)[2] if fits else None
    return {
        "fit": bool(fits),
        "solved": guess is not None and problem.verify is not None and problem.verify(guess),
        "phase": phase,
        "program": None if guess is None else problem.encode(guess).decode(),
        "fitness": -min(best.values())[0] if best else None,
        "evaluations": evaluations,
        "cpu_seconds": round(spent, 3),
    }


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", default="training", help=Grids.tasks_help)
    parser.add_argument("--cpu-seconds", type=float, default=1.5, help="for each task")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--each", action="store_true", help="also one object for each task")
    parser.add_argument("--quick", action="store_true", help="few tasks")
    given = parser.parse_args(arguments)
    if given.quick:
        given.tasks, given.cpu_seconds = "training:0-4", 0.3
    tasks = Grids.tasks(given.tasks)
    results = {name: solve(task, f"{given.seed}:{name}", given.cpu_seconds) for name, task in tasks.items()}
    spent = sum(r["cpu_seconds"] for r in results.values())
    evaluations = sum(r["evaluations"] for r in results.values())
    by_phase: dict[str, Counter[str]] = {"sweep": Counter(), "evolution": Counter()}
    for r in results.values():
        by_phase[r["phase"]].update(tasks=1, fit=r["fit"], solved=r["solved"])
    report: dict[str, Any] = {
        "tasks": given.tasks,
        "count": len(tasks),
        "cpu_seconds_each": given.cpu_seconds,
        "seed": given.seed,
        "fit": sum(r["fit"] for r in results.values()),
        "solved": sum(r["solved"] for r in results.values()),
        "core_seconds": round(spent, 1),
        "evaluations": evaluations,
        "evaluations_per_s": round(evaluations / spent),
        "by_phase": {name: dict(counts) for name, counts in by_phase.items()},
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    if given.each:
        report["each"] = results
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
