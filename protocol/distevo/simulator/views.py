"""Views: how long it takes until all members see a change, by the plans that they follow. Looked at once a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from distevo.plan import MemberState, Plan
from distevo.simulator.boot import Boot

LOOK_SECONDS = 1.0
"""How often it is looked: what is measured here is exact to so many seconds."""


class _Change(msgspec.Struct, frozen=True):
    """Something that all are to see."""

    since: float
    into: list[float]
    """Where it is noted how long that took."""
    is_seen: Callable[[Plan], bool]


class Views:
    """Changes that some living member does not see yet. Members are named as owners, `<id>-<boot>`."""

    def __init__(self) -> None:
        self.successions: list[float] = []
        """From a coordinator's end (at first, from the beginning) until all follow a plan of the next one's."""
        self.joins: list[float] = []
        """From the start of a boot until all follow a plan that shows it alive."""
        self.departures: list[float] = []
        """From the end of a boot until nobody follows a plan that shows it alive."""
        self.first_islands: list[float] = []
        """From the start of a boot until it begins its first island."""
        self.estrangements: list[tuple[float, float, int]] = []
        """(beginning, seconds, most members at a time) of each period in which a plan in force called members dead
        that lived, and that had been shown alive before."""
        self._pending: dict[str, _Change] = {}
        self._idle: dict[str, float] = {}
        self._shown: set[str] = set()
        self._estranged: tuple[float, int] | None = None

    def began(self, owner: str, now: float) -> None:
        """A boot started."""
        self._idle[owner] = now
        self._pending[owner] = _Change(now, self.joins, lambda plan: _is_alive(plan, owner))

    def ended(self, owner: str, now: float) -> None:
        """A boot ended, in whatever way."""
        self._idle.pop(owner, None)
        self._pending[owner] = _Change(now, self.departures, lambda plan: not _is_alive(plan, owner))

    def vacant(self, epoch: int, now: float) -> None:
        """Whoever won this epoch coordinates no more."""
        self._pending["coordinator"] = _Change(now, self.successions, lambda plan: plan.epoch > epoch)

    def started(self, owner: str, now: float) -> None:
        """A boot begins an island."""
        since = self._idle.pop(owner, None)
        if since is not None:
            self.first_islands.append(now - since)

    def look(self, boots: Sequence[Boot], in_force: Plan | None, now: float) -> None:
        """See who sees what."""
        if self._pending:
            followed = [boot.node.following.plan for boot in boots]
            plans = list({(plan.epoch, plan.version): plan for plan in followed}.values())
            for name in [name for name, change in self._pending.items() if all(map(change.is_seen, plans))]:
                change = self._pending.pop(name)
                change.into.append(now - change.since)
        if in_force is not None:
            self._look_for_estranged(boots, in_force, now)

    def _look_for_estranged(self, boots: Sequence[Boot], in_force: Plan, now: float) -> None:
        alive = _living(in_force)
        owners = {boot.owner for boot in boots if not boot.is_leaving}
        self._shown = (self._shown | alive) & owners
        estranged = len(self._shown - alive)
        if estranged:
            since, most = self._estranged or (now, 0)
            self._estranged = since, max(most, estranged)
        elif self._estranged is not None:
            since, most = self._estranged
            self._estranged = None
            self.estrangements.append((round(since, 3), round(now - since, 3), most))


def _living(plan: Plan) -> set[str]:
    alive = MemberState.ALIVE
    return {member.owner(name) for name, member in plan.members.items() if member.state is alive}


def _is_alive(plan: Plan, owner: str) -> bool:
    name, _, boot = owner.rpartition("-")
    member = plan.members.get(name)
    return member is not None and member.boot == boot and member.state is MemberState.ALIVE
