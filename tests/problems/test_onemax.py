"""OneMax: the problem that measures everything else."""

import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distevo.errors import TaskError
from distevo.problem import Contract
from distevod.problems.onemax import OneMax


def test_fitness_counts_ones_and_all_ones_are_fit() -> None:
    contract = Contract(OneMax({"bits": 4}))
    assert contract.evaluate(contract.decode(b"0110")) == ((2.0,), False, b"", None)
    assert contract.evaluate(contract.decode(b"1111")) == ((4.0,), True, b"", None)
    assert not contract.has_verify


def test_there_is_a_default_task() -> None:
    assert len(OneMax({}).encode(0)) == 64


@given(bits=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_what_variation_makes_is_canonical_and_as_long_as_the_task_says(bits: int, seed: int) -> None:
    contract = Contract(OneMax({"bits": bits}))
    rng = Random(seed)
    a, b = contract.random(rng), contract.random(rng)
    for genome in (a, contract.mutate(a, rng), contract.crossover(a, b, rng)):
        data = contract.encode(genome)
        assert len(data) == bits
        assert set(data) <= set(b"01")
        contract.decode_canonical(data)


def test_mutation_flips_one_bit_on_average_and_each_bit_as_often() -> None:
    problem = OneMax({"bits": 20})
    rng = Random(7)
    flips = [0] * 20
    none = 0
    for _ in range(20_000):
        changed = problem.mutate(0, rng)
        none += changed == 0
        for place in range(20):
            flips[place] += changed >> place & 1
    # Binomial(20, 1/20): mean 1, and 0.95^20 = 0.358 of all without a flip. Bounds at five standard deviations.
    assert sum(flips) / 20_000 == pytest.approx(1.0, abs=0.035)
    assert none / 20_000 == pytest.approx(0.358, abs=0.017)
    assert all(abs(count - 1000) < 155 for count in flips)


def test_the_one_bit_of_a_string_of_one_always_flips() -> None:
    problem = OneMax({"bits": 1})
    assert [problem.mutate(bit, Random(seed)) for bit in (0, 1) for seed in range(20)] == [1] * 20 + [0] * 20


def test_crossover_takes_each_bit_from_a_parent() -> None:
    problem = OneMax({"bits": 64})
    rng = Random(3)
    a, b = problem.random(rng), problem.random(rng)
    children = {problem.crossover(a, b, rng) for _ in range(50)}
    assert len(children) > 40
    assert all((child ^ a) & ~(a ^ b) == 0 for child in children)


def test_it_is_solved_by_the_simplest_evolution() -> None:
    problem = OneMax({"bits": 64})
    rng = Random(5)
    best = problem.random(rng)
    for _ in range(5_000):
        child = problem.mutate(best, rng)
        if problem.evaluate(child)["fitness"] >= problem.evaluate(best)["fitness"]:
            best = child
    assert problem.evaluate(best)["fit"]


def test_cost_is_burnt_as_cpu_time() -> None:
    problem = OneMax({"bits": 8, "cost_us": 2_000})
    start = time.thread_time()
    for _ in range(10):
        problem.evaluate(3)
    assert time.thread_time() - start >= 0.02


def test_named_sets_are_lengths() -> None:
    assert OneMax.tasks("64") == {"64": {"bits": 64}}
    assert OneMax.tasks("64, 256") == {"64": {"bits": 64}, "256": {"bits": 256}}


@pytest.mark.parametrize("spec", ["", "x", "0", "-5", "64,", "65537", "1e3", "9" * 5000, "٣"])
def test_other_named_sets_are_refused(spec: str) -> None:
    with pytest.raises(TaskError, match="is no length of 1 to 65536 bits"):
        OneMax.tasks(spec)


@pytest.mark.parametrize(
    "task", [None, 64, {"bit": 64}, {"bits": 0}, {"bits": "64"}, {"bits": 65537}, {"bits": True}],
)  # fmt: skip
def test_other_task_data_is_refused(task: object) -> None:
    with pytest.raises(TaskError):
        OneMax(task)


@pytest.mark.parametrize("cost_us", [-1, "1", 1e9, float("nan")])
def test_other_costs_are_refused(cost_us: object) -> None:
    with pytest.raises(TaskError, match="cost_us must be microseconds"):
        OneMax({"cost_us": cost_us})


@pytest.mark.parametrize("data", [b"", b"010", b"01012", b"0b11", b"0_11", b" 011", b"\xff111"])
def test_other_bytes_are_no_bit_string(data: bytes) -> None:
    with pytest.raises(ValueError, match="expected 4 characters"):
        OneMax({"bits": 4}).decode(data)
