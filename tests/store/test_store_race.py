"""Six processes race to swap one object, stopped and killed at random: no token has two winners.

`race.py` runs the same for as long as one likes.
"""

from __future__ import annotations

from pathlib import Path

from race import race

SECONDS = 6.0


def test_no_token_has_two_winners(quick_path: Path) -> None:
    report = race(quick_path, SECONDS, racers=6, seed=7)
    assert report.is_right, report
    assert report.swaps > 200
    assert report.kills >= 3
    assert report.stops >= 30
