"""The node: everything that a platform decides, as one state machine.

It has one mutating entry, `handle(event, now) -> list[Instruction]`, and `next_deadline()`. Time and the random
generator are passed in. The same events give the same instructions, always.

Its life: it *watches* the object `cluster`; when it may take the lease it *loads* plan, runs and checkpoints,
*takes* the lease with a plan that already holds what waited in the inbox, and *works*: the foreman puts tasks
into the workers' slots, closes them and names their results; the desk takes in what is submitted and commanded;
the keeper says when a checkpoint is due. `StopRequested` ends it with a last checkpoint and a released lease.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import Enum
from functools import partial

import msgspec

from distevo.attic import Attic
from distevo.checkpoint import IslandSnapshot
from distevo.desk import Desk
from distevo.errors import ObjectError, ObjectVersionError, kind_of
from distevo.events import (
    CheckpointFailed,
    CheckpointSaved,
    Event,
    InboxChanged,
    IslandFailed,
    IslandReported,
    OwnSubmission,
    ProblemMissing,
    StopRequested,
    StoreAnswer,
    Tick,
    Verified,
    WorkerDied,
    WorkerReady,
    WorkersFinished,
)
from distevo.foreman import Foreman
from distevo.instructions import Exit, FinishWorkers, Instruction
from distevo.keeper import Keeper
from distevo.lease import RENEWALS_PER_TTL, Lease
from distevo.ledger import Ledger
from distevo.loading import Loaded, Loading
from distevo.orders import Orders
from distevo.outbox import Outbox
from distevo.plan import MemberPlan
from distevo.run import Run, decode_run
from distevo.slots import Slots

FINISH_SECONDS = 1.0
"""How long a stop waits for generations to end."""
STOP_SECONDS = 4.0
"""How long a stop takes at most: with the store away it ends without its last checkpoint, from the one before."""


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the node has to know of its platform. Times are in seconds."""

    member: str
    boot: str
    kind: str
    workers: int
    memory_mb: int
    batch_size: int
    allow_problems: str = "own"
    built_in: frozenset[str] = frozenset()
    """References of the problems that ship with the daemon."""
    lease_ttl: float = 15.0
    swap_interval: float = 1.2
    checkpoint_generations: int = 5
    checkpoint_seconds: float = 5.0
    checkpoint_least_seconds: float = 1.0


class Phase(Enum):
    """Where the node is in its life."""

    WATCHING = "watching"
    LOADING = "loading"
    TAKING = "taking"
    WORKING = "working"
    FINISHING = "finishing"
    LEAVING = "leaving"
    GONE = "gone"


