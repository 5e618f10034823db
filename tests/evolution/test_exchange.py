"""What islands get from each other: migrants, which are taken in, and keys, which only save evaluations."""

from __future__ import annotations

from typing import Any

import pytest

from distevo.block import pack, unpack
from distevo.checkpoint import IslandSnapshot
from distevo.errors import BlockError
from distevo.problem import Contract
from distevo.program import Program
from distevo.seen import MAX_SEEN_BYTES, SEEN_KEY_BYTES
from distevod.evolution import island as island_module
from distevod.evolution.island import Island, IslandSettings
from distevod.evolution.page import Page
from distevod.problems.onemax import OneMax
from tests.evolution.islands import SETTINGS, Tiny, fresh, stored, trajectory

TWO = SETTINGS._replace(islands=2)


class Watched(Tiny):
    """`Tiny` that remembers what it has evaluated, without a sweep."""

    sweep = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.evaluated: list[int] = []

    def evaluate(self, genome: int) -> Any:
        self.evaluated.append(genome)
        return super().evaluate(genome)


@pytest.fixture(autouse=True)
def _everything_is_worth_sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(island_module, "LEAST_SHARED_SECONDS", 0.0)


def programs(snapshot: IslandSnapshot, contract: Contract) -> list[Program]:
    return unpack(snapshot.population, contract.keyer)


def migrants(contract: Contract, *genomes: bytes, fit: bool = False) -> bytes:
    """A block of programs as they would come from an island of this problem."""
    made = []
    for data in genomes:
        fitness = contract.evaluate(contract.decode(data)).fitness
        assert fitness is not None
        made.append(Program.of(data, contract.keyer(data), fitness, fit))
    return pack(made)


def seen(contract: Contract, genomes: list[int]) -> bytes:
    return b"".join(contract.keyer(b"%d" % genome)[:SEEN_KEY_BYTES] for genome in genomes)


def parts(keys: bytes) -> list[bytes]:
    return [keys[at : at + SEEN_KEY_BYTES] for at in range(0, len(keys), SEEN_KEY_BYTES)]


# --- migrants ------------------------------------------------------------------------------------


def test_migrants_are_in_the_population_of_the_next_generation(page: Page) -> None:
    contract = Contract(OneMax({"bits": 200}))
    ahead = Island(contract, SETTINGS, fresh(contract, 2), page)
    for _ in range(30):
        best = programs(ahead.generation().snapshot, contract)[:5]
    island = Island(contract, SETTINGS, fresh(contract), page)
    assert island.generation().taken == 0
    island.take(7, pack(best))
    done = island.generation()
    assert done.taken == 7
    assert {program.key for program in best} <= {program.key for program in programs(done.snapshot, contract)}
    assert done.snapshot.counters.evaluations <= 2 * SETTINGS.batch_size


def test_migrants_are_parents_from_then_on(page: Page) -> None:
    contract = Contract(OneMax({"bits": 200}))
    alone, island = (Island(contract, SETTINGS, fresh(contract), page) for _ in range(2))
    island.take(1, migrants(contract, b"1" * 199 + b"0"))
    for _ in range(5):
        found = programs(island.generation().snapshot, contract)
        without = programs(alone.generation().snapshot, contract)
    assert without[0].fitness < (170.0,)
    assert sum(program.fitness > (170.0,) for program in found) > 5


def test_the_last_batch_is_the_one_reported_and_stays_so(page: Page) -> None:
    contract = Contract(Watched())
    island = Island(contract, SETTINGS, fresh(contract), page)
    island.take(4, migrants(contract, b"2"))
    island.take(5, migrants(contract, b"4"))
    assert [island.generation().taken for _ in range(2)] == [5, 5]
    island.take(9, pack([]))
    assert island.generation().taken == 9


def test_a_migrant_is_never_evaluated_again_even_if_it_is_too_poor_to_be_kept(page: Page) -> None:
    few = SETTINGS._replace(population_size=5)
    alone, watched = Watched(), Watched()
    islands = [Island(Contract(problem), few, fresh(Contract(problem)), page) for problem in (alone, watched)]
    batch = migrants(Contract(Tiny()), *(b"%d" % genome for genome in range(100, 160, 2)))
    islands[0].generation()
    islands[1].generation()
    islands[1].take(1, batch)
    before = len(watched.evaluated), len(alone.evaluated)
    for _ in range(20):
        for island in islands:
            island.generation()
    met = set(range(100, 160, 2))
    assert met & set(alone.evaluated[before[1] :])  # It would have been.
    assert not met & set(watched.evaluated[before[0] :])


