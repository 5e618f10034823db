"""Whole clusters by the hundred: each seed is a small cluster with at least three faults, and heals in the end.

Of a seed that fails, the scenario and the last lines of its trace are shown. To see everything:

    distevo-ctl simulate --seed SEED --trace

Seeds that once failed are in `seeds.txt`, each with what it showed; they are run for ever.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from distevo.simulator import expand, simulate, text

SEEDS = 500
AT_A_TIME = 25


def once_failed() -> list[int]:
    lines = (Path(__file__).parent / "seeds.txt").read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def failure(seed: int) -> str | None:
    """What is wrong with a seed, in full."""
    scenario = expand(seed)
    report = simulate(scenario, seed)
    if report.finding is None:
        return None
    found = f"seed {seed}, at {report.finding.at:.3f} s: {report.finding.invariant}: {report.finding.message}"
    return "\n".join([text(scenario), *report.finding.trace, found])


@pytest.mark.parametrize("first", range(0, SEEDS, AT_A_TIME))
def test_a_cluster_stands_what_goes_wrong(first: int) -> None:
    for seed in range(first, first + AT_A_TIME):
        found = failure(seed)
        assert found is None, found


@pytest.mark.parametrize("seed", once_failed())
def test_a_seed_that_once_failed(seed: int) -> None:
    found = failure(seed)
    assert found is None, found
