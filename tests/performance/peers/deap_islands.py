"""DEAP: four demes and a ring between them (`tools.migRing`), in one process or with a pool of processes.

Variants, two words each, joined by a dash. First, who works:

- `alone`: one process.
- `map`: the pool's `map` registered in the toolbox, as DEAP's manual has it: each child is sent to be evaluated.
- `demes`: the pool takes whole demes, and brings them back at each migration.

Second, with which operators:

- `equal`: an algorithm made of DEAP's parts (`tools.selTournament`, `algorithms.varOr`, `tools.selBest`) around the
  operators that all have here; children that the deme has seen before are not evaluated.
- `own`: DEAP's examples `onemax` and `symbreg` with their rates: `algorithms.varAnd`, generational, `tools` and `gp`.
- `numpy`: DEAP's example `onemax_numpy`; bit strings only.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import operator
import os
import random
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from deap import algorithms, base, creator, gp, tools

from tests.performance.peers import driver
from tests.performance.peers.hand_loop import NOT_BEGUN, Stand
from tests.performance.peers.work import (
    BATCH,
    CROSSOVER_RATE,
    IMMIGRANT_RATE,
    ISLANDS,
    MIGRATION_INTERVAL,
    MIGRATION_SIZE,
    POPULATION,
    TOURNAMENT,
    WORKERS,
    problem_of,
)
from tests.support.formulas import POINTS, Formulas

WORST = -1e30
BITS, FLIP_CHANCE, OWN_CROSSOVER, OWN_MUTATION = 256, 0.05, 0.5, 0.2
"""Of DEAP's example; as many bits as all have here."""


class Equal:
    """DEAP's parts around the shared operators."""

    def __init__(self, work: str, notes: str) -> None:
        self.problem = problem_of(work, notes)
        creator.create("Fitness", base.Fitness, weights=(1.0, -1.0))
        creator.create("Individual", list, fitness=creator.Fitness)
        self.toolbox = toolbox = base.Toolbox()
        toolbox.register("evaluate", fitness_of)
        if work == "onemax":
            toolbox.register("mate", tools.cxTwoPoint)
            toolbox.register("mutate", tools.mutFlipBit, indpb=FLIP_CHANCE)
        else:
            toolbox.register("mate", self.mate)
            toolbox.register("mutate", self.mutate)

    def newcomers(self, count: int) -> list[Any]:
        return [creator.Individual(self.problem.random(random)) for _ in range(count)]

    def mate(self, one: Any, other: Any) -> tuple[Any, Any]:
        one[:] = self.problem.crossover(one, other, random)
        return one, other

    def mutate(self, one: Any) -> tuple[Any]:
        one[:] = self.problem.mutate(one, random)
        return (one,)

    def evolve(self, deme: list[Any], known: set[bytes], generations: int) -> tuple[list[Any], Stand]:
        """So many generations of a deme."""
        toolbox = self.toolbox
        offspring = repeats = 0
        known.update(map(bytes, deme))
        for _ in range(generations):
            if deme:
                newcomers = sum(random.random() < IMMIGRANT_RATE for _ in range(BATCH))
                parents = tools.selTournament(deme, len(deme), tournsize=TOURNAMENT)
                children = algorithms.varOr(
                    parents, toolbox, BATCH - newcomers, CROSSOVER_RATE, 1 - CROSSOVER_RATE
                ) + self.newcomers(newcomers)
            else:
                children = self.newcomers(BATCH)
            fresh = []
            for child in children:
                data = bytes(child)
                if data not in known:
                    known.add(data)
                    fresh.append(child)
            assess(fresh, toolbox)
            offspring += len(fresh)
            repeats += len(children) - len(fresh)
            deme = tools.selBest(deme + fresh, POPULATION)
        return deme, Stand(generations, offspring, repeats, deme[0].fitness.values[0])


class Own:
    """DEAP's examples."""

    def __init__(self, work: str, is_numpy: bool) -> None:
        self.toolbox = toolbox = base.Toolbox()
        if work == "onemax":
            creator.create("Fitness", base.Fitness, weights=(1.0,))
            creator.create("Individual", np.ndarray if is_numpy else list, fitness=creator.Fitness)
            toolbox.register("bit", random.randint, 0, 1)
            toolbox.register("individual", tools.initRepeat, creator.Individual, toolbox.bit, BITS)
            toolbox.register("evaluate", ones_numpy if is_numpy else ones)
            toolbox.register("mate", two_points_numpy if is_numpy else tools.cxTwoPoint)
            toolbox.register("mutate", tools.mutFlipBit, indpb=FLIP_CHANCE)
            self.chances = OWN_CROSSOVER, OWN_MUTATION
        else:
            self.regression()
            self.chances = OWN_CROSSOVER, 0.1
        toolbox.register("select", tools.selTournament, tournsize=TOURNAMENT)

    def regression(self) -> None:
        primitives = gp.PrimitiveSet("MAIN", 1)
        for function, arity in ((operator.add, 2), (operator.sub, 2), (operator.mul, 2), (protected, 2)):
            primitives.addPrimitive(function, arity)
        primitives.addPrimitive(math.sin, 1)
        primitives.addPrimitive(math.cos, 1)
        primitives.addEphemeralConstant("constant", partial(random.randint, -1, 1))
        creator.create("Fitness", base.Fitness, weights=(1.0,))
        creator.create("Individual", gp.PrimitiveTree, fitness=creator.Fitness)
        toolbox = self.toolbox
        toolbox.register("expression", gp.genHalfAndHalf, pset=primitives, min_=1, max_=2)
        toolbox.register("individual", tools.initIterate, creator.Individual, toolbox.expression)
        toolbox.register("evaluate", partial(error, primitives, Formulas({}).wanted))
        toolbox.register("mate", gp.cxOnePoint)
        toolbox.register("grown", gp.genFull, min_=0, max_=2)
        toolbox.register("mutate", gp.mutUniform, expr=toolbox.grown, pset=primitives)
        limit = gp.staticLimit(key=operator.attrgetter("height"), max_value=17)
        toolbox.decorate("mate", limit)
        toolbox.decorate("mutate", limit)

    def evolve(self, deme: list[Any], known: set[bytes], generations: int) -> tuple[list[Any], Stand]:
        """So many generations of a deme, as `algorithms.eaSimple` makes them."""
        toolbox, evaluated = self.toolbox, 0
        if not deme:
            deme = [toolbox.individual() for _ in range(POPULATION)]
            evaluated += assess(deme, toolbox)
        for _ in range(generations):
            deme = algorithms.varAnd(toolbox.select(deme, len(deme)), toolbox, *self.chances)
            evaluated += assess(deme, toolbox)
        best = max(one.fitness.values[0] for one in deme)
        return deme, Stand(generations, evaluated, 0, best)


