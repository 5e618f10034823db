"""After the last fault has healed the cluster heals too, within stated times, and then stays as it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from distevo.cluster import ClusterRecord
from distevo.events import IslandId
from distevo.names import INBOX_COMMANDS
from distevo.plan import MemberState, Plan
from distevo.simulator.config import Times
from distevo.simulator.invariants.orphans import open_islands
from distevo.simulator.invariants.violation import Violation

COORDINATED = "after the faults there is a coordinator within the bound"
STEADY = "without faults nobody takes the lease from a living coordinator"
ALL_MEMBERS = "after the faults every platform is a member within the bound"
EVOLVING = "after the faults islands go on evolving"
MIGRATING = "after the faults programs migrate"
LINKED = "after the faults members that can be dialled are linked with everybody"
FINISHED = "every run ends"
CARRIED_OUT = "every confirmed command is taken in"


class Bounds(NamedTuple):
    """How long healing may take, seconds from the end of the last fault."""

    coordinator: float
    members: float
    islands: float
    generation: float
    """Longest time without a generation anywhere, while islands are open."""
    migration: float
    """Longest time without migrants, while islands of one task live apart; it begins after that of a coordinator."""
    merge: float
    """Until a member has as good a program as it has heard of from one that it is linked with."""
    mailed_merge: float
    """The same, where the wish and its answer go by mail."""
    leaving: float
    """Until who is asked to end, drained or revoked has left."""

    @classmethod
    def of(cls, times: Times, slowest_generation: float) -> Bounds:
        """The bounds that follow from a cluster's settings.

        A coordinator: the longest patience with a silent lease, one look at it, one swap. A member: one listing of the
        inbox after that. An island: the longest time until a silent owner is given up, over links or mail, whichever
        is slower, the coordinator's own takeover, one plan, and the hand-over from a former owner. Who is drained keeps
        what it hands over for a while after that. A program that was heard of: the beat that wishes for it, and by mail
        the wish and its answer, each of which waits until it is written and until it is looked for.
        """
        patience = 1.25 * times.lease_ttl + times.lease_ttl / 3 + 4 * times.swap_interval + SLACK
        silence = max(times.heartbeat_timeout, 3 * times.mail_interval)
        merge = times.merge_interval + 2 * max(times.heartbeat_interval, times.mail_interval) + 2 * SLACK
        return cls(
            coordinator=patience,
            members=patience + LISTING + SLACK,
            islands=patience + silence + LISTING + HAND_OVER + SLACK,
            generation=patience + silence + HAND_OVER + 4 * slowest_generation,
            leaving=patience + silence + LISTING + HAND_OVER + KEEP + SLACK,
            merge=merge,
            mailed_merge=merge + 4 * times.mail_interval,
            migration=3 * times.mail_interval + 4 * slowest_generation + SLACK,
        )


UNCONNECTED = "unconnected"
PROMPT_INTERVAL = 2
"""Runs whose islands send migrants after more generations may not get to that before they are over."""
SLACK = 5.0
"""Round trips, retries of a second, and generations under way."""
LISTING = 10.0
"""Seconds between two listings of the inbox, as the node has it."""
HAND_OVER = 10.0
"""Seconds that a new owner waits for the old one, as the node has it."""
KEEP = 30.0
"""Seconds for which a former owner keeps what nobody says to have taken, as the node has it."""


class Moment(NamedTuple):
    """What a sweep looks at."""

    now: float
    record: ClusterRecord | None
    swapped_at: float
    """When the store last carried out a write of `cluster`."""
    plan: Plan | None
    living: Collection[str]
    """Owners that run, and have run since the calm began."""
    generated_at: float
    """When an island last had a generation."""
    leaving: Collection[str] = ()
    """Owners that run, and were asked to end, drained or revoked."""
    quiet_since: float = 0.0
    """When a platform last began or ended, or something else went wrong."""
    evolving: Collection[tuple[IslandId, str]] = ()
    """Islands that are worked on, with who does."""


class CalmJudge:
    """Follows the calm at the end of a simulation."""

    def __init__(self, bounds: Bounds, since: float) -> None:
        self.bounds, self.since = bounds, since
        self._apart = 0.0
        """Seconds for which several platforms worked on some task's islands."""
        self._swept_at = since
        self._epoch: int | None = None
        self._leaving: dict[str, float] = {}
        """Since when who is asked to leave is seen."""
        self._unsettled_at = since
        """When somebody was seen last who is about to leave: that may be the coordinator."""

    def sweep(self, at: Moment) -> None:
        """Look at the cluster. Raises Violation."""
        self._leaving = {owner: self._leaving.get(owner, at.now) for owner in at.leaving}
        # Who ought to have left excuses nothing any more.
        if any(at.now - max(since, at.quiet_since) <= self.bounds.leaving for since in self._leaving.values()):
            self._unsettled_at = at.now
        waited = self._waited(at)
        if waited > self.bounds.coordinator:
            self._look_for_coordinator(at)
        else:
            self._epoch = None
        if waited > self.bounds.members:
            self._look_for_members(at)
        if waited > self.bounds.generation and at.plan is not None and open_islands(at.plan):
            silent = at.now - at.generated_at
            if silent > self.bounds.generation:
                raise Violation(EVOLVING, f"no island had a generation for {silent:.1f} s")
        if waited > self.bounds.coordinator and at.plan is not None and _has_neighbours(at.plan, at.evolving):
            self._apart += at.now - self._swept_at
        self._swept_at = at.now

    def is_settled(self, at: Moment) -> bool:
        """Whether everybody has had time to be a member, and linked."""
        return self._waited(at) > self.bounds.members

    def _waited(self, at: Moment) -> float:
        """Seconds since the calm began, or somebody came or left in it at a user's wish."""
        return at.now - max(self.since, self._unsettled_at, at.quiet_since)

    def linked(self, living: Sequence[str], dialable: Collection[str], links: Collection[tuple[str, str]]) -> None:
        """Every pair of which one can be dialled has to be in `links`, one way round or the other. Raises Violation.

        For clusters so small that all are linked with all.
        """
        for place, one in enumerate(living):
            for other in living[:place]:
                is_possible = one in dialable or other in dialable
                if is_possible and (one, other) not in links and (other, one) not in links:
                    raise Violation(LINKED, f"{one} and {other} are not")

    def end(
        self, at: Moment, acknowledged: int, names: Collection[str], orders: Mapping[str, str], must_finish: bool
    ) -> None:
        """The simulation is over.

        `acknowledged` batches of migrants in the calm; `names` are in the store; `orders` are confirmed commands, in
        words by name. Raises Violation.
        """
        if self._apart > self.bounds.migration and acknowledged == 0:
            raise Violation(MIGRATING, f"no batch was acknowledged in {self._apart:.1f} s")
        for name, order in orders.items():
            if name in names and not (at.plan is not None and name in at.plan.handled):
                raise Violation(CARRIED_OUT, f"{order}: {name} still lies in {INBOX_COMMANDS}")
        if must_finish:
            self.finished(at.plan)

    @staticmethod
    def finished(plan: Plan | None) -> None:
        """Every run has to be over. Raises Violation."""
        for name, run in plan.runs.items() if plan is not None else ():
            if not run.state.is_over:
                counts = run.tally()
                raise Violation(
                    FINISHED,
                    f"{name} is {run.state}, {counts['done']} of {counts['tasks']} tasks done; {run.note or ''}",
                )

    def _look_for_coordinator(self, at: Moment) -> None:
        record = at.record
        if record is None or not record.holder or f"{record.holder}-{record.boot}" not in at.living:
            holder = (
                "nobody" if record is None or not record.holder else f"{record.holder}-{record.boot}, which is gone"
            )
            raise Violation(COORDINATED, f"{self._waited(at):.1f} s after the last fault it is {holder}")
        if at.now - at.swapped_at > record.ttl:
            raise Violation(
                COORDINATED, f"{record.holder} has not renewed the lease for {at.now - at.swapped_at:.1f} s"
            )
        if self._epoch is not None and record.epoch != self._epoch:
            raise Violation(STEADY, f"epoch {self._epoch} became {record.epoch}, by {record.holder}")
        self._epoch = record.epoch

    def _look_for_members(self, at: Moment) -> None:
        known = set()
        if at.plan is not None:
            # By its boot: of two with one id the later is known by another name.
            known = {member.boot for member in at.plan.members.values() if member.state is MemberState.ALIVE}
        for owner in at.living:
            if owner.rpartition("-")[2] not in known:
                raise Violation(ALL_MEMBERS, f"{owner} is not alive in the plan")


def _has_neighbours(plan: Plan, evolving: Collection[tuple[IslandId, str]]) -> bool:
    """Whether islands of one task, which are connected, are worked on apart."""
    tasks: dict[tuple[str, str], set[str]] = {}
    owners_of = open_islands(plan)
    for island, owner in evolving:
        if owners_of.get(island) != owner:
            continue
        migration = plan.runs[island.run].migration
        if migration.topology != UNCONNECTED and migration.interval <= PROMPT_INTERVAL:
            tasks.setdefault((island.run, island.task), set()).add(owner)
    return any(len(owners) > 1 for owners in tasks.values())
