"""The laws of the merge, and what `preserve_top_n` means."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distevo.block import pack, unpack
from distevo.merge import PopulationMerger
from distevo.population import Population
from tests.support.programs import key_of, populations, program

merge = PopulationMerger().merge_populations
counts = st.one_of(st.none(), st.integers(1, 8))


def same(a: Population, b: Population) -> bool:
    """Equal to the last byte, order included."""
    return list(a) == list(b)


@given(populations, populations, counts)
def test_union_and_count_are_commutative(a: Population, b: Population, n: int | None) -> None:
    assert same(merge([a, b], n), merge([b, a], n))


@given(populations, populations, populations, counts)
def test_union_and_count_are_associative(a: Population, b: Population, c: Population, n: int | None) -> None:
    at_once = merge([a, b, c], n)
    assert same(merge([merge([a, b], n), c], n), at_once)
    assert same(merge([a, merge([b, c], n)], n), at_once)


@given(populations, populations, counts)
def test_union_and_count_are_idempotent(a: Population, b: Population, n: int | None) -> None:
    merged = merge([a, b], n)
    assert same(merge([merged], n), merged)
    assert same(merge([merged, merged, a, b], n), merged)


@given(st.lists(populations, max_size=4))
def test_a_union_has_each_key_once_and_its_best_copy(inputs: list[Population]) -> None:
    merged = merge(inputs)
    keys = [program.key for program in merged]
    assert len(set(keys)) == len(keys)
    assert set(keys) == set().union(*(population.keys() for population in inputs))
    for kept in merged:
        assert kept == min(p for population in inputs for p in population if p.key == kept.key)


@given(st.lists(populations, max_size=4), st.integers(1, 10))
def test_a_count_keeps_the_best_of_the_union(inputs: list[Population], n: int) -> None:
    assert list(merge(inputs, n)) == merge(inputs).top(n)


@given(st.lists(populations, max_size=4), st.decimals("0.001", 1, places=3).map(float))
def test_a_share_takes_that_part_of_each_input_rounded_up(inputs: list[Population], share: float) -> None:
    most = [math.ceil(Fraction(repr(share)) * len(population)) for population in inputs]
    chosen = [Population(population.top(n)) for population, n in zip(inputs, most, strict=True)]
    assert same(merge(inputs, share), merge(chosen))


def test_a_share_is_of_the_number_that_was_written() -> None:
    hundred = Population(program(b"%d" % i, float(i)) for i in range(100))
    assert len(merge([hundred], 0.07)) == 7  # though 0.07 * 100 is 7.000000000000001
    assert len(merge([hundred], 0.071)) == 8
    assert len(merge([hundred], 1e-15)) == 1


def test_one_is_a_count_and_one_point_nought_is_everything() -> None:
    some = Population([program(b"x", 1.0), program(b"y", 2.0)])
    assert list(merge([some], 1)) == [program(b"y", 2.0)]
    assert same(merge([some], 1.0), some)


@pytest.mark.parametrize("wrong", [0, -1, 0.0, -0.5, 1.5, 3.0, math.nan, math.inf, -math.inf])
def test_numbers_that_mean_nothing_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="preserve_top_n is"):
        merge([], wrong)


@pytest.mark.parametrize("wrong", [True, False, "3", b"3", [3], Fraction(1, 2), 1j])
def test_what_is_no_number_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="preserve_top_n is"):
        merge([], wrong)  # type: ignore[arg-type]


def test_merging_nothing_gives_an_empty_population() -> None:
    assert same(merge([]), Population())
    assert same(merge([Population()], 0.5), Population())


def test_the_inputs_stay_as_they_were() -> None:
    a, b = Population([program(b"x", 1.0)]), Population([program(b"x", 2.0), program(b"y", 0.0)])
    merge([a, b], 1)
    assert list(a) == [program(b"x", 1.0)]
    assert len(b) == 2


@given(populations, populations)
def test_blocks_from_the_wire_merge_as_the_populations_would(a: Population, b: Population) -> None:
    blocks = [pack(list(a)), pack(list(b))]
    assert same(merge(unpack(block, key_of) for block in blocks), merge([a, b]))
