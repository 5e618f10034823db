"""An island as somebody would write it in plain Python: what Ray, Dask, pygmo and a pool have to be given.

The same steps as distevo's island takes: tournament, crossover or mutation, a few newcomers, a child that the island
has seen before is not evaluated, the best survive, and of equals the smallest. It has no guards, no budget, no
checkpoint.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from tests.performance.peers.work import (
    BATCH,
    CROSSOVER_RATE,
    IMMIGRANT_RATE,
    MIGRATION_SIZE,
    POPULATION,
    TOURNAMENT,
    problem_of,
)
from tests.support.bare_variation import Rates, children

RATES = Rates(TOURNAMENT, CROSSOVER_RATE, IMMIGRANT_RATE)


class Scored(NamedTuple):
    """A program with its fitness. Sorts with the best first."""

    order: tuple[float, int, bytes]
    """Negative fitness, size, canonical bytes."""
    genome: Any


class Stand(NamedTuple):
    """How far an island is."""

    generation: int
    offspring: int
    """Programs that were evaluated."""
    repeats: int
    """Children that were known, and so were not."""
    best: float | None

    def after(self, more: Stand) -> Stand:
        """This, and what came after it."""
        counts = (a + b for a, b in zip(self[:3], more[:3], strict=True))
        return Stand(*counts, more.best)


NOT_BEGUN = Stand(0, 0, 0, None)


class HandIsland:
    """One population."""

    def __init__(self, work: str, seed: int, notes: str = "") -> None:
        self.problem = problem_of(work, notes)
        self.rng = random.Random(seed)
        self.population: list[Scored] = []
        self.known: set[bytes] = set()
        self.generation = self.offspring = self.repeats = 0

    def evolve(self, generations: int, immigrants: list[Scored]) -> list[Scored]:
        """So many generations, after these have come; returns who emigrates."""
        self._take(immigrants)
        for _ in range(generations):
            self._generation()
        return self.population[:MIGRATION_SIZE]

    @property
    def stand(self) -> Stand:
        """How far it is."""
        best = -self.population[0].order[0] if self.population else None
        return Stand(self.generation, self.offspring, self.repeats, best)

    def _take(self, immigrants: list[Scored]) -> None:
        new = [scored for scored in immigrants if scored.order[2] not in self.known]
        self.known.update(scored.order[2] for scored in new)
        self._keep(new)

    def _generation(self) -> None:
        problem, known, scored = self.problem, self.known, []
        evaluate, encode = problem.evaluate, problem.encode
        for child in children(problem, [one.genome for one in self.population], BATCH, RATES, self.rng):
            data = encode(child)
            if data in known:
                self.repeats += 1
                continue
            known.add(data)
            self.offspring += 1
            outcome = evaluate(child)
            if outcome is not None:
                scored.append(Scored((-outcome["fitness"], len(data), data), child))
        self._keep(scored)
        self.generation += 1

    def _keep(self, scored: list[Scored]) -> None:
        self.population = sorted(self.population + scored, key=lambda one: one.order)[:POPULATION]
