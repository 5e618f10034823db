"""Whether two evaluations of one program agree, and what is said when they do not."""

from __future__ import annotations

from math import inf

import pytest

from distevo.population import Population
from distevo.reproduction import Refuted, complaint, guess_of, is_same
from distevo.result import LARGEST
from tests.support.programs import program


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ((1.0,), (1.0,), True),
        ((0.1 + 0.2,), (0.3,), True),
        ((1e6,), (1e6 + 1e-4,), True),
        ((inf, -inf), (LARGEST, -LARGEST), True),
        ((0.0,), (1e-15,), True),
        ((1.0,), (1.00001,), False),
        ((1.0,), (1.0, 2.0), False),
        ((1.0,), None, False),
        ((0.0,), (1e-6,), False),
    ],
)
def test_agreement(before: tuple[float, ...], after: tuple[float, ...] | None, same: bool) -> None:
    assert is_same(before, after) is same


def test_the_next_best_is_looked_at() -> None:
    best, second = program(b"x", 2.0), program(b"y", 1.0)
    population = Population([second, best])
    assert guess_of(population, []) == best
    refuted = [Refuted(best, (0.5,))]
    assert guess_of(population, refuted) == second
    assert guess_of(population, [*refuted, Refuted(second, None)]) is None


def test_the_complaint_names_the_programs() -> None:
    words = complaint([Refuted(program(b"x", 2.0), (0.5,)), Refuted(program(b"y", 1.0), None)])
    assert "'x' had fitness 2 and has 0.5" in words
    assert "'y' had fitness 1 and is invalid" in words
    # Where the fitness came from when it was not `evaluate` itself that said so.
    assert "or `sweep` or `evaluate_batch` says other than it does" in words
