"""Genetic programming as an optimiser with `ask` and `tell`.

An island needs no more of an optimiser than these two, so that any other that has them can take its place:
`ask` proposes genomes, `tell` says what became of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from distevo.errors import ProblemError
from distevo.problem import Contract, Evaluation
from distevo.program import Program
from distevod.evolution.archive import Archive

TOURNAMENT = 3
CROSSOVER_RATE = 0.4
IMMIGRANT_RATE = 0.02


class Optimizer(Protocol):
    """What proposes programs for an island. All randomness comes from `rng`."""

    def ask(self, rng: random.Random, count: int) -> list[Any]:
        """At most `count` genomes to evaluate next, at least one."""
        ...

    def tell(self, genomes: Sequence[Any], evaluations: Sequence[Evaluation | None]) -> None:
        """What became of those genomes asked for that were new and evaluated; None where evaluating one raised.

        They have been offered to the island's archive already.
        """
        ...

    def state(self) -> bytes:
        """All that it has to be given back to go on after a restart."""
        ...


class Genetic:
    """Tournament selection from the archive, crossover or mutation, and a few immigrants.

    It keeps nothing of its own: its population is the island's archive, so `tell` has nothing to do. `genome_of` gives
    the genome of a program in the archive.
    """

    def __init__(self, contract: Contract, archive: Archive, genome_of: Callable[[Program], Any]) -> None:
        self._contract, self._archive, self._genome_of = contract, archive, genome_of

    def ask(self, rng: random.Random, count: int) -> list[Any]:
        """`count` children of the archive; newcomers while it is empty."""
        contract = self._contract
        if not self._archive.programs:
            return [contract.random(rng) for _ in range(count)]
        mutate, crossover, draw = contract.mutate, contract.crossover, rng.random
        crossover_rate = CROSSOVER_RATE if contract.has_crossover and len(self._archive) > 1 else 0.0
        pick = self._tournament(draw)
        children = []
        for _ in range(count):
            die = draw()
            if die < crossover_rate:
                children.append(crossover(pick(), pick(), rng))
            elif die < 1 - IMMIGRANT_RATE:
                children.append(mutate(pick(), rng))
            else:
                children.append(contract.random(rng))
        self._check_parents()
        return children

    def tell(self, genomes: Sequence[Any], evaluations: Sequence[Evaluation | None]) -> None:
        """Nothing: they are in the archive already."""

    def state(self) -> bytes:
        """Nothing: the archive is all there is."""
        return b""

    def _check_parents(self) -> None:
        """The best parent, which is the one most often chosen, must still be what it was."""
        best = self._archive.programs[0]
        if self._contract.encode(self._genome_of(best)) != best.genome:
            raise ProblemError(
                f"{self._contract.name}: mutate or crossover changes its parent in place; change a copy and return it"
            )

    def _tournament(self, draw: Callable[[], float]) -> Callable[[], Any]:
        """Who wins a tournament of `TOURNAMENT` among the archive's programs."""
        # They are sorted, so the winner has the lowest of the places drawn. The minimum of k uniform numbers is
        # drawn at once, by inverting its distribution.
        genomes = [self._genome_of(program) for program in self._archive.programs]
        size, exponent = len(genomes), 1 / TOURNAMENT

        def pick() -> Any:
            return genomes[int(size * (1.0 - (1.0 - draw()) ** exponent))]

        return pick
