"""Dispatch: what the node says to others, and to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from distevo.checkpoint import IslandSnapshot
from distevo.contact import FAR, FULL_MESH, wished
from distevo.errors import CheckpointMalformed
from distevo.events import IslandId, TaskId
from distevo.instructions import Admit
from distevo.lease import InForce
from distevo.listener import Listener
from distevo.messages import (
    MAX_ISLANDS,
    VERSION,
    Control,
    ControlVerb,
    Goodbye,
    Head,
    Heartbeat,
    Hello,
    IslandRef,
    Migrants,
    MigrantsAck,
    PopulationKind,
    PopulationState,
    PreVote,
    Welcome,
)
from distevo.news import FitTask, Report
from distevo.path import Path, PathKind
from distevo.plan import MemberState, Plan
from distevo.routing import Router
from distevo.run import Run
from distevo.speech import (
    fit_message,
    hand_over_message,
    heartbeat,
    is_tellable,
    member_of,
    plan_hint,
    report_messages,
)
from distevo.verdicts import Verdicts

if TYPE_CHECKING:
    from distevo.node import Node


class Dispatch:
    """The node's mouth: it words what is said, and decides nothing."""

    def __init__(self, node: Node, listener: Listener) -> None:
        """`listener`: who hears what the router has for this node."""
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
            listener,
            is_dialable=bool(settings.endpoints),
        )
        self.verdicts = Verdicts(
            node.verifier, self.lacks, self._able, self.send, lambda run: node.plan.runs[run].first_grant
        )
        self.coordinator, self._epoch = "", 0
        """Who holds the lease by the plan in force, and that plan's epoch."""
        self._denied: frozenset[str] | None = None
        """Who was last kept out; None as long as nobody was let in."""

    # --- messages --------------------------------------------------------------------------------

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
        return list(dict.fromkeys(owner for owner in (self.coordinator, *owners) if owner))

    def tell(self, report: Report) -> None:
        """Tell the coordinator of islands that rest."""
        node = self._node
        if node.term is not None:
            node.term.report(node.owner, report, self._node.now)
        elif self.coordinator:
            for head, payload in report_messages(report, self._member, self._boot):
                self.send(self.coordinator, head, payload, self._node.now)

    def hand_over(self, owner: str, snapshot: IslandSnapshot) -> None:
        """Send an island to its new owner; what is too large for a message, that takes from the store."""
        if not is_tellable(snapshot):
            return
        try:
            head, payload = hand_over_message(snapshot, self._member, self._boot)
        except CheckpointMalformed:
            return  # It goes into no checkpoint either, which is told there.
        self.send_owner(owner, head, payload)

    def not_begun(self, owner: str, islands: list[IslandId]) -> None:
        """Tell a new owner that there is no state to wait for."""
        plan = self._node.following.plan
        for start in range(0, len(islands), MAX_ISLANDS):
            empty = [
                IslandRef(*island, plan.runs[island.run].tasks[island.task].islands[island.island].grant)
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
        if self.coordinator:
            self.send(self.coordinator, Control(verb=ControlVerb.INBOX), b"", now)

    def goodbye(self, now: float) -> None:
        """Tell all that we leave."""
        for name in self.router.peers():
            self.send(name, Goodbye(reason="stopped"), b"", now)

    def refused(self) -> None:
        """This platform cannot work on a run that it was given: say so at once."""
        if self._node.term is not None:
            self._node.term.refused()
        elif self.coordinator:
            self.beat_to([self.coordinator], self._node.now)

    # --- heartbeats and greetings ----------------------------------------------------------------

    def beat(self, now: float) -> None:
        """Send the heartbeats that are owed."""
        due = self.router.due_heartbeats(now)
        if due:
            members = self._node.following.plan.members
            # Nobody speaks to the dead for a day. Whoever is called so and lives speaks itself, and is heard.
            dead = {name for name in due if name in members and members[name].state is MemberState.DEAD}
            to = [name for name in due if name not in dead or self.router.is_linked(name)]
            if to:
                self.beat_to(to, now)

    def beat_to(self, to: list[str], now: float, is_answer: bool = False) -> None:
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

    # --- who can work on a run -------------------------------------------------------------------

    def lacks(self, run: Run) -> str | None:
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
        if (holder, plan.epoch) != (self.coordinator, self._epoch):
            self.coordinator, self._epoch = holder, plan.epoch
            node.news.begin(now)

    def grace(self, members: list[str], now: float) -> None:
        """Give those who are not linked as much time to be heard as mail may take."""
        behind = [name for name in members if not self.router.is_linked(name)]
        self._node.table.grace(behind, now, self._mail_interval)
