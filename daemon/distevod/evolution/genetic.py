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
from distevod.evolution.raised import RAISED, spoils_one

TOURNAMENT = 3
CROSSOVER_RATE = 0.4
IMMIGRANT_RATE = 0.02


class Optimizer(Protocol):
    """What proposes programs for an island. All randomness comes from `rng`."""

    def ask(self, rng: random.Random, count: int) -> list[Any]:
        """At most `count` genomes to evaluate next."""
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

    Its population is the island's archive, so `tell` has nothing to do. `genome_of` gives the genome of a program
    in the archive; `spoilt` is told what was raised where a genome should have been made.
    """

    def __init__(
        self,
        contract: Contract,
        archive: Archive,
        genome_of: Callable[[Program], Any],
        spoilt: Callable[[BaseException], None],
        elite: bytes = b"",
    ) -> None:
        """`elite`: what `state` gave."""
        self._contract, self._archive, self._genome_of, self._elite = contract, archive, genome_of, elite
        self._spoilt = spoilt

    def newcomers(self, rng: random.Random, count: int) -> list[Any]:
        """Programs without parents."""
        genomes = []
        for _ in range(count):
            try:
                genomes.append(self._contract.random(rng))
            except RAISED as error:
                self._spoil(error)
        return genomes

    def _spoil(self, error: BaseException) -> None:
        if not spoils_one(error):
            raise error
        self._spoilt(error)

    def ask(self, rng: random.Random, count: int) -> list[Any]:
        """`count` children of the archive; newcomers while it has no parents."""
        contract, parents = self._contract, self._parents()
        if not parents:
            return self.newcomers(rng, count)
        mutate, crossover, draw = contract.mutate, contract.crossover, rng.random
        crossover_rate = CROSSOVER_RATE if contract.has_crossover and len(parents) > 1 else 0.0
        pick = self._tournament(parents, draw)
        children = []
        for _ in range(count):
            die = draw()
            try:
                if die < crossover_rate:
                    children.append(crossover(pick(), pick(), rng))
                elif die < 1 - IMMIGRANT_RATE:
                    children.append(mutate(pick(), rng))
                else:
                    children.append(contract.random(rng))
            except RAISED as error:
                self._spoil(error)
        self._check_parents(parents)
        return children

    def _parents(self) -> list[Program]:
        """The programs that may have children, best first: all but the one that was the best before a restart."""
        programs, elite = self._archive.programs, self._elite
        return [program for program in programs if program.key != elite] if elite else programs

    def tell(self, genomes: Sequence[Any], evaluations: Sequence[Evaluation | None]) -> None:
        """Nothing: they are in the archive already."""

    def state(self) -> bytes:
        """The key of the program that a restart has kept, and that is no parent since; without one nothing: the
        archive is all there is."""
        return self._elite

    def _check_parents(self, parents: list[Program]) -> None:
        """The best parent, which is the one most often chosen, must still be what it was."""
        best = parents[0]
        if self._contract.encode(self._genome_of(best)) != best.genome:
            raise ProblemError(
                f"{self._contract.name}: mutate, crossover or evaluate changes a genome in place; work on a copy of it"
            )

    def _tournament(self, parents: list[Program], draw: Callable[[], float]) -> Callable[[], Any]:
        """Who wins a tournament of `TOURNAMENT` among these."""
        # They are sorted, so the winner has the lowest of the places drawn. The minimum of k uniform numbers is
        # drawn at once, by inverting its distribution.
        genomes = [self._genome_of(program) for program in parents]
        size, exponent = len(genomes), 1 / TOURNAMENT

        def pick() -> Any:
            return genomes[int(size * (1.0 - (1.0 - draw()) ** exponent))]

        return pick
