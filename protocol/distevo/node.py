"""The node: everything that a member decides, as one state machine.

It has one mutating entry, `handle(event, now) -> list[Instruction]`, and `next_deadline()`. Time and the random
generator are passed in. The same events give the same instructions, always.

Every member *follows* the plan in force: it works on the islands that the plan gives it (`foreman`), writes
checkpoints of them (`keeper`), exchanges programs with the other islands of their tasks (`exchange`), merges what
these have found (`merging`), and tells the coordinator what rests until a plan shows that it was heard (`news`). It
judges who lives by what it hears (`members`, `routing`). When the lease seems free (`election`) it *loads* plan, inbox
and runs, and tries to *take* the lease (`office`); if it wins, it *coordinates* for a term (`coordinator`): it places
islands by what platforms are worth (`hosts`, `balance`, `placement`) and closes tasks (`closing`). `StopRequested` ends
it with a last checkpoint, a released lease and a goodbye; and so does a plan that has it drained, once nothing is left
here.
"""

from __future__ import annotations

import random
from functools import partial

from distevo.alarms import NEVER, Clock
from distevo.attic import Attic
from distevo.coordinator import Coordinator
from distevo.dispatch import Dispatch
from distevo.election import Election
from distevo.errors import LAST_WRITES_LOST, LocalProtocolError, ObjectError, kind_of
from distevo.events import (
    CheckpointFailed,
    CheckpointSaved,
    CheckpointWanted,
    DialFailed,
    Event,
    InboxChanged,
    IslandFailed,
    IslandReported,
    LinkClosed,
    LinkOpened,
    Malformed,
    OwnSubmission,
    ProblemMissing,
    Received,
    ResultEncoded,
    ResultUnencodable,
    StopRequested,
    StoreAnswer,
    Tick,
    Verified,
    WorkerDied,
    WorkerReady,
    WorkersFinished,
)
from distevo.exchange import Exchange
from distevo.farewell import Farewell
from distevo.following import Following
from distevo.foreman import Foreman
from distevo.handover import HandOver
from distevo.hearing import Hearing
from distevo.hosts import most_islands
from distevo.instructions import Exit, FinishWorkers, Instruction
from distevo.joining import Joining, says
from distevo.keeper import Keeper, Mark
from distevo.lease import RENEWALS_PER_TTL, InForce, Lease
from distevo.library import Library
from distevo.members import MemberTable, State
from distevo.merging import Merging
from distevo.names import CLUSTER
from distevo.news import News
from distevo.node_settings import NodeSettings
from distevo.office import Office
from distevo.outbox import Outbox
from distevo.phase import ENDED, ENDING, IN_OFFICE, PHASE_TABLE, Phase, Turning
from distevo.plan import MemberState, Plan
from distevo.pruning import is_over
from distevo.run import Run
from distevo.session import Session
from distevo.slots import Slots
from distevo.speech import member_of
from distevo.standing import Standing
from distevo.stopwatch import Stopwatch
from distevo.verifier import Verifier
from distevo.weighing import Weigher
from distevo.work import IslandWork

FINISH_SECONDS = 1.0
"""How long a stop waits for generations to end."""
# Asked after every event; bound once, since looking them up costs as much as a step of a table.
_WATCHING, _LOADING, _COORDINATING, _GONE = Phase.WATCHING, Phase.LOADING, Phase.COORDINATING, Phase.GONE


