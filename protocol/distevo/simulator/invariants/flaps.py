"""Balance comes to rest: no island is handed to and fro between members that both could keep it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from types import MappingProxyType

from distevo.events import IslandId
from distevo.plan import MemberState, Plan
from distevo.simulator.invariants.orphans import open_islands
from distevo.simulator.invariants.violation import Violation
from distevo.speech import member_of

COMES_TO_REST = "no island is handed to and fro"
MOST_MOVES = 4
"""Of one island, while nobody comes or goes, within `WINDOW_SECONDS`: idle workers are fed from where
islands wait, slow members are relieved, and each of that may be undone once when a worker falls idle elsewhere."""
MOST_WAITING_MOVES = 12
"""The same of one that its owner had not begun: moving it costs nothing, and where tasks take less time than plans it
follows whichever worker falls idle."""
WINDOW_SECONDS = 60.0
EMPTY: Mapping[str, Collection[str]] = MappingProxyType({})


class FlapJudge:
    """Counts how often islands go from a member that lives, is to stay and can work on them, to another.

    Who refuses an island is excused once in a window: where stores come and go it may not be handed to and fro either.
    """

    def __init__(self) -> None:
        self.moves = 0
        self._places: dict[IslandId, str] = {}
        self._stay: set[str] = set()
        self._rungs: dict[tuple[str, str], int] = {}
        self._moved_at: dict[tuple[IslandId, int], deque[float]] = {}
        """By island and how often it may move."""
        self._worked_on: set[IslandId] = set()
        self._refused_at: dict[tuple[IslandId, str], float] = {}

    def at_work(self, island: IslandId) -> None:
        """Somebody has begun it, or goes on with it."""
        self._worked_on.add(island)

    def in_force(self, plan: Plan, now: float, refused: Mapping[str, Collection[str]] = EMPTY) -> None:
        """This plan is in force; `refused`: by member, the runs that it cannot work on. Raises Violation."""
        stay = {
            member.owner(name)
            for name, member in plan.members.items()
            if member.state is MemberState.ALIVE and not member.is_draining
        }
        if stay != self._stay:
            # Who comes gets islands, and who goes leaves some: that is no balance that does not come to rest.
            self._stay = stay
            self._moved_at.clear()
        before, self._places = self._places, open_islands(plan)
        rungs = {island[:2]: plan.runs[island.run].tasks[island.task].rung for island in self._places}
        for _ in [task for task, rung in self._rungs.items() if rungs.get(task) != rung]:
            # Where some work ends workers fall idle, and each time others' islands may be what they are fed with.
            for times in filter(None, self._moved_at.values()):
                times.popleft()
        for island, owner in self._places.items():
            # What begins under its next budget is placed like any other that waits.
            is_same = self._rungs.get(island[:2]) == rungs[island[:2]]
            if not is_same or before.get(island, owner) == owner or before[island] not in stay:
                continue
            if island.run not in refused.get(member_of(before[island]), ()) or not self._is_excused(
                island, before[island], now
            ):
                self.moves += 1
                self._moved(island, now)
        self._rungs = rungs

    def _is_excused(self, island: IslandId, owner: str, now: float) -> bool:
        last, self._refused_at[island, owner] = self._refused_at.get((island, owner)), now
        return last is None or now - last >= WINDOW_SECONDS

    def _moved(self, island: IslandId, now: float) -> None:
        most = MOST_MOVES if island in self._worked_on else MOST_WAITING_MOVES
        self._worked_on.discard(island)
        times = self._moved_at.setdefault((island, most), deque(maxlen=most + 1))
        times.append(now)
        if len(times) > most and now - times[0] < WINDOW_SECONDS:
            raise Violation(COMES_TO_REST, f"{island} has moved {len(times)} times in {now - times[0]:.1f} s")
