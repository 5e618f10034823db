"""Sixteen processes swap one object of a bucket at the same moment: each round has one winner.

`rounds.py` runs the same for as many rounds as one likes, and on any store.
"""

from __future__ import annotations

import pytest
from rounds import race

pytestmark = pytest.mark.long


@pytest.mark.timeout(400)  # Each process imports Google's packages.
def test_each_round_has_one_winner(bucket: str) -> None:
    report = race(f"gs://{bucket}", racers=16, rounds=30)
    assert not report.wrong
    assert (report.rounds, report.lost, report.unknown) == (30, 30 * 15, 0)