def assess(children: list[Any], toolbox: base.Toolbox) -> int:
    """Evaluate those that have no fitness yet; returns how many those were."""
    new = [child for child in children if not child.fitness.valid]
    for child, values in zip(new, toolbox.map(toolbox.evaluate, new), strict=True):
        child.fitness.values = values
    return len(new)


def ones(one: Any) -> tuple[float]:
    """Fitness of a bit string."""
    return (sum(one),)


def ones_numpy(one: np.ndarray) -> tuple[float]:
    """The same of an array."""
    return (int(one.sum()),)


def two_points_numpy(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two-point crossover of arrays, whose slices are views and have to be copied."""
    first, last = sorted((random.randint(1, BITS), random.randint(1, BITS - 1)))
    one[first:last], other[first:last] = other[first:last].copy(), one[first:last].copy()
    return one, other


def protected(a: float, b: float) -> float:
    """Division."""
    return a / b if b else 1


def error(primitives: gp.PrimitiveSet, wanted: Sequence[float], one: Any) -> tuple[float]:
    """Negative root of the mean squared error of a tree."""
    function = gp.compile(one, primitives)
    try:
        found = math.sqrt(sum((function(x) - y) ** 2 for x, y in zip(POINTS, wanted, strict=True)) / len(POINTS))
    except (OverflowError, ValueError):
        return (WORST,)
    return (-found if found < -WORST else WORST,)


_method: Equal | Own
"""Of this process: processes of the pool inherit it."""


def fitness_of(one: Any) -> tuple[float, float]:
    """For the pool's `map`: fitness and size by the shared problem."""
    outcome = _method.problem.evaluate(one)
    return (WORST if outcome is None else outcome["fitness"], len(one))


def evolved(deme: list[Any], seed: int) -> tuple[list[Any], Stand]:
    """For the pool: a whole deme, which knows its past from one migration to the next only, since that would travel."""
    random.seed(seed)
    deme, stand = _method.evolve(deme, set(), MIGRATION_INTERVAL)
    return deme, stand


def migrate(demes: list[list[Any]]) -> None:
    """Each deme's best go to the next deme, whose best go on in turn."""
    if isinstance(demes[0][0], list):
        tools.migRing(demes, MIGRATION_SIZE, tools.selBest)
        return
    # migRing looks its emigrants up with ==, which arrays have another meaning for.
    ranked = [tools.selBest(deme, len(deme)) for deme in demes]
    demes[:] = [
        before[:MIGRATION_SIZE] + deme[MIGRATION_SIZE:]
        for before, deme in zip(ranked[-1:] + ranked[:-1], ranked, strict=True)
    ]


def main() -> None:
    """Run the demes."""
    global _method
    options = driver.options()
    who, _, operators = options.variant.partition("-")
    _method = Equal(options.work, options.notes) if operators == "equal" else Own(options.work, operators == "numpy")
    demes: list[list[Any]] = [[] for _ in range(ISLANDS)]
    seen: list[set[bytes]] = [set() for _ in demes]
    stands = [NOT_BEGUN] * ISLANDS
    pool = None if who == "alone" else multiprocessing.get_context("fork").Pool(WORKERS)
    driver.tell_workers([process.pid for process in pool._pool] if pool else [os.getpid()])
    if pool and who == "map":
        _method.toolbox.register("map", partial(pool.map, chunksize=BATCH // (4 * WORKERS)))
    seeds = itertools.count()
    while True:
        if pool and who == "demes":
            done = pool.starmap(evolved, [(deme, next(seeds)) for deme in demes], chunksize=1)
        else:
            done = [_method.evolve(deme, known, MIGRATION_INTERVAL) for deme, known in zip(demes, seen, strict=True)]
        demes = [deme for deme, _ in done]
        stands = [before.after(more) for before, (_, more) in zip(stands, done, strict=True)]
        migrate(demes)
        driver.tell_stands(stands)


if __name__ == "__main__":
    main()
