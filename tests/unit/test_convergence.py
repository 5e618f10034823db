"""Which islands get nowhere, and what of them is kept."""

from __future__ import annotations

import msgspec
import pytest

from distevo.checkpoint import Counters, IslandSnapshot
from distevo.convergence import PROPOSALS_PER_PROGRAM, founders, has_converged, window
from distevo.program import Program
from distevo.provenance import Provenance, made_after, meta_of
from tests.protocol.vectors import ISLAND
from tests.support.programs import program


def state(generation: int, *, proposals: int = 250, cursor: int = -1) -> IslandSnapshot:
    counters = Counters(evaluations=generation * proposals)
    return msgspec.structs.replace(ISLAND, generation=generation, counters=counters, cursor=cursor, island=2)


def made(*generations: int, island: int = 2) -> list[Program]:
    """Programs of these generations, the first the best."""
    return [
        program(b"%d" % place, float(-place), meta=meta_of(Provenance("p", island, generation)))
        for place, generation in enumerate(generations)
    ]


@pytest.mark.parametrize(
    ("generations", "stuck"),
    [
        ([10] * 40, True),
        ([10] * 38 + [90, 99], True),  # One in twenty changes hands.
        ([10] * 37 + [90, 95, 99], False),
        ([60] + [10] * 39, False),  # Its best is new.
        ([50] + [10] * 39, True),
    ],
)
def test_an_island_is_stuck_when_its_archive_is_hardly_renewed(generations: list[int], stuck: bool) -> None:
    assert has_converged(state(100), made(*generations)) is stuck


def test_immigrants_do_not_renew_it() -> None:
    assert has_converged(state(100), made(*[99] * 40, island=1))


@pytest.mark.parametrize("snapshot", [state(30), state(100, cursor=5)])
def test_it_is_given_time_and_the_sweep_is_not_judged(snapshot: IslandSnapshot) -> None:
    assert not has_converged(snapshot, made(*[1] * 40))


def test_an_empty_one_is_not_judged() -> None:
    assert not has_converged(state(100), [])


def test_where_generations_are_small_the_window_is_longer() -> None:
    assert window(state(100), 40) == 50
    assert window(state(100, proposals=1), 40) == PROPOSALS_PER_PROGRAM * 40
    assert not has_converged(state(100, proposals=1), made(*[1] * 40))


def test_founders_are_the_best_and_one_of_each_other_island() -> None:
    own, one, two = made(1, 2, 3), made(4, 5, island=0), made(6, island=1)
    best, others = founders([own[0], one[0], own[1], one[1], two[0], own[2]], 2)
    assert (best, others) == (own[0], [one[0], two[0]])


def test_what_says_nothing_is_old() -> None:
    assert not made_after(0, 0)(b"")
    assert not made_after(0, 0)(b"\xff" * 6)
