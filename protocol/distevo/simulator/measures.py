"""What is measured of a simulated cluster: how long it took to come to terms with each change, and what it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from distevo.cluster import ClusterRecord
from distevo.events import IslandId
from distevo.plan import MemberState, Plan
from distevo.simulator.invariants.orphans import open_islands
from distevo.simulator.views import Views
from distevo.speech import member_of


class Spread(msgspec.Struct, frozen=True):
    """How long something took, in seconds, of all the times it happened."""

    count: int
    median: float
    p95: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread | None:
        """None if it never happened."""
        if not seconds:
            return None
        ranked = sorted(seconds)
        at = [ranked[min(int(share * len(ranked)), len(ranked) - 1)] for share in (0.5, 0.95)]
        return cls(len(ranked), round(at[0], 3), round(at[1], 3), round(ranked[-1], 3))


class Measures:
    """Collects times and counts as the simulation goes on. Owners are named `<id>-<boot>`."""

    def __init__(self) -> None:
        self.generations = 0
        self.migrations = 0
        self.takeovers = 0
        self.elections: list[float] = []
        """From a coordinator's end (at first, from the beginning) to the next one's first write."""
        self.adoptions: list[float] = []
        """From the end of a member to the plan in which the last of the islands that it evolved is another's."""
        self.arrivals: list[float] = []
        """From the start of a boot to a plan that shows it alive."""
        self.reliefs: list[float] = []
        """From when a member became slow to a plan in which it has no more islands than workers."""
        self.cut_off = 0
        """Islands of members whose session was over."""
        self.owned: dict[str, int] = {}
        """Islands of open tasks by member, in the plan in force."""
        self.views = Views()
        self._vacant_since: float | None = 0.0
        self.views.vacant(0, 0.0)
        self._holder = ""
        self._epoch = 0
        self._arriving: dict[str, float] = {}
        self._gone: dict[str, tuple[float, set[IslandId], float | None]] = {}
        """By owner that ended with islands at work: when, which of them nobody has yet, and when another got the last
        one so far."""
        self._at_work: Mapping[IslandId, str] = {}
        self._slow: dict[str, tuple[int, float]] = {}
        self._counts: Counter[str] = Counter()

    def began(self, owner: str, now: float) -> None:
        """A boot started."""
        self._arriving[owner] = now
        self.views.began(owner, now)

    def slowed(self, owner: str, workers: int, now: float) -> None:
        """A member's machine has become slow."""
        if self._counts[owner] > workers:
            self._slow[owner] = workers, now

    def ended(self, owner: str, now: float) -> None:
        """A boot ended, in whatever way."""
        self._arriving.pop(owner, None)
        self.views.ended(owner, now)
        if owner == self._holder and self._vacant_since is None:
            self._vacant_since = now
            self.views.vacant(self._epoch, now)
        islands = {island for island, place in self._at_work.items() if place == owner}
        if islands:
            self._gone[owner] = now, islands, None

    def swapped(self, record: ClusterRecord, now: float) -> None:
        """`cluster` was written."""
        if record.epoch > self._epoch:
            self.takeovers += 1
            self._epoch = record.epoch
            if self._vacant_since is not None:
                self.elections.append(now - self._vacant_since)
                self._vacant_since = None
        self._holder = f"{record.holder}-{record.boot}"

    def planned(self, plan: Plan, at_work: Mapping[IslandId, str], now: float) -> None:
        """This plan is in force. `at_work`: its islands that have something left to do, with their owners."""
        if self._arriving:
            alive = {member.owner(name) for name, member in plan.members.items() if member.state is MemberState.ALIVE}
            for owner in [owner for owner in self._arriving if owner in alive]:
                self.arrivals.append(now - self._arriving.pop(owner))
        places = open_islands(plan)
        self._counts = counts = Counter(places.values())
        self.owned = {member_of(owner): count for owner, count in sorted(counts.items())}
        for owner in [owner for owner, (workers, _) in self._slow.items() if counts[owner] <= workers]:
            self.reliefs.append(now - self._slow.pop(owner)[1])
        self._at_work = at_work
        for owner, (since, islands, adopted_at) in list(self._gone.items()):
            left = {island for island in islands if at_work.get(island) in {owner, ""}}
            # What came to rest, or whose task was closed, was adopted by nobody.
            if any(island in at_work for island in islands - left):
                adopted_at = now
            self._gone[owner] = since, left, adopted_at
            if not left:
                del self._gone[owner]
                if adopted_at is not None:
                    self.adoptions.append(adopted_at - since)
