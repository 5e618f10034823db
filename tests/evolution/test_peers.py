"""The parts of the comparison with other libraries that need none of them."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest

from distevod.evolution import genetic
from tests.performance.peers import work
from tests.performance.peers.__main__ import spread
from tests.performance.peers.hand_loop import HandIsland
from tests.performance.peers.losses import fate
from tests.performance.peers.table import markdown
from tests.support.formulas import MOST_NODES, POINTS, Formulas

X, ONE, TIMES, SIN = 6, 19, 2, 4


def test_all_have_the_rates_of_the_island() -> None:
    ours = (genetic.TOURNAMENT, genetic.CROSSOVER_RATE, genetic.IMMIGRANT_RATE)
    assert ours == (work.TOURNAMENT, work.CROSSOVER_RATE, work.IMMIGRANT_RATE)


def test_a_formula_has_the_error_of_its_values() -> None:
    formulas = Formulas({})
    values = [x * math.sin(x + 0.0) * 1.0 for x in POINTS]
    error = math.sqrt(sum((a - b) ** 2 for a, b in zip(values, formulas.wanted, strict=True)) / len(POINTS))
    found = formulas.evaluate([TIMES, TIMES, X, SIN, X, ONE])
    assert found is not None
    assert found["fitness"] == pytest.approx(-error)


def test_operators_make_trees_and_leave_their_parents_alone() -> None:
    formulas, rng = Formulas({}), Random(1)
    parents = [formulas.random(rng) for _ in range(20)]
    for _ in range(2000):
        a, b = rng.choice(parents), rng.choice(parents)
        before = a[:], b[:]
        child = formulas.crossover(a, b, rng) if rng.random() < 0.5 else formulas.mutate(a, rng)
        assert (a, b) == before
        assert len(child) <= MOST_NODES
        assert formulas.decode(formulas.encode(child)) == child  # decode looks whether it is a tree
        parents[rng.randrange(20)] = child


@pytest.mark.parametrize("data", [b"", bytes([TIMES, X]), bytes([X, X]), bytes([200])])
def test_what_is_no_tree_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no formula|operands"):
        Formulas({}).decode(data)


@pytest.mark.parametrize("name", work.WORKS)
def test_a_hand_written_island_improves_and_evaluates_nothing_twice(name: str) -> None:
    island = HandIsland(name, seed=1)
    evaluated: list[bytes] = []
    evaluate = island.problem.evaluate
    island.problem.evaluate = lambda genome: evaluated.append(island.problem.encode(genome)) or evaluate(genome)
    island.evolve(1, [])
    first = island.stand
    island.evolve(4, [])
    last = island.stand
    assert first.best is not None
    assert last.best is not None
    assert last.best > first.best
    assert len(evaluated) == len(set(evaluated)) == last.offspring
    assert last.offspring + last.repeats == last.generation * work.BATCH
    assert len(island.population) == work.POPULATION


def test_immigrants_come_in_once() -> None:
    one, other = HandIsland("onemax", seed=1), HandIsland("onemax", seed=2)
    emigrants = one.evolve(10, [])
    other.evolve(1, [])
    assert len(emigrants) == work.MIGRATION_SIZE
    other.evolve(0, emigrants)
    other.evolve(0, emigrants)
    assert [scored for scored in other.population if scored in emigrants] == emigrants


@pytest.mark.parametrize(
    ("seen", "outcome", "lost"),
    [
        ([], "stands still", None),
        ([(0.1, 40)], "stands still", None),  # a report that was on its way
        ([(0.1, 40), (0.9, 50)], "went on", 0),
        ([(0.4, 27), (0.9, 35)], "went on", 3),
        ([(2.0, 10)], "began anew", 30),
    ],
)
def test_the_fate_of_an_island_in_generation_30(seen: list[tuple[float, int]], outcome: str, lost: int | None) -> None:
    found = fate(seen, 30, 20.0)
    assert (found["outcome"], found["lost"]) == (outcome, lost)


def test_tables_tell_medians_failures_and_fates() -> None:
    islands = [fate([(0.4, 27), (0.9, 35)], 30, 20.0)] * 3 + [fate([], 30, 20.0)]
    told: dict[str, Any] = {"islands": islands, "has_ended": False}
    rates = spread([1000.0, 3000.0, 2000.0])
    report = {
        "versions": {"distevo": "1.2"},
        "machine": {
            "python": "3", "cores": 2, "processor": "P", "memory_gb": 4.0, "load_before": 0.0, "load_after": 1.0
        },
        "repeats": 3,
        "generations": 10,
        "seconds": 1.0,
        "equal": {"onemax": {"a": {"offspring_per_s_per_core": rates}, "b": {"error": "no"}}},
        "losses": {"a": {"worker": told, "platform": None, "coordinator": told | {"has_ended": True}, "restart": told}},
    }  # fmt: skip
    text = markdown(report)
    assert "| a | 2,000 (1,000-3,000) | - |" in text
    assert "| b | failed |" in text
    went = "1 stands still after 20 s; 3 went on within 0.4 s, at most 3 generations lost"
    assert f"| a | {went} | - | the run ended | {went} |" in text
