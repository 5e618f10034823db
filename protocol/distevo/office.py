"""The office: how a member comes to coordinate, and how it ceases to.

Elected, it loads plan, inbox and runs, and tries to take the lease with a plan that takes in what they say. If that
swap is its own it has a term, until the lease is lost or it resigns: then with a last plan, in which what lived here
lives elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from distevo.cluster import ClusterRecord
from distevo.coordinator import Coordinator
from distevo.joining import REVOKED, says
from distevo.ledger import Gone
from distevo.loading import Loaded, Loading
from distevo.members import State
from distevo.phase import Phase, Turning
from distevo.plan import MemberState
from distevo.weighing import Weigher

if TYPE_CHECKING:
    from distevo.node import Node


class Office:
    """One member's way into the coordinator's office and out of it."""

    def __init__(self, node: Node, weigher: Weigher) -> None:
        self._node, self._weigher = node, weigher
        self.term: Coordinator | None = None
        """While the node coordinates, or tries to."""
        self.has_mail = False
        """The inbox has changed while it did not."""
        self._basis: ClusterRecord | None = None
        """What a candidacy builds on: the swap compares with its token."""

    # --- in --------------------------------------------------------------------------------------

    def elected(self, now: float) -> None:
        """The election says try."""
        node = self._node
        node.turn(Turning.ELECTED)
        record = self._basis = node.lease.record
        Loading(
            record.plan if record is not None else None,
            node.outbox,
            lambda loaded, now: self._loaded(loaded, record, now),
            lambda reason, now: self._contradicted(record, reason, now),
            lambda kind, reason: self._refused(record, kind, reason),
            lambda: self._is_up(record),
        )

    def outdone(self, now: float) -> None:
        """See whether another has been faster, while some read of this candidacy has no answer."""
        if self._node.lease.record is not self._basis:
            self._beaten()
            self._node.look_at_once(now)

    def _is_up(self, record: ClusterRecord | None) -> bool:
        """Whether a candidacy that builds on this record goes on. Else another has been faster: the swap would compare
        with a token that is newer than what was loaded."""
        return self._node.phase is Phase.LOADING and record is self._basis is self._node.lease.record

    def _refused(self, record: ClusterRecord | None, kind: str, reason: str) -> None:
        if self._is_up(record):
            self._node.leave_with(kind, reason)

    def _contradicted(self, record: ClusterRecord | None, reason: str, now: float) -> None:
        """Others have gone on since `cluster` was read, perhaps long ago while this member slept; or it is corrupt."""
        node = self._node
        if not self._is_up(record):
            return
        self._beaten()

        def looked(_now: float) -> None:
            if node.lease.record is record:
                node.leave_with("corrupt", reason)

        node.following.look(now, looked)

    def _loaded(self, loaded: Loaded, record: ClusterRecord | None, now: float) -> None:
        node = self._node
        if not self._is_up(record):
            return
        if node.joining.is_revoked(loaded.plan):
            node.leave_with("refused", REVOKED)
            return
        if node.joining.has_twin(loaded.plan) and not node.election.has_deferred:
            self._beaten()
            node.election.rest(now)
            return
        node.turn(Turning.LOADED)
        self.term = term = Coordinator(
            node.settings.member,
            says(node.settings),
            loaded,
            outbox=node.outbox,
            attic=node.attic,
            keeper=node.keeper,
            standing=node.standing,
            publish=self._publish,
            soonest_write=node.lease.soonest_write,
            verify=node.dispatch.verdicts.verify,
            withdraw=node.dispatch.verdicts.withdraw,
            merge=node.exchange.merging.final,
            saved=node.library.snapshots,
            refusals=node.foreman.refused,
            weigher=self._weigher,
            threshold=node.settings.avg_generation_time_threshold,
            now=now,
        )
        gone = self._gone()
        holder, boot = (record.holder, record.boot) if record is not None else ("", "")
        if holder and not node.table.hears(holder, boot, now) and gone.get(holder, ("", None))[0] != boot:
            gone[holder] = boot, MemberState.DEAD
        node.lease.take(term.prepare(gone, now), now, partial(self._won, term))

    def _won(self, term: Coordinator, now: float) -> None:
        node = self._node
        if node.phase is not Phase.TAKING or self.term is not term:
            return
        record = node.lease.record
        node.outbox.log(
            "info",
            "coordinator",
            cluster=record.cluster if record else "",
            epoch=record.epoch if record else 0,
        )
        node.turn(Turning.WON)
        term.begin(now)
        # Whoever spoke to the former coordinator alone has to be given time to speak to this one.
        node.dispatch.grace(list(term.ledger.living()), now)
        if self.has_mail:
            # It may have come after the inbox was listed.
            self.has_mail = False
            term.desk.look(now)

    # --- out -------------------------------------------------------------------------------------

    def lose(self, now: float) -> None:
        """Another holds the lease."""
        if self.term is not None:
            self.term.end()
        self.term = None
        self._node.dispatch.verdicts.forget()
        self._beaten()
        self._node.look_at_once(now)

    def resign(self, now: float) -> None:
        """Give the lease up, with a plan in which what lived here lives elsewhere."""
        lease = self._node.lease
        if self.term is not None:
            lease.publish(self.term.leave(self._gone(), now))
        lease.release()
        lease.tick(now)

    # --- helpers ---------------------------------------------------------------------------------

    def _beaten(self) -> None:
        self._node.turn(Turning.LOST)
        self._node.election.lost()

    def _gone(self) -> dict[str, Gone]:
        """The members that are known to be dead or to have left, with the boots of which that is known."""
        table = self._node.table
        states = ((name, table.state(name)) for name in self._node.plan.members)
        return {
            name: (table.boot_of(name) or "", MemberState(state.value))
            for name, state in states
            if state is State.DEAD or state is State.LEFT
        }

    def _publish(self, then: Callable[[float], None] | None = None) -> None:
        if self.term is not None:
            self._node.lease.publish(self.term.ledger.plan, then)
