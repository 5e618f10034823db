"""The judge of starts: an island is begun by its owner alone."""

from __future__ import annotations

from distevo.simulator.invariants import starts
from tests.simulator.stories import ISLAND, A, B, violates


def test_an_owner_starts_its_island_as_often_as_it_likes() -> None:
    judge = starts.StartJudge({ISLAND: {1: A, 2: B}})
    for _ in range(2):
        judge.started(ISLAND, 1, A)
    judge.started(ISLAND, 2, B)


def test_an_island_that_is_started_by_two() -> None:
    judge = starts.StartJudge({ISLAND: {1: A}})
    judge.started(ISLAND, 1, A)
    with violates(starts.ONE_STARTER):
        judge.started(ISLAND, 1, B)


def test_an_island_that_is_started_before_any_plan_says_so() -> None:
    judge = starts.StartJudge({ISLAND: {1: A}})
    with violates(starts.BY_THE_PLAN):
        judge.started(ISLAND, 2, A)
