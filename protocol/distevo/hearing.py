"""Hearing: what the router tells, passed on to whom it concerns, in the order in which it comes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from distevo.errors import ObjectError, ObjectVersionError, RemoteProtocolError
from distevo.events import IslandId, Verified
from distevo.lease import InForce
from distevo.listener import Delivery
from distevo.members import State
from distevo.messages import (
    Code,
    Control,
    ControlVerb,
    ErrorReport,
    Fit,
    Goodbye,
    Head,
    Heartbeat,
    Hello,
    Migrants,
    MigrantsAck,
    PlanHint,
    PopulationKind,
    PopulationState,
    PreVote,
    Seen,
    Welcome,
)
from distevo.outline import outline_of
from distevo.path import Path, PathKind
from distevo.plan import MemberState, encode_plan
from distevo.run import Run
from distevo.speech import programs_in, report_in, states_in, verdict_in, verdict_message
from distevo.strangers import WAITS_SECONDS, Strangers

if TYPE_CHECKING:
    from distevo.node import Node

COMPLAINT_SECONDS = 10.0
"""Of what one member complains of, or is wrong with, for one reason, one line is logged in so long."""
RELAY_INTERVALS = 1.5
"""A relay that was not heard for so many heartbeat intervals may be why those behind it are silent."""

_CODES = frozenset(Code)


class Hearing:
    """The node's ears; it decides nothing. It is the router's listener, and answers through `dispatch`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._member, self._mail_interval = node.settings.member, node.settings.mail_interval
        self._strangers = Strangers()
        self._logged_at: dict[tuple[str, str, int], float] = {}
        """When a line was last logged of (what happened, a member, its code)."""

    # --- who is there ----------------------------------------------------------------------------

    def alive(self, member: str, boot: str, path: Path, now: float) -> None:
        """A sign of life that was no message for us."""
        self._credit(member, boot, self._interval(path), now)

    def linked(self, greeting: Hello | Welcome, now: float) -> None:
        """A link is open."""
        table = self._node.table
        table.link_made(greeting.member, now)
        # Its first heartbeat comes an interval later, and that is a setting of its own.
        table.heard(greeting.member, greeting.boot, now, greeting.heartbeat_interval, greeting.incarnation)

    def unlinked(self, member: str, boot: str, is_evidence: bool, behind: list[str], now: float) -> None:
        """A link is gone."""
        table = self._node.table
        if is_evidence:
            table.link_lost(member, now)
        # The next relay may fail as well, and then they are heard by mail.
        table.grace(behind, now, self._mail_interval)

    def stranger(self, key: str, boot: str, now: float) -> None:
        """Somebody waits to be taken in: the inbox has its announcement, or will in a moment."""
        if self._strangers.is_new(key, boot, now):
            for wait in WAITS_SECONDS:
                self._node.outbox.later(now + wait, self._look_for_strangers)

    def _look_for_strangers(self, now: float) -> None:
        # They cannot tell a coordinator behind NAT that they are here, so whoever they have reached does.
        if self._node.term is not None:
            self._node.term.desk.look(now)
        else:
            self._node.dispatch.inbox_changed(now)

    def _interval(self, path: Path) -> float:
        return self._mail_interval if path.kind is PathKind.MAIL else 0.0

    def _credit(self, member: str, boot: str, interval: float, now: float, incarnation: int | None = None) -> None:
        node = self._node
        if node.table.heard(member, boot, now, interval, incarnation) and node.term is not None:
            entry = node.term.ledger.plan.members.get(member)
            if entry is not None and entry.state is MemberState.DEAD:
                node.term.settle(member, boot, MemberState.ALIVE, now)

    def changed(self, member: str, state: State, now: float) -> None:
        """The table holds a member to be in another state."""
        node = self._node
        if state is State.SUSPECT:
            node.probe()
            self._doubt_relay(member, now)
            # It may be only our link that is gone: it hears of the suspicion by another path, and refutes it.
            node.dispatch.beat_to([member], now)
            return
        if state is State.DEAD:
            node.router.hang_up(member, now)
        if state in {State.DEAD, State.LEFT}:
            node.foreman.somebody_is_gone(now)
        if node.term is not None:
            node.term.settle(member, node.table.boot_of(member) or "", MemberState(state.value), now)

    def _doubt_relay(self, member: str, now: float) -> None:
        """A lost relay closes no link, and whoever was heard through it falls silent before it does: it is the relay
        that is doubted then, once, and the others have the time that another path takes."""
        relay, table = self._node.router.relay(member), self._node.table
        if relay is None or table.state(relay) is None:
            return
        if table.silence(relay, now) > RELAY_INTERVALS * self._node.settings.heartbeat_interval:
            self._node.dispatch.grace(self._node.router.give_up(relay, now), now)

    # --- what is said to us ----------------------------------------------------------------------

    def delivered(self, delivery: Delivery, now: float) -> None:
        """A message came."""
        head = delivery.head
        if delivery.is_fresh:
            interval, incarnation = self._interval(delivery.path), None
            if isinstance(head, Heartbeat):
                interval, incarnation = max(interval, head.interval), head.incarnation
            self._credit(delivery.sender, delivery.boot, interval, now, incarnation)
        try:
            self._act(delivery, head, now)
        except RemoteProtocolError as error:
            self._complain("a message is refused", delivery.sender, error.code, str(error), now)
            self._node.router.refuse(delivery, error.code, str(error), now)

    def _complain(self, what: str, member: str, code: int, reason: str, now: float) -> None:
        """Log it, unless that member has just filled a line with the same."""
        kind = what, member, code if code in _CODES else 0
        if now >= self._logged_at.get(kind, -COMPLAINT_SECONDS) + COMPLAINT_SECONDS:
            self._logged_at[kind] = now
            self._node.outbox.log("warning", what, member=member, code=code, reason=reason)

    def _act(self, delivery: Delivery, head: Head, now: float) -> None:
        node, sender, payload = self._node, delivery.sender, delivery.payload
        owner = f"{sender}-{delivery.boot}"
        match head:
            case Heartbeat():
                self._heartbeat_heard(delivery, head, now)
            case Goodbye():
                node.table.left(sender, delivery.boot)
                if sender == node.dispatch.coordinator:
                    node.look_soon(now)
            case PlanHint():
                self._plan_heard(delivery, head, now)
            case Migrants():
                node.exchange.arrived(owner, head, payload)
            case MigrantsAck():
                node.exchange.migration.acked(head, owner, now)
            case PopulationState():
                self._states_heard(owner, head, payload, now)
            case Fit():
                self._fit_heard(head, payload, now)
            case Seen():
                node.exchange.heard(head, payload)
            case PreVote():
                if head.hears is None:
                    node.dispatch.send(sender, node.election.answer(head, now), b"", now)
                else:
                    node.election.answered(sender, head)
            case Control():
                self._control_heard(sender, head, payload, now)
            case ErrorReport():
                self._complain("a member complains", sender, head.code, head.reason, now)

    def _heartbeat_heard(self, delivery: Delivery, head: Heartbeat, now: float) -> None:
        node, sender = self._node, delivery.sender
        if node.standing.heard(sender, delivery.boot, head, now) and node.term is not None:
            node.term.refused()
        for progress in head.islands:
            node.handover.taken(IslandId(progress.run, progress.task, progress.island), progress.grant)
        if (head.epoch, head.version) > node.following.version:
            self._look_or_ask(delivery, now)
        if head.wishes:
            node.exchange.merging.wished(sender, head.wishes, now)
        suspected = head.suspects.get(self._member)
        if suspected is not None and node.table.suspected(self._member, suspected, now):
            # Without our own suspects: else two that suspect each other would answer each other for ever.
            node.dispatch.beat_to([sender], now, is_answer=True)

    def _plan_heard(self, delivery: Delivery, head: PlanHint, now: float) -> None:
        """A hint, unless the store is away and the holder itself sends the plan, over its own link."""
        node, sender, payload = self._node, delivery.sender, delivery.payload
        following = node.following
        if head.is_wanted:
            if node.lease.is_held and following.version > (head.epoch, head.version):
                answer = PlanHint(epoch=following.plan.epoch, version=following.plan.version, name=following.name)
                node.dispatch.send(sender, answer, encode_plan(following.plan), now)
            return
        if (head.epoch, head.version) <= following.version:
            return
        if payload and self._is_holder(delivery) and following.is_blind(now):
            try:
                outline = outline_of(payload)
            except ObjectError as error:
                code = Code.VERSION if isinstance(error, ObjectVersionError) else Code.MALFORMED
                raise RemoteProtocolError(code, f"PLAN: {error}") from error
            epoch, record = outline.plan.epoch, node.lease.record
            if epoch == head.epoch and record is not None and epoch == record.epoch:
                following.told(InForce(head.name, epoch, outline), now)
        else:
            self._look_or_ask(delivery, now)

    def _is_holder(self, delivery: Delivery) -> bool:
        """Whether the holder of the lease, as far as it is known here, said this over its own link."""
        record = self._node.lease.record
        is_direct = delivery.path.kind is PathKind.DIRECT
        return is_direct and record is not None and (record.holder, record.boot) == (delivery.sender, delivery.boot)

    def _look_or_ask(self, delivery: Delivery, now: float) -> None:
        """A later plan is in force: look at it; while the store is away, ask the holder for it each time it says so."""
        following = self._node.following
        if self._is_holder(delivery) and following.is_blind(now):
            epoch, version = following.version
            wish = PlanHint(epoch=epoch, version=version, name=following.name, is_wanted=True)
            self._node.dispatch.send(delivery.sender, wish, b"", now)
        else:
            self._node.look_soon(now)

    def _states_heard(self, owner: str, head: PopulationState, payload: bytes, now: float) -> None:
        node = self._node
        if head.kind is PopulationKind.HAND_OVER:
            for snapshot in states_in(payload, partial(node.foreman.may_be_handed_over, owner)):
                node.foreman.handed_over(owner, snapshot, now)
            for ref in head.empty:
                node.foreman.not_begun(owner, IslandId(ref.run, ref.task, ref.island), ref.grant, now)
        elif node.term is not None:
            is_told_by = partial(node.term.closing.ends.is_told_by, owner)
            node.term.report(owner, report_in(head, payload, is_told_by), now)

    def _fit_heard(self, head: Fit, payload: bytes, now: float) -> None:
        node = self._node
        run = node.plan.runs.get(head.run)
        if run is None or run.first_grant != head.first_grant:
            return  # Of a run that is not known here yet, or of an earlier one of that name.
        if (run.problem.name, run.problem.version) != (head.problem, head.problem_version):
            return
        if node.plan.open_task(head.run, head.task) is not None:
            programs = programs_in(head.command, payload, head.problem, head.problem_version)
            if fit := [program for program in programs if program.fit]:
                node.foreman.fit((head.run, head.task), fit, now)
            elif programs:
                node.exchange.merging.came((head.run, head.task), programs)

    def _control_heard(self, sender: str, head: Control, payload: bytes, now: float) -> None:
        node = self._node
        match head.verb:
            case ControlVerb.INBOX:
                if node.term is not None:
                    node.term.desk.look_soon(now)
            case ControlVerb.VERIFY:
                self._verify(sender, head, payload, now)
            case ControlVerb.VERDICT:
                node.dispatch.verdicts.heard(sender, head.first_grant, verdict_in(head, payload), now)

    def _verify(self, sender: str, head: Control, genome: bytes, now: float) -> None:
        node = self._node
        entry = node.following.plan.runs.get(head.run or "")
        task = head.task or ""
        if entry is None or entry.first_grant != head.first_grant or task not in entry.tasks:
            return

        def has_run(run: Run | None, _reason: str, _now: float) -> None:
            if run is not None and node.dispatch.lacks(run) is None:
                node.verifier.look(run, task, genome, answer, sender)

        def answer(verdict: Verified, now: float) -> None:
            # Without a word, another is asked.
            if not verdict.is_missing:
                node.dispatch.send(sender, *verdict_message(verdict, head.first_grant), now)

        node.library.run(entry.object, has_run, now)
