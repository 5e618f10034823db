"""Symbolic regression by the simplest loop that is worth its name, without the engine: what the problem itself can do.

    python tests/performance/regression_direct.py [--tasks nguyen] [--seeds 5] [--cpu-seconds 10]

Begins with the problem's seeds; population of 200, one program for each behaviour, elitist; tournaments of 3; crossover
and mutation in equal parts, 2 % newcomers; no program is evaluated twice. Prints JSON: for each task how many seeds
found a fit program, of these how many were verified, median CPU seconds and evaluations until then, evaluations per CPU
second, and a shortest program.
"""

import argparse
import json
import statistics
import time
from random import Random
from typing import Any, NamedTuple

from distevo.problem import Contract
from distevod.problems.regression import Regression

POPULATION = 200
OFFSPRING = 200
TOURNAMENT = 3


class Found(NamedTuple):
    """One program of the population."""

    fitness: float
    data: bytes
    genome: Any


class Outcome(NamedTuple):
    """How one seed ended."""

    fit: bool
    verified: bool
    cpu_seconds: float
    evaluations: int
    invalid: int
    duplicates: int
    best: Found


def order(found: Found) -> tuple[float, int, bytes]:
    return -found.fitness, len(found.data), found.data


def evolve(contract: Contract, seed: int, cpu_seconds: float) -> Outcome:
    """Until a fit program or the end of the budget."""
    start = time.process_time()
    rng = Random(seed)
    known: set[bytes] = set()
    behaviours: dict[bytes, Found] = {}
    population: list[Found] = []
    evaluations = invalid = duplicates = 0

    def chosen() -> Any:
        return population[min(rng.randrange(len(population)) for _ in range(TOURNAMENT))].genome

    seeds = contract.seeds(rng)
    while True:
        for _ in range(OFFSPRING):
            if seeds:
                genome = seeds.pop()
            elif len(population) < 2 or rng.random() < 0.02:
                genome = contract.random(rng)
            elif rng.random() < 0.5:
                genome = contract.crossover(chosen(), chosen(), rng)
            else:
                genome = contract.mutate(chosen(), rng)
            data = contract.encode(genome)
            if data in known:
                duplicates += 1
                continue
            known.add(data)
            evaluation = contract.evaluate(genome)
            evaluations += 1
            if evaluation.fitness is None:
                invalid += 1
                continue
            found = Found(evaluation.fitness[0], data, genome)
            if evaluation.fit:
                used = time.process_time() - start
                return Outcome(True, contract.verify(genome), used, evaluations, invalid, duplicates, found)
            other = behaviours.get(evaluation.behaviour)
            if other is None or order(found) < order(other):
                behaviours[evaluation.behaviour] = found
        population = sorted(behaviours.values(), key=order)[:POPULATION]
        kept = {found.data for found in population}
        behaviours = {behaviour: found for behaviour, found in behaviours.items() if found.data in kept}
        used = time.process_time() - start
        if used > cpu_seconds:
            return Outcome(False, False, used, evaluations, invalid, duplicates, population[0])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", default="nguyen")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cpu-seconds", type=float, default=10.0)
    parser.add_argument("--quick", action="store_true", help="one problem")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.tasks, arguments.seeds, arguments.cpu_seconds = "nguyen-1", 1, 2.0
    report: dict[str, Any] = {}
    for name, task in Regression.tasks(arguments.tasks).items():
        outcomes = [evolve(Contract(Regression(task)), seed, arguments.cpu_seconds) for seed in range(arguments.seeds)]
        fit = [outcome for outcome in outcomes if outcome.fit]
        best = min(
            (outcome.best for outcome in fit or outcomes), key=lambda found: len(found.data) if fit else -found.fitness
        )
        cpu = sum(outcome.cpu_seconds for outcome in outcomes)
        evaluations = sum(outcome.evaluations for outcome in outcomes)
        report[name] = {
            "fit": len(fit),
            "verified": sum(outcome.verified for outcome in outcomes),
            "seeds": len(outcomes),
            "cpu_seconds_to_fit": round(statistics.median(o.cpu_seconds for o in fit), 3) if fit else None,
            "evaluations_to_fit": round(statistics.median(o.evaluations for o in fit)) if fit else None,
            "evaluations_per_cpu_second": round(evaluations / cpu),
            "invalid_share": round(sum(o.invalid for o in outcomes) / evaluations, 3),
            "duplicate_share": round(
                sum(o.duplicates for o in outcomes) / (evaluations + sum(o.duplicates for o in outcomes)), 3
            ),
            "best_fitness": max(outcome.best.fitness for outcome in outcomes),
            "program": best.data.decode(),
        }
    settings = {"seeds": arguments.seeds, "cpu_seconds": arguments.cpu_seconds}
    print(json.dumps({"settings": settings, "tasks": report}, indent=2))


if __name__ == "__main__":
    main()
