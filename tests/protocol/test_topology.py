"""Topologies: who sends to whom, alike on every member; and settings that no task can have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distevo.run import MigrationSettings
from distevo.topology import NEXT_TARGETS, TOPOLOGIES, check, partners, receivers, targets

SEED = "7/task-1"


def everyone(islands: int, seed: str = SEED, **chosen: Any) -> list[list[int]]:
    """The targets of each island."""
    return [targets(MigrationSettings(**chosen), island, islands, seed) for island in range(islands)]


def test_unconnected() -> None:
    assert everyone(3, topology="unconnected") == [[], [], []]


def test_ring() -> None:
    assert everyone(4, topology="ring") == [[1], [2], [3], [0]]


def test_bidirectional_ring() -> None:
    assert everyone(4, topology="bidirectional_ring") == [[1, 3], [0, 2], [1, 3], [0, 2]]
    assert everyone(2, topology="bidirectional_ring") == [[1], [0]]


def test_fully_connected() -> None:
    assert everyone(3, topology="fully_connected") == [[1, 2], [0, 2], [0, 1]]


def test_free_form() -> None:
    edges = ((0, 2), (2, 1), (0, 1), (0, 2))
    assert everyone(3, topology="free_form", edges=edges) == [[1, 2], [], [1]]


def test_an_edge_to_an_island_that_is_not_there_leads_nowhere() -> None:
    assert everyone(2, topology="free_form", edges=((0, 5), (0, 1))) == [[1], []]


def test_random_is_the_same_for_all_who_know_the_seed() -> None:
    # Fixed for ever: members of different versions must agree.
    expected = [[2, 3], [3, 5], [3, 5], [0, 5], [0, 1], [2, 3]]
    assert everyone(6, topology="random", degree=2) == expected
    assert everyone(6, seed="8/task-1", topology="random", degree=2) != expected


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 15), st.text(max_size=5))
def test_random_has_the_degree_as_far_as_there_are_others(islands: int, degree: int, seed: str) -> None:
    for found in everyone(islands, seed, topology="random", degree=degree):
        assert len(found) == min(degree, islands - 1)


def test_random_leaves_out_nobody_in_the_long_run() -> None:
    hits = [0] * 5
    for task in range(400):
        for island, found in enumerate(everyone(5, f"1/{task}", topology="random", degree=1)):
            hits[(found[0] - island) % 5] += 1
    # 2,000 draws among 4 distances: 500 each, with a standard deviation of 19
    assert hits[0] == 0
    assert all(420 < count < 580 for count in hits[1:])


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(TOPOLOGIES)), st.integers(1, 9), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)))
)
def test_no_island_sends_to_itself_or_twice_or_nowhere(
    topology: str, islands: int, edges: list[tuple[int, int]]
) -> None:
    for island, found in enumerate(everyone(islands, topology=topology, edges=tuple(edges))):
        assert found == sorted(set(found) - {island})
        assert all(0 <= target < islands for target in found)


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(TOPOLOGIES)), st.integers(1, 30), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)))
)
def test_both_ends_of_an_edge_are_partners(topology: str, islands: int, edges: list[tuple[int, int]]) -> None:
    chosen = MigrationSettings(topology=topology, edges=tuple(edges))
    found = partners(chosen, islands, SEED)
    assert all(island in found[other] for island in range(islands) for other in found[island])
    for island in range(islands):
        to = targets(chosen, island, islands, SEED)
        assert len(found[island] & set(to)) >= min(len(to), NEXT_TARGETS)


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(TOPOLOGIES)), st.integers(1, 12), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)))
)
def test_receivers_are_those_to_whom_some_other_sends(
    topology: str, islands: int, edges: list[tuple[int, int]]
) -> None:
    chosen = MigrationSettings(topology=topology, edges=tuple(edges))
    found = everyone(islands, topology=topology, edges=tuple(edges))
    assert receivers(chosen, islands, SEED) == {target for to in found for target in to}


def test_where_all_send_to_all_nobody_is_everybodys_partner() -> None:
    found = partners(MigrationSettings(topology="fully_connected"), 100, SEED)
    assert {len(each) for each in found} == {2 * NEXT_TARGETS}


def test_a_topology_of_a_later_version_is_refused() -> None:
    with pytest.raises(ValueError, match="'torus' is unknown; choose one of unconnected, ring"):
        targets(MigrationSettings(topology="torus"), 0, 3, SEED)


@pytest.mark.parametrize("topology", sorted(TOPOLOGIES))
def test_what_a_task_can_have_passes(topology: str) -> None:
    edges = ((0, 1), (1, 2)) if topology == "free_form" else ()
    check(MigrationSettings(topology=topology, edges=edges), 3)
    if topology != "free_form":
        check(MigrationSettings(topology=topology), 1)


@pytest.mark.parametrize(
    ("chosen", "what"),
    [
        ({"topology": "torus"}, "topology 'torus' is unknown; choose one of unconnected, ring, bidirectional_ring"),
        ({"selection": "best"}, "selection 'best' is unknown; choose one of select_best"),
        ({"replacement": "fair"}, "replacement 'fair' is unknown; choose one of fair_replace, merge"),
        ({"topology": "free_form"}, "no edges; give some"),
        ({"edges": ((0, 1),)}, "ring has its own; choose free_form"),
        ({"topology": "free_form", "edges": ((0, 1), (2, 2))}, "2 -> 2 leads back to its own island; leave it out"),
        ({"topology": "free_form", "edges": ((0, 3),)}, "0 -> 3 names an island that is not there.*0 to 2; change"),
        ({"topology": "free_form", "edges": ((3, 0),)}, "3 -> 0 names an island that is not there"),
    ],
)
def test_what_no_task_can_have_is_refused_with_what_to_do(chosen: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        check(MigrationSettings(**chosen), 3)
