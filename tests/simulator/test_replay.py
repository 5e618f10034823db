"""A scenario and a seed determine everything: the same trace in this process, and in another with another hash seed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from distevo.simulator import expand, scenario_of, simulate

SEEDS = (3, 11, 17)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_replays(seed: int) -> None:
    first, second = (simulate(expand(seed), seed) for _ in range(2))
    assert first == second
    assert first.events > 300
    assert simulate(expand(seed), seed + 1).hash != first.hash


def test_a_seed_replays_in_another_process() -> None:
    code = f"from distevo.simulator import *\nfor seed in {SEEDS}: print(simulate(expand(seed), seed).hash)"
    environ = os.environ | {"PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [simulate(expand(seed), seed).hash for seed in SEEDS]


def test_a_whole_trace_has_every_line_and_changes_nothing() -> None:
    seed = SEEDS[0]
    short, whole = simulate(expand(seed), seed), simulate(expand(seed), seed, is_traced=True)
    assert short.trace is None
    assert whole.trace is not None
    assert len(whole.trace) > whole.events / 2
    assert whole.hash == short.hash


def test_a_quiet_cluster_stays_quiet() -> None:
    """Without a fault there is one election, nobody is called dead, and every run ends."""
    scenario = scenario_of(
        {
            "minutes": 10,
            "calm_minutes": 9.9,
            "must_finish": True,
            "members": [
                {"kind": "server", "count": 2, "workers": 2},
                {"kind": "notebook", "count": 3, "is_behind_nat": True},
            ],
            "runs": [{"name": "r", "tasks": 6, "islands_per_task": 3, "evaluations": 300}],
        }
    )
    report = simulate(scenario, 1, is_traced=True)
    assert report.finding is None, report.finding
    assert report.takeovers == 1
    assert report.runs == {"r": "done"}
    assert report.migrations > 0
    assert report.trace is not None
    assert not [line for line in report.trace if "member dead" in line]


def test_churn_is_drawn_from_its_rate() -> None:
    scenario = scenario_of(
        {
            "minutes": 30,
            "members": [{"kind": "server"}, {"kind": "notebook", "count": 4, "crashes_per_hour": 6, "downtime": 30}],
        }
    )
    report = simulate(scenario, 2)
    assert report.finding is None, report.finding
    assert 4 <= report.faults <= 24
    assert len(report.arrivals) >= 5
