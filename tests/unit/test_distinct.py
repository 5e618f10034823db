"""One program for each behaviour: laws of a merge, with and without a limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distevo.merge import distinct
from distevo.population import Population
from distevo.program import Program
from tests.support.programs import program

BEHAVIOURS = [b"", b"one.....", b"two.....", b"three...", b""]
populations = st.lists(
    st.builds(
        # Copies of one program may differ in fitness; what it does is a matter of the genome.
        lambda genome, fitness: program(genome, fitness, behaviour=BEHAVIOURS[sum(genome) % len(BEHAVIOURS)]),
        st.binary(min_size=1, max_size=2),
        st.integers(0, 3).map(float),
    ),
    max_size=12,
)
limits = st.none() | st.integers(1, 5)


def one_of_each(population: Population) -> bool:
    behaviours = [p.behaviour or p.key for p in population]
    return len(set(behaviours)) == len(behaviours) == len(set(population.keys()))


@given(populations, populations, limits)
def test_the_order_does_not_matter(one: list[Program], two: list[Program], most: int | None) -> None:
    merged = distinct([one, two], most)
    assert merged == distinct([two, one], most)
    assert one_of_each(merged)


@given(populations, populations, populations, limits)
def test_in_steps_it_is_the_same(
    one: list[Program], two: list[Program], three: list[Program], most: int | None
) -> None:
    assert distinct([distinct([one, two], most), three], most) == distinct([one, two, three], most)


@given(populations, limits)
def test_merging_again_changes_nothing(one: list[Program], most: int | None) -> None:
    merged = distinct([one], most)
    assert distinct([merged, one], most) == merged


@given(populations)
def test_the_best_stays(one: list[Program]) -> None:
    assert distinct([one], 1).best == Population(one).best
