"""An island that gets nowhere begins anew: with newcomers, what others sent, and its best, which it keeps."""

from __future__ import annotations

from typing import Any

import pytest

from distevo.block import pack, unpack
from distevo.checkpoint import IslandSnapshot
from distevo.convergence import has_converged
from distevo.problem import Contract
from distevo.program import Program
from distevo.provenance import Provenance, meta_of, provenance_of
from distevod.evolution.island import Island
from distevod.evolution.page import Page
from distevod.problems.onemax import OneMax
from tests.evolution.islands import SETTINGS, fresh, stored, trajectory

AFTER = 8
RESTARTED = SETTINGS._replace(restart_after=AFTER, population_size=20, platform="p")


class Plateau:
    """Whole numbers below 1000. Each hundred is a hill, a little higher than the one before; none leads to another."""

    name, version = "plateau", "1"

    def random(self, rng: Any) -> int:
        return int(rng.randrange(1000))

    def mutate(self, genome: int, rng: Any) -> int:
        return genome // 100 * 100 + min(max(genome % 100 + int(rng.choice([-9, -3, -1, 1, 3, 9])), 0), 99)

    def evaluate(self, genome: int) -> float:
        return float(genome // 100 * 3 + genome % 100)

    def encode(self, genome: int) -> bytes:
        return b"%d" % genome

    def decode(self, data: bytes) -> int:
        return int(data)


PROBLEMS: dict[str, Any] = {"onemax": lambda: OneMax({"bits": 12}), "plateau": Plateau}


def programs(contract: Contract, snapshot: IslandSnapshot) -> list[Program]:
    return unpack(snapshot.population, contract.keyer)


def generations_of(contract: Contract, snapshot: IslandSnapshot) -> set[int]:
    return {made.generation for p in programs(contract, snapshot) if (made := provenance_of(p.meta)) is not None}


def test_an_island_that_gets_nowhere_begins_anew_and_keeps_its_best(page: Page) -> None:
    contract = Contract(PROBLEMS["onemax"]())
    island = Island(contract, RESTARTED, fresh(contract), page)
    best, restarts = None, 0
    for _ in range(60):
        before = island.generation().snapshot
        found = programs(contract, before)
        assert best is None or found[0] <= best
        best = found[0]
        if before.optimizer:
            # Of those that were there before a restart, only the best is.
            restarts += 1
            since = min(generations_of(contract, before) - {provenance_of(best.meta).generation})  # type: ignore[union-attr]
            assert since > 1
    assert restarts
    assert best is not None
    assert best.fitness == (12.0,)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_resuming_equals_never_having_stopped_restarts_included(problem: str, page: Page) -> None:
    contract = Contract(PROBLEMS[problem]())
    steady = Island(contract, RESTARTED, fresh(contract), page)
    interrupted = Island(contract, RESTARTED, fresh(contract), page)
    elites = set()
    for number in range(60):
        wanted = steady.generation().snapshot
        found = interrupted.generation().snapshot
        assert trajectory(found) == trajectory(wanted), number
        elites.add(wanted.optimizer)
        if number % 3 == 2:
            interrupted = Island(Contract(PROBLEMS[problem]()), RESTARTED, stored(found), page)
    assert len(elites) > 1, "it was never restarted"


def test_without_the_setting_it_goes_on_and_is_told_apart(page: Page) -> None:
    contract = Contract(PROBLEMS["onemax"]())
    island = Island(contract, RESTARTED._replace(restart_after=0), fresh(contract), page)
    first = island.generation().snapshot
    assert not has_converged(first, programs(contract, first), AFTER)
    for _ in range(60):
        last = island.generation().snapshot
    assert has_converged(last, programs(contract, last), AFTER)
    assert last.optimizer == b""


def test_it_restarts_with_the_best_of_each_other_island(page: Page) -> None:
    contract = Contract(PROBLEMS["onemax"]())
    island = Island(contract, RESTARTED._replace(islands=3), fresh(contract), page)
    migrants = []
    for source, bits in ((1, 2**12 - 2), (1, 2**12 - 3), (2, 2**12 - 5)):
        data = contract.encode(bits)
        meta = meta_of(Provenance("q", source, 3))
        migrants.append(Program.of(data, contract.keyer(data), (11.0,), meta=meta))
    island.take(1, pack(migrants))
    snapshot = island.generation().snapshot
    while not snapshot.optimizer:
        snapshot = island.generation().snapshot
    kept = [p for p in programs(contract, snapshot) if (made := provenance_of(p.meta)) and made.platform == "q"]
    assert sorted(provenance_of(p.meta).island for p in kept) == [1, 2]  # type: ignore[union-attr]


def test_restarts_climb_hills_that_the_first_population_did_not_find(page: Page) -> None:
    """Ten hills without a way between them: the archive of an island soon holds one, and the tops of others later."""
    contract = Contract(Plateau())
    tops = []
    for after in (0, AFTER):
        settings = RESTARTED._replace(restart_after=after, population_size=5, batch_size=5)
        total = 0.0
        for seed in range(10):
            island = Island(contract, settings, fresh(contract, seed), page)
            for _ in range(150):
                snapshot = island.generation().snapshot
            total += programs(contract, snapshot)[0].fitness[0]
        tops.append(total / 10)
    assert tops[1] > tops[0] + 3
