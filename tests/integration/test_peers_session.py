"""distevo as the comparison with other libraries uses it: through its commands."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.performance.peers.contenders import EQUAL
from tests.performance.peers.distevo_session import DistevoSession
from tests.performance.peers.losses import after_kill
from tests.performance.peers.measures import memory, processes, reach, startup
from tests.performance.peers.work import ISLANDS, WORKERS

DISTEVO = EQUAL[0]


def test_a_session_counts_remembers_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    with DistevoSession(tmp_path, "onemax", "equal") as session:
        first, _, found = reach(session, 1, [])
        # From where it is: between two looks an island has several generations.
        later = first.generations // ISLANDS + 2
        last, burnt, _ = reach(session, later, found)
        assert last.generations >= later * ISLANDS
        assert last.offspring > first.offspring
        assert burnt > 0
        taken = memory(session)
        assert taken["processes"] == WORKERS + 1
        assert taken["workers"] == WORKERS
        assert taken["rss_mb"] > WORKERS * taken["worker_rss_mb"]
        told = after_kill(session, lambda: psutil.Process(session.worker_pids()[0]).kill(), 60)
        assert [island["outcome"] for island in told["islands"]] == ["went on"] * ISLANDS
        assert not session.has_ended
    assert not processes(session)


def test_the_start_is_measured_in_both_ways() -> None:
    seconds = startup(DISTEVO)
    assert seconds.keys() == {"start_s", "start_and_submit_s"}
    assert min(seconds.values()) > 0
