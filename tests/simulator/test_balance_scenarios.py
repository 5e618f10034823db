"""Unequal and changing platforms: who becomes slow gives islands away, noise moves nothing, sessions end in order."""

from __future__ import annotations

from typing import Any

import pytest

from distevo.simulator import Report, scenario_of, simulate

RELIEVED_SECONDS = 90.0
"""A platform that takes five times as long has no more islands than workers after so long: heartbeats come every 10 s,
what is measured fades over 30 s of work, and a departure has to last for 20 s."""


FIRST: dict[str, Any] = {"kind": "server", "workers": 2, "memory_mb": 8192, "islands": 4}


def cluster(seed: int, **changes: Any) -> Report:
    usual: dict[str, Any] = {
        "minutes": 6,
        "calm_minutes": 0,
        # The first has all eight islands, until its fellows take the two for which each has idle workers.
        "members": [FIRST, FIRST | {"count": 2, "starts_at": 20}],
        "runs": [{"name": "long", "tasks": 2, "islands_per_task": 4, "evaluations": 10**6}],
    }
    report = simulate(scenario_of(usual | changes), seed)
    assert report.finding is None
    return report


def slow(times: float, at: float = 60, seconds: float = 290) -> list[dict[str, Any]]:
    return [{"fault": "slow", "at": at, "member": "server-1", "seconds": seconds, "times": times}]


@pytest.mark.parametrize("seed", range(3))
def test_a_platform_that_becomes_five_times_slower_gives_islands_away_and_keeps_its_workers_busy(seed: int) -> None:
    usual = cluster(seed)
    too_many = usual.owned["server-1"] - 2
    assert too_many > 0
    report = cluster(seed, faults=slow(5))
    assert report.owned == {"server-1": 2, "server-2": 3, "server-3": 3}
    assert max(report.reliefs) < RELIEVED_SECONDS
    assert report.moves == usual.moves + too_many, "each island that it gave moved once"


@pytest.mark.parametrize("seed", range(3))
def test_noise_of_half_moves_nothing_to_and_fro(seed: int) -> None:
    usual, noisy = cluster(seed, minutes=10), cluster(seed, minutes=10, work={"noise": 0.5})
    assert noisy.moves <= usual.moves + 1


@pytest.mark.parametrize("seed", range(3))
def test_whoever_is_about_as_slow_as_the_threshold_gives_its_islands_away_once(seed: int) -> None:
    """With every measurement followed at once, seed 2 moves nine."""
    usual = cluster(seed, minutes=12)
    report = cluster(seed, minutes=12, work={"noise": 0.5}, faults=slow(2.5, seconds=650))
    assert report.moves == usual.moves + usual.owned["server-1"] - report.owned["server-1"]


def test_whoever_is_slow_for_a_while_gets_islands_again() -> None:
    runs = [
        {"name": "first", "tasks": 30, "islands_per_task": 2, "evaluations": 100},
        {"name": "last", "tasks": 3, "islands_per_task": 3, "evaluations": 10**6},
    ]
    slow_at_the_end = cluster(1, minutes=14, faults=slow(5, seconds=800), runs=runs)
    again = cluster(1, minutes=14, faults=slow(5, seconds=120), runs=runs)
    assert slow_at_the_end.runs == again.runs == {"first": "done", "last": "running"}
    assert slow_at_the_end.owned["server-1"] == 2
    assert again.owned["server-1"] > 2


def test_with_the_threshold_off_nothing_is_given_away() -> None:
    report = cluster(0, times={"avg_generation_time_threshold": None}, faults=slow(5))
    assert report.owned == cluster(0).owned


def test_a_newcomer_takes_from_the_slow_one_first() -> None:
    members = [
        {"kind": "server", "count": 3, "workers": 2, "islands": 3},
        {"kind": "laptop", "workers": 2, "starts_at": 150},
    ]
    runs = [{"name": "long", "tasks": 3, "islands_per_task": 3, "evaluations": 10**6}]
    report = cluster(2, members=members, runs=runs, faults=slow(5, seconds=290))
    assert report.owned["server-1"] == 2
    assert report.owned["laptop-1"] >= 2


@pytest.mark.parametrize("seed", range(3))
def test_a_platform_whose_session_ends_has_handed_its_islands_over_by_then(seed: int) -> None:
    members = [
        {"kind": "server", "count": 2, "workers": 2},
        {"kind": "notebook", "workers": 2, "session_limit": 200, "is_behind_nat": True},
    ]
    report = cluster(seed, members=members, minutes=5)
    assert report.cut_off == 0
    assert "notebook-1" not in report.owned
    assert sum(report.owned.values()) == 8


def test_alone_it_works_to_the_end_of_its_session() -> None:
    report = cluster(1, members=[{"kind": "notebook", "workers": 2, "session_limit": 200}], minutes=5)
    assert report.cut_off >= 7
