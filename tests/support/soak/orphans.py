"""How long islands are without an owner that lives."""

from __future__ import annotations

from collections.abc import Callable, Collection

from distevo.events import IslandId
from distevo.plan import Plan
from distevo.simulator.invariants.calm import Bounds
from distevo.simulator.invariants.orphans import open_islands
from tests.support.soak.platforms import TIMES

GENERATION_SECONDS = 2.0
"""The longest that a generation of the stream's problems takes on a crowded machine."""
BOUND_SECONDS = Bounds.of(TIMES, GENERATION_SECONDS).islands
"""The bound that the simulator sets, for the settings here: the longest patience with a silent lease (1.25 ttl), one
look at it (ttl / 3) and four swaps, the heartbeat timeout or three mail intervals, whichever is longer, one listing of
the inbox (10 s), the wait for a former owner (10 s), and slack (10 s)."""


class Orphans:
    """Times how long each island's owner, as the plan in force names it, does not live.

    In the simulator the time begins anew with each fault; here faults never cease, so it does only when whoever
    coordinates is struck. It is about one owner: when an island is given to another that dies in turn, it begins
    anew. An island without any owner counts only while somebody who lives has none at all, since it may wait for its
    turn, and one that has nothing left to do never.
    """

    def __init__(self, is_spent: Callable[[IslandId], bool]) -> None:
        self._is_spent = is_spent
        self._since: dict[tuple[IslandId, str], float] = {}
        self.adoptions: list[float] = []
        """Seconds for which islands were without a living owner until another had them."""
        self.longest = 0.0

    def sweep(self, plan: Plan, living: Collection[str], coordinator_struck_at: float, now: float) -> str | None:
        """Look at all islands; returns what is wrong."""
        owners = open_islands(plan)
        is_someone_idle = not set(living) <= set(owners.values())
        orphans = {
            (island, owner)
            for island, owner in owners.items()
            if owner not in living and (owner or is_someone_idle) and not self._is_spent(island)
        }
        for (island, owner), since in self._since.items():
            if (island, owner) not in orphans and owners.get(island, "") not in {"", owner}:
                self.adoptions.append(now - since)
        self._since = {orphan: self._since.get(orphan, now) for orphan in orphans}
        for (island, owner), since in self._since.items():
            waited = now - max(since, coordinator_struck_at)
            self.longest = max(self.longest, waited)
            if waited > BOUND_SECONDS:
                return f"{island} is {owner or 'nobody'}'s for {waited:.1f} s; the bound is {BOUND_SECONDS:.1f} s"
        return None