def test_a_fit_migrant_lets_the_island_rest(page: Page) -> None:
    contract = Contract(Watched())
    island = Island(contract, SETTINGS, fresh(contract), page)
    assert not island.generation().is_fit
    island.take(1, migrants(contract, b"2", fit=True))
    done = island.generation()
    assert done.is_fit
    assert any(program.fit and program.genome == b"2" for program in programs(done.snapshot, contract))


def test_a_migrant_that_cannot_be_decoded_is_left_out_and_told(page: Page) -> None:
    contract = Contract(Watched())
    island = Island(contract, SETTINGS, fresh(contract), page)
    strangers = [
        Program.of(data, contract.keyer(data), (1e6,), behaviour=bytes([at] * 8))
        for at, data in enumerate([b"two", b"07"])
    ]
    island.take(1, pack(strangers + unpack(migrants(contract, b"8"), contract.keyer)))
    done = island.generation()
    assert done.taken == 1
    assert "decoding a migrant raised ValueError" in str(done.warning)
    assert done.snapshot.counters.errors == 0
    kept = {program.genome for program in programs(done.snapshot, contract)}
    assert b"8" in kept
    assert not kept & {b"two", b"07"}
    assert island.generation().warning is None


def test_what_is_no_block_is_refused(page: Page) -> None:
    contract = Contract(Watched())
    with pytest.raises(BlockError):
        Island(contract, SETTINGS, fresh(contract), page).take(1, b"no block")


def test_the_way_depends_on_the_seed_and_on_what_was_taken_when(page: Page) -> None:
    contract = Contract(OneMax({"bits": 200}))
    source = Island(contract, SETTINGS, fresh(contract, 2), page)
    batches = [pack(programs(source.generation().snapshot, contract)[:5]) for _ in range(4)]
    log = {3: batches[:2], 7: batches[2:]}

    def go(log: dict[int, list[bytes]], is_interrupted: bool = False) -> IslandSnapshot:
        island = Island(contract, SETTINGS, fresh(contract), page)
        for number in range(12):
            for batch, block in enumerate(log.get(number, []), 1):
                island.take(batch, block)
            snapshot = island.generation().snapshot
            if is_interrupted:
                island = Island(Contract(OneMax({"bits": 200})), SETTINGS, stored(snapshot), page)
        return trajectory(snapshot)

    wanted = go(log)
    assert go(log) == wanted
    assert go(log, is_interrupted=True) == wanted
    assert go({number: batches[::-1] + batches for number, batches in log.items()}) == wanted
    assert go({}) != wanted
    assert go({4: log[3], 7: log[7]}) != wanted


# --- keys that others have evaluated ---------------------------------------------------------------


@pytest.mark.parametrize("settings", [SETTINGS, TWO])
def test_what_is_told_is_what_was_evaluated(settings: IslandSettings, page: Page) -> None:
    class Sharing(Watched):
        def evaluate(self, genome: int) -> Any:
            fitness = super().evaluate(genome)
            if genome % 10 == 4:
                raise ValueError("four")
            return {"fitness": fitness, "fit": genome % 10 == 6} if fitness is not None else None

    problem = Sharing()
    contract = Contract(problem)
    island = Island(contract, settings, fresh(contract), page)
    for _ in range(2):
        problem.evaluated.clear()
        told = island.generation().evaluated
        # Invalid ones too, but neither what fits nor what raised.
        assert {genome % 10 for genome in problem.evaluated} >= {1, 2, 4, 6}
        worth_it = [genome for genome in problem.evaluated if genome % 10 not in {4, 6}]
        assert told == (seen(contract, worth_it) if settings.islands > 1 else b"")


def test_telling_changes_nothing(page: Page) -> None:
    contract = Contract(OneMax({"bits": 200}))
    one, two = (Island(contract, settings, fresh(contract), page) for settings in (SETTINGS, TWO))
    for _ in range(12):
        assert trajectory(one.generation().snapshot) == trajectory(two.generation().snapshot)


