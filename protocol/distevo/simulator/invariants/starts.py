"""Who works on an island: only the owner that a plan in force names, and under each grant one boot alone."""

from __future__ import annotations

from collections.abc import Mapping

from distevo.events import IslandId
from distevo.simulator.invariants.violation import Violation

ONE_STARTER = "an island is started by one boot per grant"
BY_THE_PLAN = "an island is started only under a plan that was in force"


class StartJudge:
    """Follows what nodes tell their workers to begin."""

    def __init__(self, grants: Mapping[IslandId, Mapping[int, str]]) -> None:
        """`grants`: owner under each grant that a plan in force has named so far."""
        self._grants = grants
        self._starters: dict[tuple[IslandId, int], str] = {}

    def started(self, island: IslandId, grant: int, starter: str) -> None:
        """`starter` lets a worker begin the island under this grant. Raises Violation."""
        first = self._starters.setdefault((island, grant), starter)
        if first != starter:
            raise Violation(ONE_STARTER, f"{island} under grant {grant} by {first} and by {starter}")
        owner = self._grants.get(island, {}).get(grant)
        if owner != starter:
            raise Violation(
                BY_THE_PLAN, f"{starter} began {island} under grant {grant}, which is {owner or 'nobody'}'s"
            )
