"""Genetic programming as an optimiser with `ask` and `tell`.

An island needs no more of an optimiser than these two, so that any other that has them can take its place:
`ask` proposes genomes, `tell` says what became of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from distevo.problem import Contract, Evaluation
from distevod.evolution.archive import Archive

TOURNAMENT = 3
CROSSOVER_RATE = 0.4
IMMIGRANT_RATE = 0.02


class Optimizer(Protocol):
    """What proposes programs for an island. All randomness comes from `rng`."""

    def ask(self, rng: random.Random, count: int) -> list[Any]:
        """At most `count` genomes to evaluate next, at least one."""
        ...

    def tell(self, evaluations: Sequence[Evaluation | None]) -> None:
        """What became of the genomes asked for, in order, as far as they were looked at.

        None where a genome was known already, or where evaluating it raised.
        """
        ...


class Genetic:
    """Tournament selection from the archive, crossover or mutation, and a few immigrants.

    It keeps nothing of its own: its population is the island's archive, so `tell` has nothing to do.
    """

    def __init__(self, contract: Contract, archive: Archive) -> None:
        self._contract, self._archive = contract, archive
        self._genomes: dict[bytes, Any] = {}

    def ask(self, rng: random.Random, count: int) -> list[Any]:
        """`count` children of the archive; newcomers while it is empty."""
        contract, parents = self._contract, self._parents()
        if not parents:
            newcomers = contract.seeds(rng)[:count]
            return newcomers + [contract.random(rng) for _ in range(count - len(newcomers))]
        mutate, crossover, draw = contract.mutate, contract.crossover, rng.random
        crossover_rate = CROSSOVER_RATE if contract.has_crossover and len(parents) > 1 else 0.0
        pick = self._tournament(parents, draw)
        children = []
        for _ in range(count):
            die = draw()
            if die < crossover_rate:
                children.append(crossover(pick(), pick(), rng))
            elif die < 1 - IMMIGRANT_RATE:
                children.append(mutate(pick(), rng))
            else:
                children.append(contract.random(rng))
        return children

    def tell(self, evaluations: Sequence[Evaluation | None]) -> None:
        """Nothing: the island has offered them to the archive already."""

    def _parents(self) -> list[Any]:
        """The archive's genomes, best first, each decoded once."""
        decode, known = self._contract.decode, self._genomes
        self._genomes = {
            program.key: known[program.key] if program.key in known else decode(program.genome)
            for program in self._archive.programs
        }
        return list(self._genomes.values())

    @staticmethod
    def _tournament(parents: list[Any], draw: Callable[[], float]) -> Callable[[], Any]:
        # Parents are sorted, so the winner of a tournament is the lowest of its places. The minimum of k uniform
        # places is drawn at once, by inverting its distribution.
        size, exponent = len(parents), 1 / TOURNAMENT

        def pick() -> Any:
            return parents[int(size * (1.0 - (1.0 - draw()) ** exponent))]

        return pick
