"""A population: one copy of each program, the best first, whatever order they came in."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from distevo.population import Population
from distevo.program import Program
from tests.support.programs import key_of, program, program_lists


def test_an_empty_population_has_no_best() -> None:
    empty = Population()
    assert len(empty) == 0
    assert empty.best is None
    assert empty.smallest_fit() is None
    assert empty.top(3) == []
    assert list(empty.keys()) == []


def test_it_iterates_best_first() -> None:
    good, middle, bad = program(b"x", 3.0), program(b"y", 2.0), program(b"z", 1.0)
    population = Population([bad, good, middle])
    assert list(population) == [good, middle, bad]
    assert list(population.keys()) == [good.key, middle.key, bad.key]
    assert population.best is good
    assert population.top(2) == [good, middle]
    assert population.top(9) == [good, middle, bad]
    assert population.top(0) == []


def test_it_knows_its_keys() -> None:
    population = Population([program(b"x")])
    assert key_of(b"x") in population
    assert key_of(b"y") not in population


def test_of_two_copies_the_fitter_stays_then_the_one_of_lower_metadata() -> None:
    worse, better, best = program(b"x", 1.0, meta=b"a"), program(b"x", 2.0, meta=b"n"), program(b"x", 2.0, meta=b"m")
    between = program(b"y", 1.5)
    for copies in ([worse, better, best, between], [best, between, better, worse], [better, worse, between, best]):
        assert list(Population(copies)) == [best, between]


def test_the_guess_is_the_smallest_fit_program_then_the_lowest_key() -> None:
    low, high = sorted([program(b"cc", 1.0, fit=True), program(b"dd", 5.0, fit=True)], key=lambda p: p.key)
    population = Population([program(b"a", 9.0), program(b"bbb", 9.0, fit=True), high, low])
    assert population.smallest_fit() is low
    assert Population([program(b"a", 9.0)]).smallest_fit() is None


@given(program_lists, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(programs: list[Program], rng) -> None:  # type: ignore[no-untyped-def]
    population = Population(programs)
    shuffled = programs * 2
    rng.shuffle(shuffled)
    assert list(Population(shuffled)) == list(population)
    assert Population(shuffled) == population


@given(program_lists)
def test_each_key_is_there_once_and_the_order_is_the_total_one(programs: list[Program]) -> None:
    population = Population(iter(programs))
    keys = [program.key for program in population]
    assert len(set(keys)) == len(keys) == len(population)
    assert set(keys) == {program.key for program in programs}
    ranked = list(population)
    assert all(a < b for a, b in pairwise(ranked))
    for kept in population:
        assert kept == min(program for program in programs if program.key == kept.key)


def test_equal_populations_hold_equal_copies() -> None:
    assert Population([program(b"x", 1.0)]) == Population([program(b"x", 1.0)])
    assert Population([program(b"x", 1.0)]) != Population([program(b"x", 2.0)])
    assert Population() != 3