class Node:
    """One platform's decisions."""

    def __init__(
        self, settings: NodeSettings, rng: random.Random, own_submissions: frozenset[str] = frozenset()
    ) -> None:
        self.settings = settings
        self.phase = Phase.WATCHING
        self._resource_usage: dict[str, float] = {}
        self._own_submissions = set(own_submissions)
        self._outbox = Outbox()
        self._attic = Attic(self._outbox)
        self.lease = Lease(
            settings.member, settings.boot, settings.lease_ttl, settings.swap_interval, rng, self._outbox, self._attic
        )
        self.slots = Slots(settings.workers, self._outbox)
        self.keeper = Keeper(
            settings.member,
            settings.boot,
            settings.checkpoint_generations,
            settings.checkpoint_seconds,
            settings.checkpoint_least_seconds,
            self._outbox,
        )
        self.ledger = Ledger(f"{settings.member}-{settings.boot}", self._may_run)
        self.foreman = Foreman(self.ledger, self.slots, self._outbox, self._publish, self.keeper.next_sequence)
        orders = Orders(self.ledger, self.foreman, self._outbox, self._publish)
        self.desk = Desk(self.ledger, orders, self._outbox, self._publish)
        self._next_watch = -float("inf")
        self._leave_by = float("inf")
        self._has_mail = False
        self._was_working = self._has_parted = self._is_released = False

    def start(self, now: float) -> list[Instruction]:
        """Begin: workers first, since they take longest."""
        self.slots.start()
        return self.handle(Tick(), now)

    def handle(self, event: Event, now: float) -> list[Instruction]:
        """Take one event in; returns what is to be done, in order."""
        if self.phase is Phase.GONE:
            return []
        try:
            self._dispatch(event, now)
            self._tick(now)
        except ObjectError as error:
            # Only `cluster` itself is read without a guard of its own: without it nothing can be decided.
            self._exit(kind_of(error), str(error))
        return self._outbox.take()

    def next_deadline(self) -> float | None:
        """When a `Tick` is due, if no other event comes before."""
        deadlines = [self._outbox.next_deadline(), self.lease.next_deadline()]
        if self.phase is Phase.WORKING:
            deadlines += [self.keeper.due(), self.desk.next_deadline(), self._attic.next_deadline()]
        if self.phase is Phase.WATCHING:
            deadlines.append(self._next_watch)
        if self.phase in {Phase.FINISHING, Phase.LEAVING}:
            deadlines.append(self._leave_by)
        if self.phase is Phase.LEAVING and self._was_working:
            deadlines.append(self.keeper.due())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    # --- events ----------------------------------------------------------------------------------

    def _dispatch(self, event: Event, now: float) -> None:
        match event:
            case StoreAnswer():
                self._outbox.answered(event, now)
            case IslandReported():
                if self.foreman.reported(event, now):
                    self.keeper.generation(event.island, now)
            case IslandFailed():
                self.foreman.failed(event)
            case ProblemMissing():
                self.foreman.missing(event)
            case Verified():
                self.foreman.closing.verified(event)
            case WorkerReady():
                self.foreman.ready(event.slot)
            case WorkerDied():
                if self.phase not in {Phase.FINISHING, Phase.LEAVING}:
                    self.foreman.died(event, now)
            case CheckpointSaved():
                self._resource_usage = event.resource_usage
                self.keeper.saved(event.sequence, now)
                self.keeper.prune(self.ledger.needed_grant)
            case CheckpointFailed():
                self._outbox.log("error", "a checkpoint could not be written; another follows", reason=event.reason)
                self.keeper.failed(event.sequence, now)
            case InboxChanged():
                if self.phase is Phase.WORKING:
                    self.desk.look(now)
                else:
                    self._has_mail = True
            case OwnSubmission():
                self._own_submissions.add(event.nonce)
            case StopRequested():
                self._stop(now)
            case WorkersFinished():
                self._leave(now)
            case Tick():
                pass

    def _tick(self, now: float) -> None:
        self._outbox.tick(now)
        self.lease.tick(now)
        if self.phase in {Phase.TAKING, Phase.WORKING} and self.lease.is_lost:
            self.foreman.abandon()
            self.desk.is_open = False
            self.phase, self._next_watch = Phase.WATCHING, now
        if self.phase is Phase.WATCHING and now >= self._next_watch:
            self._next_watch = now + self.settings.lease_ttl / RENEWALS_PER_TTL
            self.lease.watch(now, self._watched)
        elif self.phase is Phase.WORKING:
            self._work(now)
        elif self.phase in {Phase.FINISHING, Phase.LEAVING} and now >= self._leave_by:
            self._exit(
                "store_unavailable",
                "the store did not take the last checkpoint or the release in time; what it took before stands",
            )
        elif self.phase is Phase.LEAVING:
            self._part(now)

    def _work(self, now: float) -> None:
        self.desk.tick(now)
        self._attic.tick(now)
        due = self.keeper.due()
        if due is not None and now >= due:
            self._checkpoint(now)

    # --- taking the lease ------------------------------------------------------------------------

    def _watched(self, now: float) -> None:
        if self.phase is Phase.WATCHING and self.lease.may_take(now):
            self.phase = Phase.LOADING
            record = self.lease.record
            Loading(record.plan if record else None, self._outbox, self._loaded, self._exit)

    def _loaded(self, loaded: Loaded, now: float) -> None:
        if self.phase is not Phase.LOADING:
            return
        self.phase = Phase.TAKING
        plan = loaded.plan
        settings = self.settings
        plan.members[settings.member] = MemberPlan(
            boot=settings.boot,
            kind=settings.kind,
            workers=settings.workers,
            memory_mb=settings.memory_mb,
            batch_size=settings.batch_size,
        )
        self._load_runs(loaded)
        self.foreman.load(loaded.snapshots())
        for name in loaded.old_plans:
            self._attic.put(name, now)
        for name, checkpoint in loaded.checkpoints.items():
            self.keeper.found(name, checkpoint.islands)
        fresh = [name for name in loaded.objects if name not in {run.object for run in plan.runs.values()}]
        taken = [name for name in fresh if self.desk.take_in(name, loaded.objects[name])]
        self.lease.take(plan, now, partial(self._won, taken))

    def _load_runs(self, loaded: Loaded) -> None:
        runs: dict[str, Run] = {}
        useless: dict[str, str] = {}
        newer: dict[str, str] = {}
        for name, run in loaded.plan.runs.items():
            if run.object in loaded.objects:
                try:
                    runs[name] = decode_run(loaded.objects[run.object])
                except ObjectVersionError as error:
                    newer[name] = str(error)
                except ObjectError as error:
                    useless[name] = str(error)
            elif not run.state.is_over:
                useless[name] = "is missing from the store"
        self.ledger.load(loaded.plan, runs)
        for name, reason in newer.items():
            # Not damage: the run waits for a platform that can read it.
            loaded.plan.runs[name].note = reason
            self._outbox.log("error", "a run is left alone", run=name, reason=reason)
        for name, reason in useless.items():
            self.ledger.give_up(name, reason)
            self._outbox.log("error", "a run cannot go on", run=name, reason=reason)

    def _won(self, fresh: list[str], now: float) -> None:
        if self.phase is not Phase.TAKING:
            return
        record = self.lease.record
        self._outbox.log(
            "info",
            "coordinator",
            cluster=record.cluster if record else "",
            epoch=record.epoch if record else 0,
        )
        self.phase = Phase.WORKING
        for name in fresh:
            self.desk.settle(name)
        self.desk.begin(now)
        self.foreman.begin()
        if self._has_mail:
            # It may have come after the inbox was listed.
            self._has_mail = False
            self.desk.look(now)

    # --- leaving ---------------------------------------------------------------------------------

    def _stop(self, now: float) -> None:
        if self.phase in {Phase.FINISHING, Phase.LEAVING}:
            return
        self._was_working = self.phase is Phase.WORKING
        self.foreman.rest()
        self.desk.is_open = False
        self.phase, self._leave_by = Phase.FINISHING, now + STOP_SECONDS
        self._outbox.emit(FinishWorkers(FINISH_SECONDS))

    def _leave(self, now: float) -> None:
        if self.phase is not Phase.FINISHING:
            return
        self.phase = Phase.LEAVING

    def _part(self, now: float) -> None:
        if self.keeper.is_writing:
            return
        if self._was_working and self.keeper.has_news:
            due = self.keeper.due()
            if not self._has_parted or (due is not None and now >= due):
                self._has_parted = True
                self._checkpoint(now)
            return
        if self.lease.is_ours and not self._is_released:
            self._is_released = True
            self.lease.release()
            self.lease.tick(now)
        if self.lease.is_settled:
            self._exit("", "")

    def _exit(self, kind: str, reason: str) -> None:
        self.phase = Phase.GONE
        self._outbox.emit(Exit(reason, kind))

    # --- helpers ---------------------------------------------------------------------------------

    def _checkpoint(self, now: float) -> None:
        record = self.lease.record
        self.keeper.save(record.cluster if record else "", self._snapshots(), self._resource_usage, now)

    def _snapshots(self) -> list[IslandSnapshot]:
        return [snapshot for work in self.foreman.work.values() for snapshot in work.snapshots()]

    def _publish(self, then: Callable[[float], None] | None = None) -> None:
        self.lease.publish(self.ledger.plan, then)

    def _may_run(self, run: Run) -> str | None:
        allowed = self.settings.allow_problems
        if allowed == "none":
            if run.problem.reference in self.settings.built_in:
                return None
            return "this platform runs only the problems that ship with it: start it without --allow-problems none"
        if run.problem.source is None or allowed == "store" or run.nonce in self._own_submissions:
            return None
        return "its problem is a file submitted elsewhere: start the daemon with --allow-problems store to run it"