class Node:
    """One member's decisions."""

    def __init__(
        self,
        settings: NodeSettings,
        rng: random.Random,
        own_submissions: frozenset[str] = frozenset(),
        stopwatch: Stopwatch | None = None,
    ) -> None:
        """`stopwatch`: measures what merges cost."""
        self.settings = settings
        self.phase = _WATCHING
        self.owner = f"{settings.member}-{settings.boot}"
        self.now = 0.0
        """Time of the event that is being handled."""
        self._own_submissions = set(own_submissions)
        self._resource_usage: dict[str, float] = {}
        self.outbox = Outbox()
        self.attic = Attic(self.outbox)
        self.lease = Lease(
            settings.member,
            settings.boot,
            settings.lease_ttl,
            settings.swap_interval,
            rng,
            self.outbox,
            self.attic,
            self._put_in_force,
            lambda record: self.joining.is_predecessor(record),
        )
        self.following = Following(self.lease, self.outbox, self._follow)
        self.standing = Standing()
        self.table = MemberTable(
            settings.member, settings.boot, settings.heartbeat_interval, settings.heartbeat_timeout
        )
        self.keeper = Keeper(
            settings.member,
            settings.boot,
            settings.checkpoint_generations,
            settings.checkpoint_seconds,
            settings.checkpoint_least_seconds,
            self.outbox,
        )
        self.session = Session(
            settings.member,
            settings.boot,
            settings.session_limit,
            settings.heartbeat_timeout,
            self.keeper,
            self.outbox,
            self._inbox_changed,
        )
        self.slots = Slots(settings.workers, self.outbox)
        self.verifier = Verifier(self.slots, self.outbox)
        self.library = Library(self.outbox)
        self.hearing = Hearing(self)
        self.dispatch = Dispatch(self, self.hearing)
        self.joining = Joining(
            settings, self.lease, self.following, self.outbox, self.dispatch.inbox_changed, self.look_soon
        )
        self.news = News(self.dispatch.tell_fit, self.dispatch.tell)
        self.foreman = Foreman(
            self.owner,
            most_islands(says(settings)),
            self.slots,
            self.outbox,
            self.library,
            self.news,
            patience=settings.heartbeat_timeout,
            next_sequence=self.keeper.next_sequence,
            may_run=self.may_run,
            is_alive=self.is_alive,
            part=self._part,
            unbegun=self.dispatch.not_begun,
            refused=self.dispatch.refused,
            given_up=lambda island: self.exchange.let_go(island),
        )
        self.foreman.generated = partial(self.standing.own, settings.member)
        self.exchange = Exchange(
            self.owner,
            self.foreman,
            self.slots,
            self.outbox,
            self.dispatch.send_owner,
            Merging(settings, self.foreman, self.standing, self.news, self.dispatch.send, stopwatch or Stopwatch()),
        )
        self.handover = HandOver(self.dispatch.hand_over, self.foreman.handed)
        self.router = self.dispatch.router
        self.office = Office(self, Weigher(settings.shard, self.outbox))
        self.election = Election(
            settings.member,
            settings.boot,
            self.lease,
            self.table,
            rng,
            is_linked=self.router.is_linked,
            has_twin=self.joining.has_twin,
            ask=self.dispatch.ask,
            look=self.following.look,
            run=self.office.elected,
        )
        self.farewell = Farewell(
            self.keeper, self.lease, self.router, self._checkpoint, self.office.resign, self.dispatch.goodbye
        )
        self._clocks: tuple[Clock, ...] = (
            self.outbox.next_deadline,
            self.lease.next_deadline,
            self.table.next_deadline,
            *self.router.clocks,
            self.news.next_deadline,
            self.handover.next_deadline,
            *self.exchange.clocks,
            self.session.next_deadline,
            self.foreman.next_deadline,
        )
        self.outbox.answers_again = self.keeper.answers_again
        self._next_watch = self._watched_at = -NEVER
        self._is_probing = self._is_draining = False
        self._deadline = NEVER
        self.handled = 0
        """Events so far."""
        self.lag = 0.0
        """By how many seconds an event came late, at most, since that was last told."""

    def start(self, now: float) -> list[Instruction]:
        """Begin: workers first, since they take longest."""
        self.slots.start()
        self.session.begin(now)
        return self.handle(Tick(), now)

    def handle(self, event: Event, now: float) -> list[Instruction]:
        """Take one event in; returns what is to be done, in order."""
        if self.phase is _GONE:
            return []
        self.now = self.outbox.now = now
        self.handled += 1
        if now > self._deadline:
            self.lag = max(self.lag, now - self._deadline)
            self.table.lagged(now - self._deadline, now)
        deadline = now
        try:
            if type(event) is Tick:
                self._see_changes(now)
            else:
                self._dispatch(event, now)
                self._react(now)
                deadline = self._next_deadline()
            if deadline <= now:
                self._tick(now)
                self._react(now)
                deadline = self._next_deadline()
        except ObjectError as error:
            # Only `cluster` and the plan are read without a guard of their own: without them nothing can be decided.
            self.leave_with(kind_of(error), str(error))
            deadline = NEVER
        # What is due at once is not late yet.
        self._deadline = now if deadline < now else deadline
        return self.outbox.take()

    def next_deadline(self) -> float | None:
        """When a `Tick` is due, if no other event comes before."""
        return self._deadline if self._deadline < NEVER else None

    @property
    def term(self) -> Coordinator | None:
        """While this node coordinates, or tries to."""
        return self.office.term

    @property
    def plan(self) -> Plan:
        """The plan in hand while this node coordinates; else the one in force, as far as it knows."""
        return self.term.ledger.plan if self.term is not None else self.following.plan

    def outcome(self, name: str) -> str | None:
        """What came of an inbox object, once that is durable: `accepted`, or why not."""
        plan = self.following.plan
        if any(run.object == name for run in plan.runs.values()):
            return "accepted"
        return plan.handled.get(name)

    # --- events ----------------------------------------------------------------------------------

    def _dispatch(self, event: Event, now: float) -> None:
        match event:
            case StoreAnswer():
                if event.outcome.is_definite:
                    self.table.healthy(now)
                self.outbox.answered(event, now)
            case Received() | LinkOpened() | LinkClosed() | DialFailed() | Malformed():
                self.router.handle(event, now)
            case IslandReported():
                self._reported(event, now)
            case IslandFailed():
                self.foreman.failed(event.island, event.error, now)
            case ProblemMissing():
                self.foreman.missing(event)
            case Verified():
                self.verifier.verified(event, now)
            case WorkerReady():
                self.standing.pace.measured(event.yardstick)
                self.foreman.ready(event.slot, now)
                self.verifier.ready(event.slot)
            case WorkerDied():
                if self.phase not in ENDING:
                    self._worker_died(event, now)
            case CheckpointSaved():
                self._resource_usage = event.resource_usage
                self._saved(event.sequence, now)
            case CheckpointFailed():
                self.outbox.log("error", "a checkpoint could not be written; another follows", reason=event.reason)
                self.keeper.failed(event.sequence, event.reason, now)
                self.exchange.failed(event.sequence)
            case ResultEncoded() | ResultUnencodable():
                self.outbox.encoded(event, now)
            case CheckpointWanted():
                self.outbox.log("warning", "a checkpoint is made now", reason=event.reason)
                self.keeper.change(now)
            case InboxChanged():
                self._inbox_changed(now)
            case OwnSubmission():
                self._own_submissions.add(event.nonce)
            case StopRequested():
                self._stop(now)
            case WorkersFinished():
                if self.phase is Phase.FINISHING:
                    self.turn(Turning.FINISHED)

    def _reported(self, event: IslandReported, now: float) -> None:
        if self.foreman.reported(event, now):
            self.keeper.generation(event.island, now)
            work = self.foreman.islands.get(event.island)
            if work is not None:
                self.exchange.reported(work, event.evaluated, now)

    def _worker_died(self, event: WorkerDied, now: float) -> None:
        verdict = self.verifier.died(event, now)
        slot = self.slots.died(event.slot, event.cause.value, now, is_known=event.culprit is not None)
        self.verifier.elsewhere()
        # One that died before it said what it was at died of what it was given first.
        blamed = event.island or next(iter(slot.islands), None)
        if verdict is None:
            verdict = self.foreman.died(event, blamed, now)
        self.outbox.log(
            "warning",
            "a worker died and is replaced",
            slot=event.slot,
            cause=event.cause.value,
            island=str(blamed) if blamed else None,
            verdict=verdict,
        )

    def _saved(self, sequence: int, now: float) -> None:
        marks = self.keeper.saved(sequence, now)
        self.keeper.prune(self._grant_in_force)
        self.exchange.durable(sequence)
        self.handover.durable(marks)
        if self.term is not None:
            self.term.janitor.tidy()

    def _grant_in_force(self, mark: Mark) -> int | None:
        """The grant of an island, by the plan in force; None where nobody needs this state of it, durably so."""
        if is_over(self.following.plan, mark.island, mark.grant):
            return None
        return self.following.plan.runs[mark.island.run].tasks[mark.island.task].islands[mark.island.island].grant

    def _inbox_changed(self, now: float) -> None:
        if self.phase is _COORDINATING and self.term is not None:
            self.term.desk.look(now)
        else:
            self.office.has_mail = True
            self.dispatch.inbox_changed(now)

    # --- time ------------------------------------------------------------------------------------

    def _see_changes(self, now: float) -> None:
        for member, state in self.table.tick(now):
            self.hearing.changed(member, state, now)

    def _react(self, now: float) -> None:
        """Do what follows from any event: of members that changed, and of a lease that was lost or seems free."""
        self._see_changes(now)
        if self.lease.is_lost and self.phase in IN_OFFICE:
            self.office.lose(now)
        if self.phase is _LOADING:
            self.office.outdone(now)
        if self.phase is _WATCHING and self.following.has_looked:
            self.election.consider(now)
        if self._is_draining and self.foreman.is_empty and self.phase not in ENDED:
            self.outbox.log("info", "drained: nothing is left here, so this platform leaves")
            self._stop(now)

    def _tick(self, now: float) -> None:
        """Do what is due."""
        self.outbox.tick(now)
        if self.phase is _COORDINATING and self.term is not None:
            # Before the lease, so that what was decided now goes with the write that is due.
            self.term.tick(now)
            self.dispatch.verdicts.tick(now)
        self.lease.tick(now)
        self.dispatch.beat(now)
        self.router.tick(now)
        if self.phase in ENDING:
            self._end(now)
        elif self._watches and now >= self._next_watch:
            self._watched_at, self._next_watch = now, now + self.settings.lease_ttl / RENEWALS_PER_TTL
            self.following.look(now, self._watched)
        self.news.tick(now)
        self.handover.tick(now)
        self.exchange.tick(now)
        self.session.tick(now, self.following.plan)
        self.foreman.tick(now)
        if now >= self.keeper.due() and self.phase not in ENDING:
            self._checkpoint(now)

    def _next_deadline(self) -> float:
        if self.phase is _GONE:
            return NEVER
        # Asked after every event: hence the plain loop.
        deadline = NEVER
        for ask in self._clocks:
            at = ask()
            if at < deadline:
                deadline = at
        if self.phase in ENDING:
            return min(deadline, self.farewell.next_deadline(self.phase is Phase.LEAVING))
        due = self.keeper.due()
        if due < deadline:
            deadline = due
        if self._next_watch < deadline and self._watches:
            deadline = self._next_watch
        if self.phase is _WATCHING:
            deadline = min(deadline, self.election.next_deadline())
        elif (term := self.office.term) is not None:
            deadline = min(deadline, term.next_deadline(), self.dispatch.verdicts.next_deadline())
        return deadline

    def probe(self) -> None:
        """Somebody is suspect: an answer of the store shows that it is not this node that is cut off."""
        if self._is_probing:
            return
        self._is_probing = True

        def answered(_answer: StoreAnswer, _now: float) -> None:
            self._is_probing = False

        self.outbox.read(CLUSTER, answered)

    # --- following -------------------------------------------------------------------------------

    def _put_in_force(self, in_force: InForce, now: float) -> None:
        """A swap of ours has put a plan in force."""
        self.following.told(in_force, now)
        if self.term is not None:
            self.term.follow(in_force)
        self.dispatch.hint(in_force, now)

    def _follow(self, in_force: InForce, now: float) -> None:
        """A plan is in force."""
        plan = in_force.plan
        refusal = self.joining.follow(plan, now)
        if refusal:
            self.leave_with("refused", refusal)
            return
        self._is_draining = self.joining.is_draining(plan)
        self.dispatch.follow(plan, now)
        self.election.follow(plan)
        self.standing.follow(plan)
        self.news.follow(plan)
        if self.phase not in ENDING:
            self.foreman.follow(in_force.outline, now)
            self.handover.keep(self.foreman.islands)
            if self._is_draining:
                self.handover.leave()
        self.exchange.follow(plan, now)
        self.library.keep({run.object for run in plan.runs.values() if not run.state.is_final})
        self.keeper.prune(self._grant_in_force)
        if self.phase is _WATCHING:
            self.joining.announce(now)

    @property
    def _watches(self) -> bool:
        """Whether another may come to hold the lease: always, but while this member holds it or is swapping. A store
        that lets it neither load nor write a plan may serve others well."""
        if self.phase is _WATCHING or self.phase is _LOADING:
            return True
        return self.lease.is_planning and not self.lease.is_held and self.phase in IN_OFFICE

    def _watched(self, now: float) -> None:
        if self.phase is _WATCHING:
            self.joining.announce(now)

    def look_at_once(self, now: float) -> None:
        """Look at `cluster` with the next step: who holds the lease is not known."""
        self._next_watch = now

    def look_soon(self, now: float) -> None:
        """Somebody knows a newer plan, or the holder is going."""
        if self.phase is _WATCHING:
            # No more often than a plan can be written; what is hinted at meanwhile is looked at then, and not missed.
            soonest = max(now, self._watched_at + self.settings.swap_interval)
            self._next_watch = min(self._next_watch, soonest)

    def is_alive(self, owner: str) -> bool:
        """Whether the member of which this is a boot is alive, as far as is known here."""
        name = member_of(owner)
        member = self.following.plan.members.get(name)
        if member is None or member.owner(name) != owner or member.state is not MemberState.ALIVE:
            return False
        return owner == self.owner or self.table.state(name) in {State.ALIVE, State.SUSPECT, None}

    def _part(self, work: IslandWork, owner: str) -> None:
        self.keeper.change(self.now)
        self.exchange.let_go(work.id)
        self.handover.part(work.id, work.state, owner, self.now)

    # --- leaving ---------------------------------------------------------------------------------

    def _stop(self, now: float) -> None:
        if self.phase in ENDING:
            return
        self.turn(Turning.STOP)
        self.foreman.is_working = False
        if self.term is not None:
            self.term.close()
        self.session.end()
        self.farewell.begin(now)
        self.outbox.emit(FinishWorkers(FINISH_SECONDS))

    def _end(self, now: float) -> None:
        if self.farewell.is_late(now):
            self.turn(Turning.OUT_OF_TIME)
            self.outbox.emit(Exit(LAST_WRITES_LOST, "store_unavailable"))
        elif self.phase is Phase.LEAVING and self.farewell.go_on(now):
            self.turn(Turning.PARTED)
            self.outbox.emit(Exit("", ""))

    def leave_with(self, kind: str, reason: str) -> None:
        """Nothing can be decided any more: end, and say why."""
        if self.phase is not _GONE:
            self.turn(Turning.FAULT)
            self.outbox.emit(Exit(reason, kind))

    # --- helpers ---------------------------------------------------------------------------------

    def turn(self, turning: Turning) -> None:
        """Go on to the next phase of its life."""
        self.phase = PHASE_TABLE.step(self.phase, turning)

    def _checkpoint(self, now: float) -> None:
        record = self.lease.record
        cluster = record.cluster if record else ""
        handed = self.foreman.handed_on
        sequence = self.keeper.save(cluster, self.foreman.snapshots(), self._resource_usage, now, handed)
        self.exchange.saving(sequence, self.keeper.on_its_way)

    def may_run(self, run: Run) -> str | None:
        """Why this platform may not work on a run, or None."""
        allowed = self.settings.allow_problems
        if allowed == "none":
            if run.problem.reference in self.settings.built_in:
                return None
            return "this platform runs only the problems that ship with it: start it without --allow-problems none"
        if run.problem.source is None or allowed == "store" or run.nonce in self._own_submissions:
            return None
        return "its problem is a file submitted elsewhere: start this platform with --allow-problems store to run it"

    def validate(self) -> None:
        """Raises LocalProtocolError when what the node holds contradicts itself."""
        self.foreman.validate()
        self.exchange.merging.validate()
        if (self.term is not None) != (self.phase in IN_OFFICE or self._has_term_left()):
            raise LocalProtocolError(f"a term in phase {self.phase.value}, or none")

    def _has_term_left(self) -> bool:
        return self.phase in ENDED and self.term is not None
