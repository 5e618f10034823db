"""SIGKILL of the daemon in the middle of a run; fifty of them in one run: `tests/performance/kill_daemon.py`."""

from __future__ import annotations

from pathlib import Path

from tests.support.kills import kill_again_and_again


def test_kills_at_random_moments_change_no_result(tmp_path: Path) -> None:
    seen = kill_again_and_again(tmp_path, times=5, task_count=8, cost_us=500, seed=1)
    assert seen["islands_resumed"] >= 3
