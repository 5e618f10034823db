"""The judge of leavers: who is to leave has left in time."""

from __future__ import annotations

from typing import Any

import pytest

from distevo.farewell import Farewell
from distevo.joining import Joining
from distevo.simulator import scenario_of, simulate
from distevo.simulator.invariants import leavers
from tests.simulator.stories import A, B, a_plan, violates

SERVERS: dict[str, Any] = {
    "minutes": 5,
    "calm_minutes": 3.5,
    "members": [{"kind": "server", "count": 3, "workers": 2}],
    "runs": [{"name": "r", "islands_per_task": 3, "evaluations": 60}],
}


def test_who_leaves_in_time() -> None:
    judge = leavers.LeaverJudge(bound=10)
    judge.sweep(a_plan(A), [A], 0, 5)
    judge.sweep(a_plan(A), [A], 0, 15)
    judge.sweep(a_plan(A), [B], 0, 99)
    # What went wrong meanwhile may have held it up.
    judge.sweep(a_plan(A), [B], 95, 105)


def test_who_stays() -> None:
    judge = leavers.LeaverJudge(bound=10)
    judge.sweep(a_plan(A), [A], 0, 5)
    judge.sweep(a_plan(A), [A, B], 8, 18)
    with violates(leavers.LEAVES_IN_TIME):
        judge.sweep(a_plan(A), [A, B], 8, 18.1)


def test_a_node_that_does_not_end_when_it_is_asked_to_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Farewell, "is_late", lambda *_: False)
    monkeypatch.setattr(Farewell, "go_on", lambda *_: False)
    monkeypatch.setattr(Farewell, "next_deadline", lambda *_: float("inf"))
    stopped = {"faults": [{"fault": "stop", "at": 60, "member": "server-2"}]}
    finding = simulate(scenario_of(SERVERS | stopped), 1).finding
    assert finding is not None
    assert finding.invariant == leavers.LEAVES_IN_TIME


def test_a_node_that_does_not_mind_being_revoked_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Joining, "is_revoked", lambda *_: False)
    revoked = {"commands": [{"at": 60, "verb": "revoke", "member": "server-2"}]}
    finding = simulate(scenario_of(SERVERS | revoked), 1).finding
    assert finding is not None
    assert finding.invariant == leavers.LEAVES_IN_TIME
