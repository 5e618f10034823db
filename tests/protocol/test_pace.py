"""The pace of a platform: what its generations tell of it, and what they do not."""

from __future__ import annotations

import pytest

from distevo.checkpoint import Counters
from distevo.pace import FRESH_SECONDS, Pace


def worked(pace: Pace, wall: float, cpu: float, count: int = 1, run: str = "r", now: float = 0.0) -> Pace:
    """So many generations of an island, each of which took so long."""
    for _ in range(count):
        before = Counters(evaluations=7, cpu_seconds=3.0, seconds=5.0)
        after = Counters(evaluations=9, cpu_seconds=3.0 + cpu, seconds=5.0 + wall)
        pace.generation(run, before, after, now)
    return pace


def test_nothing_is_known_before_a_second_of_work() -> None:
    pace = Pace()
    assert pace.told(0.0) == {"avg_generation_time": 0.0, "pace": {}}
    worked(pace, 0.3, 0.3, count=3)
    assert pace.avg_generation_time(1.0) == pytest.approx(0.3)
    assert pace.by_run(1.0) == {}
    worked(pace, 0.3, 0.3)
    assert pace.by_run(1.0) == pytest.approx({"r": 1.0})


def test_it_is_the_same_for_short_and_for_long_generations() -> None:
    short, long = worked(Pace(), 0.02, 0.01, count=200), worked(Pace(), 2.0, 1.0, count=3)
    assert short.by_run(0.0) == pytest.approx({"r": 2.0})
    assert long.by_run(0.0) == pytest.approx({"r": 2.0})
    assert long.avg_generation_time(0.0) == pytest.approx(2.0)


def test_a_slow_core_counts_as_one_that_is_shared() -> None:
    pace = worked(Pace(), 1.0, 1.0, count=3)
    pace.measured(3.0)
    pace.measured(2.0)  # What disturbs a measurement only adds to it.
    pace.measured(0.0)
    assert pace.by_run(0.0) == pytest.approx({"r": 2.0})


def test_what_was_long_ago_fades() -> None:
    pace = worked(worked(Pace(), 1.0, 1.0, count=100), 5.0, 1.0, count=1)
    assert 1.0 < pace.by_run(0.0)["r"] < 2.5
    worked(pace, 5.0, 1.0, count=12)
    assert pace.by_run(0.0)["r"] > 3
    worked(pace, 1.0, 1.0, count=90)
    assert pace.by_run(0.0)["r"] < 1.5


def test_each_run_has_its_own_and_is_forgotten_without_work() -> None:
    pace = worked(worked(Pace(), 1.0, 1.0, 3, "busy"), 1.0, 0.01, 3, "waits", now=100.0)
    assert pace.by_run(100.0) == pytest.approx({"busy": 1.0, "waits": 100.0})
    assert pace.by_run(FRESH_SECONDS + 1).keys() == {"waits"}
    assert pace.told(FRESH_SECONDS + 101) == {"avg_generation_time": 0.0, "pace": {}}


def test_a_state_from_elsewhere_is_no_generation() -> None:
    pace = worked(Pace(), -1.0, 1.0, count=5)
    assert pace.avg_generation_time(0.0) is None
