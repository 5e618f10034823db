"""P3: offspring per second of islands in a daemon, against the bare loop of the same operators in as many processes.

    python tests/performance/engine_overhead.py [--seconds 20] [--repeats 3] [--workers 1,2] [--quick]

Offspring are proposals looked at: evaluated or known. Both sides have the same problem, selection, variation, keys,
dedup and population size; the bare loop has no daemon, no guards, no reports, no checkpoints, no page, no clock.
Each case is run in turn, bare and in the daemon, several times; the ratio is taken pair by pair. Prints JSON.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from distevo.program import keyer
from distevod.evolution.genetic import CROSSOVER_RATE, IMMIGRANT_RATE, TOURNAMENT
from distevod.problems.regression import Regression
from tests.support.daemon import Daemon, wait_for
from tests.support.rugged import Rugged

BATCH = 250
POPULATION = 200

CASES: dict[str, tuple[str, Any, float]] = {
    "bit strings, 1 ms evaluations": ("rugged", {"bits": 256, "cost_us": 1000}, 0.99),
    "bit strings, 80 us evaluations": ("rugged", {"bits": 256, "cost_us": 80}, 0.97),
    "regression keijzer-4": ("regression", "keijzer-4", 0.97),
    "bit strings, 5 us evaluations": ("rugged", {"bits": 256, "cost_us": 5}, 0.8),
}
PROBLEMS: dict[str, Any] = {"rugged": Rugged, "regression": Regression}
REFERENCES = {"rugged": "tests.support.rugged:Rugged", "regression": "regression"}


def data_of(name: str, task: Any) -> Any:
    """Task data of a case."""
    return Regression.tasks(task)[task] if name == "regression" else task


def bare_loop(name: str, task: Any, seed: int, stop: Event, counted: Any) -> None:
    """The loop that somebody would write by hand around the same operators."""
    problem = PROBLEMS[name](data_of(name, task))
    key_of = keyer(problem.name, problem.version)
    rng = random.Random(seed)
    known: set[bytes] = set()
    population: list[tuple[tuple[float, int, bytes], Any]] = []
    kept: dict[bytes, Any] = {}
    exponent = 1 / TOURNAMENT
    while not stop.is_set():
        if population:
            parents = [genome for _, genome in population]
            size = len(parents)
            children = []
            for _ in range(BATCH):
                die = rng.random()
                if die < CROSSOVER_RATE:
                    a = parents[int(size * (1 - (1 - rng.random()) ** exponent))]
                    b = parents[int(size * (1 - (1 - rng.random()) ** exponent))]
                    children.append(problem.crossover(a, b, rng))
                elif die < 1 - IMMIGRANT_RATE:
                    a = parents[int(size * (1 - (1 - rng.random()) ** exponent))]
                    children.append(problem.mutate(a, rng))
                else:
                    children.append(problem.random(rng))
        else:
            children = [problem.random(rng) for _ in range(BATCH)]
        offspring = []
        for child in children:
            data = problem.encode(child)
            key = key_of(data)
            if key in known:
                continue
            known.add(key)
            outcome = problem.evaluate(child)
            if outcome is None or outcome["fitness"] is None:
                continue
            order = (-outcome["fitness"], len(data), key)
            behaviour = outcome.get("behaviour", key)
            if behaviour not in kept or order < kept[behaviour][0]:
                kept[behaviour] = order, child
                offspring.append(behaviour)
        if len(known) > 80_000:
            known.clear()
        if offspring:
            population = sorted(kept.values(), key=lambda pair: pair[0])[:POPULATION]
            if len(kept) > 4 * POPULATION:
                worst = population[-1][0]
                kept = {b: pair for b, pair in kept.items() if pair[0] <= worst}
        counted.value += len(children)


def bare(name: str, task: Any, workers: int, seconds: float) -> float:
    """Offspring per second of bare loops in `workers` processes."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    counts = [context.Value("q", 0, lock=False) for _ in range(workers)]
    processes = [
        context.Process(target=bare_loop, args=(name, task, seed, stop, counts[seed])) for seed in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        wait_for(lambda: all(count.value > 2 * BATCH for count in counts), "the bare loops to be warm", 60)
        return measure(lambda: sum(count.value for count in counts), seconds)
    finally:
        stop.set()
        for process in processes:
            process.join()


def in_daemon(name: str, task: Any, workers: int, seconds: float) -> float:
    """Offspring per second of as many islands in a daemon."""
    with tempfile.TemporaryDirectory() as folder:
        with Daemon(Path(folder), "--batch-size", str(BATCH), workers=workers) as daemon:
            run = daemon.submit(
                reference=REFERENCES[name],
                data={"t": data_of(name, task)},
                islands_per_task=workers,
                cpu_seconds=10**6,
                seed=1,
            )

            def offspring() -> int:
                view = daemon.run(run)
                if view["state"] != "running":
                    raise AssertionError(f"the run ended: {view}")
                return int(view["evaluations"] + view["duplicates_avoided"])

            wait_for(lambda: offspring() > 2 * workers * BATCH, "the islands to be warm", 60)
            return measure(offspring, seconds)


def measure(count: Any, seconds: float) -> float:
    """Rate of `count()` over at least `seconds`, from one change of it to another."""

    def change() -> tuple[float, int]:
        before = count()
        while (now := count()) == before:
            time.sleep(0.005)
        return time.perf_counter(), now

    begun, first = change()
    time.sleep(seconds)
    ended, last = change()
    return (last - first) / (ended - begun)


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--quick", action="store_true", help="once, for a second")
    arguments = parser.parse_args()
    seconds, repeats = (1.0, 1) if arguments.quick else (arguments.seconds, arguments.repeats)
    found = []
    for case, (name, task, target) in CASES.items():
        for workers in map(int, arguments.workers.split(",")):
            pairs = []
            for repeat in range(repeats):
                # Which of the two goes first alternates: the machine's speed drifts.
                order = [bare, in_daemon] if repeat % 2 == 0 else [in_daemon, bare]
                rates = {measured: measured(name, task, workers, seconds) for measured in order}
                pairs.append((rates[in_daemon], rates[bare]))
            ratios = sorted(ours / theirs for ours, theirs in pairs)
            found.append(
                {
                    "case": case,
                    "workers": workers,
                    "target": target,
                    "ratio": round(statistics.median(ratios), 4),
                    "ratio_range": [round(ratios[0], 4), round(ratios[-1], 4)],
                    "offspring_per_s": round(statistics.median(ours for ours, _ in pairs), 1),
                    "bare_per_s": round(statistics.median(theirs for _, theirs in pairs), 1),
                }
            )
            print(orjson.dumps(found[-1]).decode(), file=sys.stderr, flush=True)
    print(orjson.dumps({"benchmark": "engine_overhead", "cases": found}, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