def test_what_a_deadline_cuts_off_is_not_told(page: Page) -> None:
    problem = Watched()
    contract = Contract(problem)
    island = Island(contract, TWO._replace(generation_seconds=0.0), fresh(contract), page)
    for _ in range(10):
        problem.evaluated.clear()
        assert island.generation().evaluated == seen(contract, problem.evaluated)
        assert len(problem.evaluated) == 1


def test_the_nodes_of_a_sweep_are_told_when_the_archive_has_left_them_behind(page: Page) -> None:
    contract = Contract(Tiny())
    island = Island(contract, TWO._replace(population_size=20), fresh(contract), page)
    told: list[bytes] = []
    for _ in range(2):
        done = island.generation()
        told += [done.evaluated[at : at + SEEN_KEY_BYTES] for at in range(0, len(done.evaluated), SEEN_KEY_BYTES)]
        kept = {program.key[:SEEN_KEY_BYTES] for program in programs(done.snapshot, contract)}
        assert not kept.intersection(told)
    assert done.snapshot.counters.evaluations == 100
    assert len(told) == len(set(told)) == 100 - 20, "the nodes of this share, without those that are kept"


def test_no_more_is_told_than_one_message_holds(page: Page) -> None:
    contract = Contract(OneMax({"bits": 200}))
    island = Island(contract, TWO._replace(batch_size=5000), fresh(contract), page)
    done = island.generation()
    assert done.snapshot.counters.evaluations * SEEN_KEY_BYTES > MAX_SEEN_BYTES
    assert len(done.evaluated) == MAX_SEEN_BYTES


def test_evaluations_that_cost_less_than_telling_are_not_told(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(island_module, "LEAST_SHARED_SECONDS", 60.0)
    contract = Contract(Watched())
    assert Island(contract, TWO, fresh(contract), page).generation().evaluated == b""


def test_what_others_have_evaluated_is_a_duplicate(page: Page) -> None:
    problem = Watched()
    contract = Contract(problem)
    first = Island(contract, TWO, fresh(contract), page).generation().evaluated
    evaluated, problem.evaluated = problem.evaluated, []
    island = Island(contract, TWO, fresh(contract), page)
    island.skip(first[: 10 * SEEN_KEY_BYTES])
    done = island.generation()
    # Their places go to nobody: the same proposals, ten of them not evaluated.
    assert problem.evaluated == evaluated[10:]
    assert done.evaluated == first[10 * SEEN_KEY_BYTES :]
    counters = done.snapshot.counters
    assert counters.evaluations == len(evaluated) - 10
    assert counters.evaluations + counters.duplicates == SETTINGS.batch_size


def test_an_island_that_may_evaluate_nothing_goes_on(page: Page) -> None:
    problem = Watched()
    contract = Contract(problem)
    island = Island(contract, TWO, fresh(contract), page)
    island.skip(seen(contract, list(range(200))))
    for number in range(1, 4):
        done = island.generation()
        assert done.snapshot.counters.duplicates == number * SETTINGS.batch_size
        assert done.evaluated == b""
    assert problem.evaluated == []
    island.take(1, migrants(contract, b"2"))
    assert [program.genome for program in programs(island.generation().snapshot, contract)] == [b"2"]


def test_keys_of_its_own_change_nothing(page: Page) -> None:
    contract = Contract(OneMax({"bits": 200}))
    alone, island = (Island(contract, TWO, fresh(contract), page) for _ in range(2))
    for _ in range(12):
        wanted, found = alone.generation(), island.generation()
        assert trajectory(found.snapshot) == trajectory(wanted.snapshot)
        assert found.evaluated == wanted.evaluated
        island.skip(found.evaluated)


def test_a_batch_that_is_evaluated_together_skips_too(page: Page) -> None:
    class Together(Watched):
        def evaluate_batch(self, genomes: list[int]) -> list[Any]:
            return [Watched.evaluate(self, genome) for genome in genomes]

    problem = Together()
    contract = Contract(problem)
    skipped = list(range(0, 200, 3))
    island = Island(contract, TWO, fresh(contract), page)
    island.skip(seen(contract, skipped))
    told = b"".join(island.generation().evaluated for _ in range(10))
    assert told == seen(contract, problem.evaluated)
    assert len(problem.evaluated) > 50
    assert not set(skipped) & set(problem.evaluated)
