"""pygmo: an archipelago of islands in processes (`mp_island`), along its own ring with its own migration.

Variant `equal`: the hand-written generations as a user-defined algorithm. pygmo's populations are vectors of numbers,
so programs are written into them, padded at the end. Variant `own`: pygmo's simple genetic algorithm (`sga`, in C++) on
the bits as integers, which evaluates in Python; it has nothing for formulas.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pygmo

from tests.performance.peers import driver
from tests.performance.peers.hand_loop import NOT_BEGUN, HandIsland, Scored, Stand
from tests.performance.peers.work import (
    CROSSOVER_RATE,
    ISLANDS,
    MIGRATION_INTERVAL,
    MIGRATION_SIZE,
    POPULATION,
    TOURNAMENT,
    WORKERS,
    problem_of,
)
from tests.support.formulas import CONSTANTS, MOST_NODES

LOOK_SECONDS = 0.25
FLIP_CHANCE = 0.05
PADDING = -1
WORST = 1e30
MANY = 10**6
"""Evolutions that are asked for at once, so that no island waits for another."""
SHAPES = {"onemax": (256, 0, 1), "regression": (MOST_NODES, PADDING, CONSTANTS.stop - 1)}
"""Length, least and greatest number of a vector."""


class Numbers:
    """The problem as pygmo wants it: vectors of numbers, one objective, minimised."""

    def __init__(self, work: str, notes: str) -> None:
        self.work, self.notes = work, notes
        self.problem: Any = None

    def fitness(self, vector: np.ndarray) -> list[float]:
        if self.problem is None:
            self.problem = problem_of(self.work, self.notes)
        try:
            outcome = self.problem.evaluate(genome_of(vector))
        except (ValueError, IndexError):  # pygmo begins with random vectors, and few of them are trees
            return [WORST]
        return [WORST if outcome is None else -outcome["fitness"]]

    def get_bounds(self) -> tuple[list[float], list[float]]:
        length, least, greatest = SHAPES[self.work]
        return [least] * length, [greatest] * length

    def get_nix(self) -> int:
        return SHAPES[self.work][0]


class HandWritten:
    """The hand-written generations as a user-defined algorithm.

    Both population and algorithm go to a process of the pool and come back, another one each time. So what the island
    has seen is known from one migration to the next only: sets of all programs would have to travel with it.
    """

    def __init__(self, work: str, seed: int, notes: str) -> None:
        self.work, self.seed, self.notes = work, seed, notes
        self.stand = NOT_BEGUN

    def evolve(self, population: Any) -> Any:
        """To the next migration."""
        scored = []
        for vector, (objective,) in zip(population.get_x(), population.get_f(), strict=True):
            if objective < WORST:
                genome = genome_of(vector)
                data = bytes(genome)
                scored.append(Scored((objective, len(data), data), genome))
        island = HandIsland(self.work, self.seed + ISLANDS * self.stand.generation, self.notes)
        island.evolve(MIGRATION_INTERVAL, scored)
        for place, one in enumerate(island.population):
            population.set_xf(place, vector_of(one.genome, SHAPES[self.work][0]), [one.order[0]])
        self.stand = self.stand.after(island.stand)
        return population


def genome_of(vector: np.ndarray) -> list[int]:
    """The program in a vector."""
    return [number for number in vector.astype(int).tolist() if number != PADDING]


def vector_of(genome: list[int], length: int) -> list[int]:
    """The vector of a program."""
    return genome + [PADDING] * (length - len(genome))


def stand_of(island: Any, is_own: bool) -> Stand:
    """How far one of pygmo's islands is."""
    if not is_own:
        stand: Stand = island.get_algorithm().extract(HandWritten).stand
        return stand
    population = island.get_population()
    evaluated = population.problem.get_fevals()
    return Stand(evaluated // POPULATION, evaluated, 0, -float(population.champion_f[0]))


def main() -> None:
    """Run the islands."""
    options = driver.options()
    is_own = options.variant == "own"
    pygmo.mp_island.init_pool(WORKERS)
    archipelago = pygmo.archipelago(t=pygmo.ring())
    for seed in range(ISLANDS):
        if is_own:
            user_defined: Any = pygmo.sga(
                gen=MIGRATION_INTERVAL, cr=CROSSOVER_RATE, m=FLIP_CHANCE, param_s=TOURNAMENT,
                crossover="exponential", mutation="uniform", selection="tournament", seed=seed,
            )  # fmt: skip
        else:
            user_defined = HandWritten(options.work, seed, options.notes)
        archipelago.push_back(
            udi=pygmo.mp_island(),
            algo=pygmo.algorithm(user_defined),
            prob=pygmo.problem(Numbers(options.work, options.notes)),
            size=POPULATION,
            s_pol=pygmo.select_best(MIGRATION_SIZE),
            r_pol=pygmo.fair_replace(MIGRATION_SIZE),
        )
    driver.tell_workers(pool_pids())
    archipelago.evolve(MANY)
    while True:
        time.sleep(LOOK_SECONDS)
        driver.tell_stands([stand_of(island, is_own) for island in archipelago])


def pool_pids() -> list[int]:
    """The processes of the pool that pygmo's islands evolve in."""
    pool = pygmo.mp_island._pool  # there is no public way to ask
    return [process.pid for process in pool._pool]


if __name__ == "__main__":
    main()
