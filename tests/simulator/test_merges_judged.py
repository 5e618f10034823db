"""The judge of merges: who hears of better and never has it is found out, and so is what is not worth what it says."""

from __future__ import annotations

from typing import Any

import pytest

from distevo.closing import Closing
from distevo.merging import Merging
from distevo.program import Program
from distevo.simulator import scenario_of, simulate
from distevo.simulator.invariants import merged

SCENARIO = {
    "minutes": 4.0,
    "members": [{"kind": "server", "count": 4}],
    "runs": [{"name": "r", "tasks": 1, "islands_per_task": 3, "evaluations": 10**6}],
    "calm_minutes": 2.5,
}


def found() -> str | None:
    finding = simulate(scenario_of(SCENARIO), 1).finding
    return None if finding is None else finding.invariant


def test_it_is_content() -> None:
    assert found() is None


def test_who_never_asks_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Merging, "wishes", lambda *_: {})
    assert found() == merged.SPREADS


def test_nobody_need_have_what_is_fit_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Closing, "_consider", lambda *_: None)  # Else the task would be closed in a moment.
    fit = {"name": "fit", "tasks": 1, "islands_per_task": 1, "evaluations": 10**6, "priority": 1}
    changes = {"runs": [*SCENARIO["runs"], fit], "work": {"fit": 0.01}}  # type: ignore[misc]
    assert simulate(scenario_of(SCENARIO | changes), 1).finding is None


def test_made_up_fitness_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    came = Merging.came

    def forged(self: Merging, task: Any, programs: list[Program]) -> None:
        came(self, task, [Program.of(p.genome, p.key, [2.0], p.fit, p.behaviour, p.meta) for p in programs])

    monkeypatch.setattr(Merging, "came", forged)
    assert found() == merged.TRUE
