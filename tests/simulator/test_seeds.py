"""Whole clusters by the hundred: each seed is a small cluster with at least three faults, and heals in the end.

Of a seed that fails, the scenario and the last lines of its trace are shown. To see everything:

    distevo-ctl simulate --seed SEED --trace

What once failed lies in `once_failed.jsonl`, a line for each: seed, scenario, and what it showed. It is run for ever,
and as it was: by now `expand` may draw another scenario from that seed.
"""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from distevo.simulator import Scenario, expand, scenario_of, simulate, text

SEEDS = 500
AT_A_TIME = 25


def once_failed() -> list[tuple[int, Scenario]]:
    lines = (Path(__file__).parent / "once_failed.jsonl").read_bytes().splitlines()
    return [(entry["seed"], scenario_of(entry["scenario"])) for entry in map(orjson.loads, lines)]


def failure(seed: int, scenario: Scenario) -> str | None:
    """What is wrong with a seed, in full."""
    report = simulate(scenario, seed)
    if report.finding is None:
        return None
    found = f"seed {seed}, at {report.finding.at:.3f} s: {report.finding.invariant}: {report.finding.message}"
    return "\n".join([text(scenario), *report.finding.trace, found])


@pytest.mark.parametrize("first", range(0, SEEDS, AT_A_TIME))
def test_a_cluster_stands_what_goes_wrong(first: int) -> None:
    for seed in range(first, first + AT_A_TIME):
        found = failure(seed, expand(seed))
        assert found is None, found


@pytest.mark.parametrize(("seed", "scenario"), once_failed())
def test_what_once_failed(seed: int, scenario: Scenario) -> None:
    found = failure(seed, scenario)
    assert found is None, found
