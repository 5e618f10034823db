"""What the node counts for metrics alone, in simulated clusters: counts only rise, and say what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from distevo.events import Event
from distevo.instructions import Instruction
from distevo.node import Node
from distevo.simulator import boot, expand, scenario_of, simulate

SERVERS: dict[str, Any] = {
    "members": [{"kind": "server", "count": 3, "workers": 2}],
    "runs": [{"name": "long", "tasks": 2, "islands_per_task": 3, "evaluations": 10**6}],
    "calm_minutes": 0,
    "minutes": 2,
}


class Watched(Node):
    """The node, which is looked at after each event."""

    seen: list[Watched]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.seen.append(self)
        self.last = self.counts()

    def counts(self) -> tuple[float, ...]:
        """All that only rises."""
        outcomes, immigrated = self.election.outcomes, self.exchange.immigrated
        return (
            *(outcomes[outcome] for outcome in ("won", "lost", "heard")),
            *(immigrated[outcome] for outcome in ("accepted", "known", "declined")),
            self.exchange.emigrated,
            *msgspec.structs.astuple(self.standing.tally),
        )

    def handle(self, event: Event, now: float) -> list[Instruction]:
        """As the node does."""
        found = super().handle(event, now)
        counts = self.counts()
        assert all(new >= old for new, old in zip(counts, self.last, strict=True)), (event, self.last, counts)
        self.last = counts
        return found


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Watched]]:
    """All nodes that a simulation makes."""
    Watched.seen = []
    monkeypatch.setattr(boot, "Node", Watched)
    yield Watched.seen
    del Watched.seen


def test_calm_servers(nodes: list[Watched]) -> None:
    report = simulate(scenario_of(SERVERS), 1)
    assert report.finding is None
    assert sum(node.election.outcomes["won"] for node in nodes) == report.takeovers == 1
    assert sum(node.standing.tally.generations for node in nodes) == report.generations > 0
    counted = [
        progress
        for node in nodes
        for owner, progress in node.standing.islands.values()
        if owner == node.settings.member
    ]
    for field in ("evaluations", "duplicates"):
        own = sum(getattr(node.standing.tally, field) for node in nodes)
        assert own == sum(getattr(progress, field) for progress in counted)
    # What is on its way, or waits to be sent again, is sent and not received.
    sent = sum(node.exchange.emigrated for node in nodes)
    received = sum(node.exchange.immigrated.total() for node in nodes)
    assert 0.9 * sent < received <= sent


def test_a_coordinator_that_dies(nodes: list[Watched]) -> None:
    crash = {"fault": "crash", "at": 60, "member": "coordinator", "is_silent": False}
    report = simulate(scenario_of(SERVERS | {"faults": [crash]}), 1)
    assert report.finding is None
    assert sum(node.election.outcomes["won"] for node in nodes) == report.takeovers == 2


def test_whatever_goes_wrong_counts_only_rise(nodes: list[Watched]) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(20):
        nodes.clear()
        report = simulate(expand(seed), seed)
        assert report.finding is None
        won = sum(node.election.outcomes["won"] for node in nodes)
        # Whoever dies before it hears that it has won has not counted it.
        assert 1 <= won <= report.takeovers
        for node in nodes:
            outcomes.update(node.election.outcomes)
    assert all(outcomes[outcome] for outcome in ("won", "lost", "heard")), outcomes
