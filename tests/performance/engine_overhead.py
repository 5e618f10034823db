"""P3: offspring per second of islands in a daemon, against the bare loop of the same operators in as many processes.

    python tests/performance/engine_overhead.py [--seconds 20] [--repeats 3] [--workers 1,2] [--cases TEXT] [--quick]

Offspring are programs that were evaluated: known ones are not counted, since they cost nothing and how many a search
meets depends on its luck. Both sides have the same problem, selection, variation, keys,
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

from blake3 import blake3

from distevo.program import keyer
from distevo.run import island_seed
from distevod.evolution.genetic import CROSSOVER_RATE, IMMIGRANT_RATE, TOURNAMENT
from distevod.problems.regression import Regression
from tests.support.bare_variation import Rates, children
from tests.support.daemon import Daemon, wait_for
from tests.support.onemax_lists import OneMaxLists
from tests.support.rugged import Rugged

BATCH = 500
POPULATION = 200
SEED, TASK = 1, "t"
RATES = Rates(TOURNAMENT, CROSSOVER_RATE, IMMIGRANT_RATE)

CASES: dict[str, tuple[str, Any, float]] = {
    "bit strings, 1 ms evaluations": ("rugged", {"bits": 256, "cost_us": 1000}, 0.99),
    "onemax as with DEAP": ("lists", {"bits": 256}, 0.97),
    "regression keijzer-4": ("regression", "keijzer-4", 0.97),
    "bit strings, 5 us evaluations": ("rugged", {"bits": 256, "cost_us": 5}, 0.8),
}
PROBLEMS: dict[str, Any] = {"rugged": Rugged, "lists": OneMaxLists, "regression": Regression}
REFERENCES = {
    "rugged": "tests.support.rugged:Rugged",
    "lists": "tests.support.onemax_lists:OneMaxLists",
    "regression": "regression",
}


def data_of(name: str, task: Any) -> Any:
    """Task data of a case."""
    return Regression.tasks(task)[task] if name == "regression" else task


def bare_loop(name: str, task: Any, island: int, stop: Event, counted: Any) -> None:
    """The loop that somebody would write by hand around the same operators.

    It draws the same random numbers as the island in the daemon, so both evaluate the very same programs in the very
    same order: what a search costs depends on where it is.
    """
    problem = PROBLEMS[name](data_of(name, task))
    key_of = keyer(problem.name, problem.version)
    seed = island_seed(SEED, TASK, island)
    known: set[bytes] = set()
    kept: dict[bytes, tuple[tuple[float, int, bytes], Any]] = {}
    population: list[tuple[tuple[float, int, bytes], Any]] = []
    generation = 0
    while not stop.is_set():
        rng = random.Random(int.from_bytes(blake3(f"{seed}/{generation}".encode()).digest()))
        floor = population[-1][0] if len(population) >= POPULATION else None
        evaluated, is_changed = 0, False
        for child in children(problem, [genome for _, genome in population], BATCH, RATES, rng):
            data = problem.encode(child)
            key = key_of(data)
            if key in known:
                continue
            known.add(key)
            evaluated += 1
            outcome = problem.evaluate(child)
            if outcome is None or outcome["fitness"] is None:
                continue
            order = (-outcome["fitness"], len(data), key)
            if floor is not None and order >= floor:
                continue
            behaviour = outcome.get("behaviour", key)
            if behaviour not in kept or order < kept[behaviour][0]:
                kept[behaviour] = order, child
                is_changed = True
        if is_changed:
            ranked = sorted(kept.items(), key=lambda pair: pair[1][0])[:POPULATION]
            kept, population = dict(ranked), [pair for _, pair in ranked]
        generation += 1
        counted.value += evaluated


def bare(name: str, task: Any, workers: int, seconds: float) -> float:
    """Offspring per second of bare loops in `workers` processes."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    counts = [context.Value("q", 0, lock=False) for _ in range(workers)]
    processes = [
        context.Process(target=bare_loop, args=(name, task, island, stop, counts[island])) for island in range(workers)
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
    options = ("--batch-size", str(BATCH))
    with tempfile.TemporaryDirectory() as folder, Daemon(Path(folder), *options, workers=workers) as daemon:
        run = daemon.submit(
            reference=REFERENCES[name],
            data={TASK: data_of(name, task)},
            islands_per_task=workers,
            cpu_seconds=10**6,
            seed=SEED,
        )

        def offspring() -> int:
            view = daemon.run(run)
            if view["state"] not in {"queued", "running"}:
                raise AssertionError(f"the run ended: {view}")
            return int(view["evaluations"])

        wait_for(lambda: offspring() > 2 * workers * BATCH, "the islands to be warm", 60)
        return measure(offspring, seconds)


def measure(count: Any, seconds: float) -> float:
    """Rate of `count()` over at least `seconds`, from one change of it to another."""

    def change() -> tuple[float, int]:
        before = count()
        while (now := count()) == before:
            time.sleep(0.05)  # Not oftener: answering costs the daemon CPU time that is measured.
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
    parser.add_argument("--cases", default="", help="only those whose name holds this")
    parser.add_argument("--quick", action="store_true", help="once, for a second")
    arguments = parser.parse_args()
    seconds, repeats = (1.0, 1) if arguments.quick else (arguments.seconds, arguments.repeats)
    found = []
    chosen = {case: what for case, what in CASES.items() if arguments.cases in case}
    for case, (name, task, target) in chosen.items():
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
