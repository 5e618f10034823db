"""How long islands of members that ended had nobody."""

from __future__ import annotations

from distevo.events import IslandId
from distevo.plan import Plan
from distevo.simulator.measures import Measures

FIRST, SECOND = IslandId("r", "t", 0), IslandId("r", "t", 1)


def ended_with(*islands: IslandId) -> Measures:
    measures = Measures()
    measures.planned(Plan(epoch=1, version=1), dict.fromkeys(islands, "a-1"), 1.0)
    measures.ended("a-1", 10.0)
    return measures


def test_an_adoption_lasts_until_the_last_of_its_islands_is_anothers() -> None:
    measures = ended_with(FIRST, SECOND)
    measures.planned(Plan(epoch=1, version=2), {FIRST: "b-1", SECOND: "a-1"}, 12.0)
    assert measures.adoptions == []
    measures.planned(Plan(epoch=1, version=3), {FIRST: "b-1", SECOND: "c-1"}, 15.0)
    assert measures.adoptions == [5.0]


def test_an_island_that_nobody_has_is_not_adopted_yet() -> None:
    measures = ended_with(FIRST)
    measures.planned(Plan(epoch=1, version=2), {FIRST: ""}, 12.0)
    assert measures.adoptions == []
    measures.planned(Plan(epoch=1, version=3), {FIRST: "b-1"}, 17.0)
    assert measures.adoptions == [7.0]


def test_what_is_closed_later_takes_nothing_from_what_was_adopted() -> None:
    measures = ended_with(FIRST, SECOND)
    measures.planned(Plan(epoch=1, version=2), {FIRST: "b-1", SECOND: "a-1"}, 12.0)
    measures.planned(Plan(epoch=1, version=3), {FIRST: "b-1"}, 15.0)
    assert measures.adoptions == [2.0]


def test_an_island_that_came_to_rest_is_waited_for_by_nobody() -> None:
    measures = ended_with(FIRST, SECOND)
    measures.planned(Plan(epoch=1, version=2), {FIRST: "b-1"}, 12.0)
    assert measures.adoptions == [2.0]


def test_where_all_are_at_rest_or_closed_nothing_is_adopted() -> None:
    measures = ended_with(FIRST)
    measures.planned(Plan(epoch=1, version=2), {}, 12.0)
    measures.planned(Plan(epoch=1, version=3), {FIRST: "b-1"}, 20.0)
    assert measures.adoptions == []


def test_who_ends_with_nothing_at_work_leaves_nothing_to_adopt() -> None:
    measures = ended_with()
    measures.planned(Plan(epoch=1, version=2), {FIRST: "b-1"}, 12.0)
    assert measures.adoptions == []
