"""Dispatch: between the router and the rest of the node. It words what is said, and passes on what is heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from distevo.checkpoint import IslandSnapshot
from distevo.codec import MAX_PAYLOAD_BYTES
from distevo.contact import FAR, FULL_MESH, wished
from distevo.errors import CheckpointMalformed, ObjectError, RemoteProtocolError
from distevo.events import IslandId, TaskId, Verified
from distevo.instructions import Admit
from distevo.lease import InForce
from distevo.listener import Delivery
from distevo.members import State
from distevo.messages import (
    MAX_ISLANDS,
    VERSION,
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
from distevo.news import FitTask, Report
from distevo.outline import outline_of
from distevo.path import Path, PathKind
from distevo.plan import MemberState, Plan, encode_plan
from distevo.routing import Router
from distevo.run import Run
from distevo.speech import (
    fit_message,
    hand_over_message,
    heartbeat,
    member_of,
    plan_hint,
    programs_in,
    report_in,
    report_messages,
    states_in,
    verdict_in,
    verdict_message,
)
from distevo.strangers import WAITS_SECONDS, Strangers
from distevo.verdicts import Verdicts

if TYPE_CHECKING:
    from distevo.node import Node

COMPLAINT_SECONDS = 10.0
"""Of what one member complains of, or is wrong with, for one reason, one line is logged in so long."""
RELAY_INTERVALS = 1.5
"""A relay that was not heard for so many heartbeat intervals may be why those behind it are silent."""

_CODES = frozenset(Code)


class Dispatch:
    """The node's mouth and ears; it decides nothing. It is the router's listener."""

    def __init__(self, node: Node) -> None:
        self._node = node
        settings = node.settings
        self._member, self._boot = settings.member, settings.boot
        self._mail_interval = settings.mail_interval
        self.router = Router(
            settings.member,
            settings.boot,
            settings.key,
            node.outbox,
            settings.heartbeat_interval,
            settings.mail_interval,
            self._hello,
            self._welcome,
            self,
            is_dialable=bool(settings.endpoints),
        )
        self.verdicts = Verdicts(
            node.verifier, self._lacks, self._able, self.send, lambda run: node.plan.runs[run].first_grant
        )
        self._coordinator, self._epoch = "", 0
        self._denied: frozenset[str] | None = None
        """Who was last kept out; None as long as nobody was let in."""
        self._strangers = Strangers()
        self._logged_at: dict[tuple[str, str, int], float] = {}
        """When a line was last logged of (what happened, a member, its code)."""

    # --- what is said ----------------------------------------------------------------------------

    def send_owner(self, owner: str, head: Head, payload: bytes) -> None:
        """Send to an owner; what is for an island that has come here meanwhile is taken in at once."""
        node = self._node
        if owner != node.owner:
            self.send(member_of(owner), head, payload, self._node.now)
        elif isinstance(head, Migrants):
            node.exchange.arrived(owner, head, payload)
        elif isinstance(head, MigrantsAck):
            node.exchange.migration.acked(head, owner, self._node.now)

    def send(self, to: str, head: Head, payload: bytes, now: float) -> Path | None:
        """Send to a member, by the best path there is."""
        if to == self._member:
            return None
        return self.router.send(to, head, payload, now)

    def tell_fit(self, task: TaskId, fit: FitTask) -> None:
        """Tell the coordinator, and whoever works on the task, that it is fit."""
        term = self._node.term
        if term is not None:
            term.fit(task, list(fit.programs.values()), self._node.now)
        head, payload = fit_message(task, fit)
        for to in self._concerned(task):
            self.send(to, head, payload, self._node.now)

    def _concerned(self, task: TaskId) -> list[str]:
        run = self._node.following.plan.runs.get(task[0])
        entry = run.tasks.get(task[1]) if run is not None else None
        owners = [member_of(place.owner) for place in entry.islands if place.owner] if entry is not None else []
        return list(dict.fromkeys(owner for owner in (self._coordinator, *owners) if owner))

    def tell(self, report: Report) -> None:
        """Tell the coordinator of islands that rest."""
        node = self._node
        if node.term is not None:
            node.term.report(node.owner, report, self._node.now)
        elif self._coordinator:
            for head, payload in report_messages(report, self._member, self._boot):
                self.send(self._coordinator, head, payload, self._node.now)

    def hand_over(self, owner: str, snapshot: IslandSnapshot) -> None:
        """Send an island to its new owner; what is too large for a message, that takes from the store."""
        try:
            head, payload = hand_over_message(snapshot, self._member, self._boot)
        except CheckpointMalformed:
            return
        if len(payload) <= MAX_PAYLOAD_BYTES:
            self.send_owner(owner, head, payload)

    def not_begun(self, owner: str, islands: list[IslandId]) -> None:
        """Tell a new owner that there is no state to wait for."""
        plan = self._node.following.plan
        for start in range(0, len(islands), MAX_ISLANDS):
            empty = [
                (*island, plan.runs[island.run].tasks[island.task].islands[island.island].grant)
                for island in islands[start : start + MAX_ISLANDS]
            ]
            self.send_owner(owner, PopulationState(kind=PopulationKind.HAND_OVER, empty=empty), b"")

    def ask(self, member: str, vote: PreVote) -> None:
        """Ask a member whether it hears the holder."""
        self.send(member, vote, b"", self._node.now)

    def hint(self, in_force: InForce, now: float) -> None:
        """Tell all that a plan is in force."""
        head = plan_hint(in_force)
        for name, member in in_force.plan.members.items():
            if member.state is MemberState.ALIVE:
                self.send(name, head, b"", now)

    def inbox_changed(self, now: float) -> None:
        """Tell the coordinator that the inbox holds something new."""
        if self._coordinator:
            self.send(self._coordinator, Control(verb=ControlVerb.INBOX), b"", now)

    def goodbye(self, now: float) -> None:
        """Tell all that we leave."""
        for name in self.router.peers():
            self.send(name, Goodbye(reason="stopped"), b"", now)

    def refused(self) -> None:
        """This platform cannot work on a run that it was given: say so at once."""
        if self._node.term is not None:
            self._node.term.refused()
        elif self._coordinator:
            self._beat([self._coordinator], self._node.now)

    def beat(self, now: float) -> None:
        """Send the heartbeats that are owed."""
        due = self.router.due_heartbeats(now)
        if due:
            members = self._node.following.plan.members
            # Nobody speaks to the dead for a day. Whoever is called so and lives speaks itself, and is heard.
            dead = {name for name in due if name in members and members[name].state is MemberState.DEAD}
            to = [name for name in due if name not in dead or self.router.is_linked(name)]
            if to:
                self._beat(to, now)

    def _beat(self, to: list[str], now: float, is_answer: bool = False) -> None:
        """Send heartbeats. One that takes the place of another in a box of mail has its wishes, too."""
        head = self._heartbeat(is_answer)
        wishes = self._node.exchange.merging.wishes(to, self.router.has_unsent_beat, now)
        # By mail the next comes with the next box, or over a link that takes its place.
        by_mail = msgspec.structs.replace(head, interval=max(head.interval, self._mail_interval))
        for name in to:
            said = by_mail if self.router.path(name).kind is PathKind.MAIL else head
            self.send(name, msgspec.structs.replace(said, wishes=wishes[name]) if name in wishes else said, b"", now)

    def _heartbeat(self, is_answer: bool) -> Heartbeat:
        node = self._node
        lag, node.lag = node.lag, 0.0
        return heartbeat(
            node.foreman,
            node.slots,
            incarnation=node.table.incarnation,
            progress=node.handled,
            interval=node.settings.heartbeat_interval,
            epoch=node.following.plan.epoch,
            version=node.following.plan.version,
            suspects={} if is_answer else node.table.suspects(),
            lag=round(lag, 3),
            **node.standing.pace.told(node.now),
        )

    def _hello(self) -> Hello:
        node = self._node
        return Hello(
            versions=[VERSION],
            cluster=self._cluster(),
            member=self._member,
            boot=self._boot,
            incarnation=node.table.incarnation,
            heartbeat_interval=node.settings.heartbeat_interval,
        )

    def _welcome(self, version: int) -> Welcome:
        node = self._node
        return Welcome(
            version=version,
            cluster=self._cluster(),
            member=self._member,
            boot=self._boot,
            incarnation=node.table.incarnation,
            heartbeat_interval=node.settings.heartbeat_interval,
        )

    def _cluster(self) -> str:
        record = self._node.lease.record
        return record.cluster if record is not None else ""

    def _lacks(self, run: Run) -> str | None:
        """Why programs of a run cannot be evaluated here, as far as that is known; None if they can."""
        return self._node.may_run(run) or self._node.foreman.refused.get(run.name)

    def _able(self, run: str, task: str) -> list[str]:
        """Members that can work on a run, those that work on the task first."""
        plan, standing = self._node.plan, self._node.standing
        entry = plan.runs[run].tasks[task]
        first = [member_of(place.owner) for place in entry.islands if place.owner]
        return [
            name
            for name in dict.fromkeys([*first, *plan.members])
            if name != self._member
            and name in plan.members
            and plan.members[name].state is MemberState.ALIVE
            and run not in standing.refusals.get(name, {})
        ]

    # --- the plan --------------------------------------------------------------------------------

    def follow(self, plan: Plan, now: float) -> None:
        """A plan is in force: who there is, and who coordinates."""
        node = self._node
        record = node.lease.record
        holder = record.holder if record is not None else ""
        contacts = node.following.outline.contacts(holder)
        me = contacts.pop(self._member, None)
        if peers := node.settings.peers:
            contacts = {name: contact.also_at(peers) for name, contact in contacts.items()}
        rank = me.rank if me is not None else FAR
        # A smaller cluster is linked throughout.
        partners = node.following.outline.partners(node.owner) if len(contacts) >= FULL_MESH else ()
        wanted = {member_of(owner) for owner in partners}
        # In a large cluster most members never speak to each other: who is not expected to, is not missed.
        expected = wished(self._member, rank, contacts, wanted)
        linked = {name: contacts[name] for name in self.router.links() if name in contacts}
        heard = {name: contact.boot for name, contact in (expected | linked).items()}
        new = [name for name in heard if node.table.state(name) is None]
        if self._denied != (denied := frozenset(plan.denied)):
            self._denied = denied
            node.outbox.emit(Admit(denied))
        node.table.follow(heard, now)
        self.router.follow(contacts, plan.denied, self._cluster(), now, rank, is_known=node.joining.is_in(plan))
        self.router.want(wanted, now)
        self.grace(new, now)
        if (holder, plan.epoch) != (self._coordinator, self._epoch):
            self._coordinator, self._epoch = holder, plan.epoch
            node.news.begin(now)

    def grace(self, members: list[str], now: float) -> None:
        """Give those who are not linked as much time to be heard as mail may take."""
        behind = [name for name in members if not self.router.is_linked(name)]
        self._node.table.grace(behind, now, self._mail_interval)

    # --- the router's listener -------------------------------------------------------------------

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
            self.inbox_changed(now)

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
            self.router.refuse(delivery, error.code, str(error), now)

    def _complain(self, what: str, member: str, code: int, reason: str, now: float) -> None:
        """Log it, unless that member has just filled a line with the same."""
        kind = what, member, code if code in _CODES else 0
        if now >= self._logged_at.get(kind, -COMPLAINT_SECONDS) + COMPLAINT_SECONDS:
            self._logged_at[kind] = now
            self._node.outbox.log("warning", what, member=member, code=code, reason=reason)

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
            self._beat([member], now)
            return
        if state is State.DEAD:
            self.router.hang_up(member, now)
        if state in {State.DEAD, State.LEFT}:
            node.foreman.somebody_is_gone(now)
        if node.term is not None:
            node.term.settle(member, node.table.boot_of(member) or "", MemberState(state.value), now)

    def _doubt_relay(self, member: str, now: float) -> None:
        """A lost relay closes no link, and whoever was heard through it falls silent before it does: it is the relay
        that is doubted then, once, and the others have the time that another path takes."""
        relay, table = self.router.relay(member), self._node.table
        if relay is None or table.state(relay) is None:
            return
        if table.silence(relay, now) > RELAY_INTERVALS * self._node.settings.heartbeat_interval:
            self.grace(self.router.give_up(relay, now), now)

    # --- what is heard ---------------------------------------------------------------------------

    def _act(self, delivery: Delivery, head: Head, now: float) -> None:
        node, sender, payload = self._node, delivery.sender, delivery.payload
        owner = f"{sender}-{delivery.boot}"
        match head:
            case Heartbeat():
                self._heartbeat_heard(delivery, head, now)
            case Goodbye():
                node.table.left(sender, delivery.boot)
                if sender == self._coordinator:
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
                    self.send(sender, node.election.answer(head, now), b"", now)
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
            self._beat([sender], now, is_answer=True)

    def _plan_heard(self, delivery: Delivery, head: PlanHint, now: float) -> None:
        """A hint, unless the store is away and the holder itself sends the plan, over its own link."""
        node, sender, payload = self._node, delivery.sender, delivery.payload
        following = node.following
        if head.is_wanted:
            if node.lease.is_held and following.version > (head.epoch, head.version):
                answer = PlanHint(epoch=following.plan.epoch, version=following.plan.version, name=following.name)
                self.send(sender, answer, encode_plan(following.plan), now)
            return
        if (head.epoch, head.version) <= following.version:
            return
        if payload and self._is_holder(delivery) and following.is_blind(now):
            try:
                outline = outline_of(payload)
            except ObjectError as error:
                raise RemoteProtocolError(Code.MALFORMED, f"PLAN: {error}") from error
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
            self.send(delivery.sender, wish, b"", now)
        else:
            self._node.look_soon(now)

    def _states_heard(self, owner: str, head: PopulationState, payload: bytes, now: float) -> None:
        node = self._node
        if head.kind is PopulationKind.HAND_OVER:
            for snapshot in states_in(payload):
                node.foreman.handed_over(owner, snapshot, now)
            for run, task, island, grant in head.empty:
                node.foreman.not_begun(owner, IslandId(run, task, island), grant, now)
        elif node.term is not None:
            node.term.report(owner, report_in(head, payload), now)

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
                self.verdicts.heard(sender, head.first_grant, verdict_in(head, payload), now)

    def _verify(self, sender: str, head: Control, genome: bytes, now: float) -> None:
        node = self._node
        entry = node.following.plan.runs.get(head.run or "")
        task = head.task or ""
        if entry is None or entry.first_grant != head.first_grant or task not in entry.tasks:
            return

        def has_run(run: Run | None, _reason: str, _now: float) -> None:
            if run is not None and self._lacks(run) is None:
                node.verifier.look(run, task, genome, answer, sender)

        def answer(verdict: Verified, now: float) -> None:
            # Without a word, another is asked.
            if not verdict.is_missing:
                self.send(sender, *verdict_message(verdict, head.first_grant), now)

        node.library.run(entry.object, has_run, now)
