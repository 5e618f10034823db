"""Balance comes to rest: no island is handed to and fro between members that both could keep it."""

from __future__ import annotations

from collections import deque

from distevo.events import IslandId
from distevo.plan import MemberState, Plan
from distevo.simulator.invariants.orphans import open_islands
from distevo.simulator.invariants.violation import Violation

COMES_TO_REST = "no island is handed to and fro"
MOST_MOVES = 4
"""Of one island, from members that live and are to stay, within `WINDOW_SECONDS`: idle workers are fed from where
islands wait, slow members are relieved, and each of that may be undone once when a worker falls idle elsewhere."""
WINDOW_SECONDS = 60.0


class FlapJudge:
    """Counts how often islands go from a member that lives, and is to stay, to another."""

    def __init__(self) -> None:
        self.moves = 0
        self._places: dict[IslandId, str] = {}
        self._rungs: dict[tuple[str, str], int] = {}
        self._moved_at: dict[IslandId, deque[float]] = {}

    def in_force(self, plan: Plan, now: float) -> None:
        """This plan is in force. Raises Violation."""
        stay = {
            member.owner(name)
            for name, member in plan.members.items()
            if member.state is MemberState.ALIVE and not member.is_draining
        }
        before, self._places = self._places, open_islands(plan)
        rungs = {(name, task): entry.rung for name, run in plan.runs.items() for task, entry in run.tasks.items()}
        for island, owner in self._places.items():
            # What begins under its next budget is placed like any other that waits.
            is_same = self._rungs.get(island[:2]) == rungs[island[:2]]
            if is_same and before.get(island, owner) != owner and before[island] in stay:
                self.moves += 1
                self._moved(island, now)
        self._rungs = rungs

    def _moved(self, island: IslandId, now: float) -> None:
        times = self._moved_at.setdefault(island, deque(maxlen=MOST_MOVES + 1))
        times.append(now)
        if len(times) > MOST_MOVES and now - times[0] < WINDOW_SECONDS:
            raise Violation(COMES_TO_REST, f"{island} has moved {len(times)} times in {now - times[0]:.1f} s")
