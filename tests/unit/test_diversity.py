"""The diversity of a population: distinct behaviours and their entropy."""

import math

import pytest
from hypothesis import given

from distevo.diversity import Diversity, diversity_of
from distevo.population import Population
from tests.support.programs import populations, program


def behaving(*behaviours: bytes) -> Population:
    return Population(program(b"%d" % i, behaviour=b) for i, b in enumerate(behaviours))


def test_an_empty_population_has_none() -> None:
    assert diversity_of(Population()) == Diversity(0, 0, 0.0, 0.0)


def test_all_alike_is_no_entropy() -> None:
    diversity = diversity_of(behaving(b"same one", b"same one", b"same one"))
    assert diversity == Diversity(programs=3, behaviours=1, entropy=0.0, fitness_entropy=0.0)
    assert math.copysign(1.0, diversity.entropy) == 1.0


def test_all_different_is_all_the_entropy_there_can_be() -> None:
    assert diversity_of(behaving(*(b"%08d" % i for i in range(8)))) == Diversity(8, 8, 3.0, 0.0)


def test_an_uneven_population_lies_between() -> None:
    diversity = diversity_of(behaving(b"common..", b"common..", b"common..", b"rare...."))
    assert diversity.behaviours == 2
    assert diversity.entropy == pytest.approx(0.811278, abs=1e-6)


def test_unknown_behaviours_count_as_different() -> None:
    assert diversity_of(behaving(b"", b"", b"known...", b"known...")) == Diversity(4, 3, 1.5, 0.0)


@given(populations)
def test_entropy_lies_between_nothing_and_that_of_all_different(population: Population) -> None:
    diversity = diversity_of(population)
    assert diversity.programs == len(population)
    assert diversity.behaviours <= diversity.programs
    assert 0.0 <= diversity.entropy <= math.log2(max(1, diversity.behaviours)) + 1e-12


def test_fitnesses_tell_a_bunched_population_of_many_behaviours() -> None:
    spread = Population(program(b"%d" % i, float(i), behaviour=b"%08d" % i) for i in range(8))
    bunched = Population(program(b"%d" % i, 1.0, behaviour=b"%08d" % i) for i in range(8))
    assert (diversity_of(spread).entropy, diversity_of(spread).fitness_entropy) == (3.0, 3.0)
    assert (diversity_of(bunched).entropy, diversity_of(bunched).fitness_entropy) == (3.0, 0.0)
