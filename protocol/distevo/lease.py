"""The lease: who is coordinator, and the swaps of `cluster` that both renew it and put plans in force.

One write is in flight at a time, at least `swap_interval` apart. Each renews the lease and carries the newest
plan, if there is a newer one: first the plan object under a name of its own, then the swap that points at it.
An answer that is not definite, and a conflict too (our own first try may have moved the token), is settled
by reading the object and looking for the write's nonce. Safety rests on the swap alone, never on a clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum

import msgspec

from distevo.alarms import NEVER
from distevo.attic import Attic
from distevo.cluster import ClusterRecord, decode_cluster, encode_cluster
from distevo.errors import ClusterGone
from distevo.events import Outcome, StoreAnswer
from distevo.machine import Table
from distevo.names import CLUSTER, plan_name
from distevo.outbox import RETRY_SECONDS, Outbox
from distevo.outline import Outline, outline_of
from distevo.plan import Plan, encode_plan

Then = Callable[[float], None]

RENEWALS_PER_TTL = 3
"""A holder renews this often within the time to live, so that two lost writes do not cost the lease."""
PATIENCE = 1.25
"""An observer takes over when the object has not changed for this many times to live."""


class WriteState(StrEnum):
    """Where the one write in flight is."""

    NONE = "none"
    PLANNING = "planning"
    """The plan object is being created; nothing points at it."""
    SWAPPING = "swapping"
    SETTLING = "settling"
    """`cluster` is being read, to see what became of the swap."""
    WAITING = "waiting"
    """The swap has not happened, and will be sent again."""


class WriteEvent(StrEnum):
    """What happens to it."""

    BEGUN_WITH_PLAN = "begun, with a plan"
    BEGUN = "begun, to renew or release only"
    CREATED = "the plan object is there"
    DONE = "the store says done"
    DOUBT = "the store says conflict, or nothing definite"
    MINE = "`cluster` has the write's nonce"
    UNMOVED = "`cluster` has the token that the write compares with"
    MOVED = "`cluster` has moved, without the nonce"
    RETRY = "time to try again"


WRITE_TABLE = Table(
    "write of `cluster`",
    WriteState.NONE,
    {
        (WriteState.NONE, WriteEvent.BEGUN_WITH_PLAN): (
            WriteState.PLANNING,
            "capture epoch and token, draw a nonce; create the plan object",
        ),
        (WriteState.NONE, WriteEvent.BEGUN): (WriteState.SWAPPING, "capture epoch and token, draw a nonce; swap"),
        (WriteState.PLANNING, WriteEvent.CREATED): (WriteState.SWAPPING, "swap"),
        (WriteState.PLANNING, WriteEvent.MOVED): (WriteState.NONE, "the lease is another's: decide nothing more"),
        (WriteState.SWAPPING, WriteEvent.DONE): (WriteState.NONE, "won; the lease counts from when it was begun"),
        (WriteState.SWAPPING, WriteEvent.DOUBT): (WriteState.SETTLING, "read `cluster`"),
        (WriteState.SETTLING, WriteEvent.MINE): (WriteState.NONE, "won, as from swapping"),
        (WriteState.SETTLING, WriteEvent.UNMOVED): (WriteState.WAITING, "wait a second"),
        (WriteState.SETTLING, WriteEvent.MOVED): (WriteState.NONE, "the lease is another's: decide nothing more"),
        (WriteState.WAITING, WriteEvent.RETRY): (WriteState.SWAPPING, "the same swap, token and nonce"),
    },
)

_PLANNING = WriteState.PLANNING  # bound once, since it is asked for after every event


class InForce(msgspec.Struct, frozen=True):
    """A plan that is durable and pointed at. Made by a swap that was won, or by reading the pointer: nothing that
    rests on a plan's being in force can be said without one."""

    name: str
    epoch: int
    outline: Outline

    @property
    def plan(self) -> Plan:
        """The plan itself."""
        return self.outline.plan


class _Write(msgspec.Struct):
    record: ClusterRecord
    token: int | None
    """What the swap compares with: captured when the write is decided, not when it is sent."""
    begun: float
    thens: list[Then]
    data: bytes | None
    """The plan that it puts in force; None when it only renews."""

    def compares_with(self, seen: StoreAnswer) -> bool:
        """Whether `cluster`, as it was read, is what the swap compares with."""
        return (seen.token if seen.outcome is Outcome.DONE else None) == self.token


class Lease:
    """The state machine around the object `cluster`, both as observer and as holder."""

    def __init__(
        self,
        member: str,
        boot: str,
        ttl: float,
        swap_interval: float,
        rng: random.Random,
        outbox: Outbox,
        attic: Attic,
        in_force: Callable[[InForce, float], None],
        is_predecessor: Callable[[ClusterRecord], bool],
    ) -> None:
        """`in_force` is told of each plan that a swap of ours has put in force, before whoever published it;
        `is_predecessor` knows whether a holder of our id is an earlier boot of this very platform.
        """
        self._member, self._boot, self._ttl, self._swap_interval = member, boot, ttl, swap_interval
        self._rng, self._outbox, self._attic, self._in_force = rng, outbox, attic, in_force
        self._is_predecessor = is_predecessor
        self.record: ClusterRecord | None = None
        """The object as last seen."""
        self.is_held = False
        self.is_lost = False
        """Whether another member's write came between ours: what we had decided no longer stands."""
        self._token: int | None = None
        self._seen_at = self._term_seen_at = 0.0
        self._renewed_at = 0.0
        self._write: _Write | None = None
        self._state = WriteState.NONE
        self._last_write = -NEVER
        self._plan: Plan | None = None
        self._thens: list[Then] = []
        self._is_dirty = False
        self._is_watching = False
        self._is_releasing = False
        self._has_held = False

    # --- observing -------------------------------------------------------------------------------

    def watch(self, now: float, then: Then) -> None:
        """Read the object; `then` runs when it was seen. Overlapping calls are one."""
        if self._is_watching or not (self._write is None or self.is_planning):
            return
        self._is_watching, write, last_write = True, self._write, self._last_write

        def seen(answer: StoreAnswer, now: float) -> None:
            self._is_watching = False
            if write is not None:
                if self._write is write and self.is_planning and not write.compares_with(answer):
                    self._moved(answer, now)
            elif self._write is None and self._last_write == last_write:
                self._see(answer, now)
            # Else it may show what was there before a write of ours, whose own answer tells more.
            then(now)

        self._outbox.read(CLUSTER, seen)

    @property
    def is_free(self) -> bool:
        """Whether nobody holds it, as last seen, or a boot of ours does.

        Our own earlier boot is certainly dead, since this one holds the lock of the state directory.
        """
        record = self.record
        if record is None or not record.holder:
            return True
        # Having held it, this boot is the earlier one itself: a later one has taken its place.
        return record.holder == self._member and not self._has_held and self._is_predecessor(record)

    def is_expired(self, now: float) -> bool:
        """Whether the object has not changed for so long that its holder can have renewed nothing."""
        return self.record is not None and now >= self._seen_at + PATIENCE * self.record.ttl

    def unchanged_for(self, now: float) -> float:
        """Seconds since this node saw the object change."""
        return now - self._seen_at

    def has_begun_before(self, at: float) -> bool:
        """Whether this node knew of the holder's term at that time."""
        return at >= self._term_seen_at

    @property
    def is_writing(self) -> bool:
        """Whether a write is in flight."""
        return self._write is not None

    @property
    def is_planning(self) -> bool:
        """Whether the plan object of a write is being created, which a store may refuse for long."""
        return self._state is _PLANNING

    def _see(self, answer: StoreAnswer, now: float) -> None:
        if answer.outcome is Outcome.MISSING:
            if self.record is not None:
                raise ClusterGone("the object `cluster` has vanished from the store")
            self._seen_at = now
            return
        if answer.token == self._token:
            return
        record = decode_cluster(answer.data)
        if self.record is not None and record.cluster != self.record.cluster:
            raise ClusterGone(f"the store now belongs to cluster {record.cluster}, not {self.record.cluster}")
        if self.record is None or record.epoch != self.record.epoch:
            self._term_seen_at = now
        self.record, self._token, self._seen_at = record, answer.token, now

    # --- holding ---------------------------------------------------------------------------------

    def take(self, plan: Plan, now: float, then: Then) -> None:
        """Try to become coordinator with `plan`; `then` runs when won. The same swap fences older plans."""
        self._plan, self._is_dirty, self._thens = plan, True, [then]
        self.is_lost = False
        self._begin(now, epoch=(self.record.epoch if self.record else 0) + 1)

    def publish(self, plan: Plan, then: Then | None = None) -> None:
        """Put `plan`, as it is when the next write begins, in force; `then` runs once it is."""
        self._plan, self._is_dirty = plan, True
        if then is not None:
            self._thens.append(then)

    def release(self) -> None:
        """Give the lease up with the next write, which also carries the newest plan."""
        self._is_releasing = True

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to write: no plan waits, and a release that was asked for has happened."""
        return self._write is None and not (self.is_ours and (self._is_dirty or self._is_releasing))

    @property
    def is_ours(self) -> bool:
        """Whether the object, as last seen, names this boot; written by nobody else, it may be renewed even late."""
        record = self.record
        return record is not None and record.holder == self._member and record.boot == self._boot

    def tick(self, now: float) -> None:
        """Step down when the time to live has passed without a success; write what is due."""
        if self.is_held and now >= self._renewed_at + self._ttl:
            self.is_held = False
            self._outbox.log(
                "warning", "the lease ran out: the store took no write for its time to live", ttl=self._ttl
            )
        if now >= self._due() and self.record is not None:
            self._begin(now, epoch=self.record.epoch)

    def next_deadline(self) -> float:
        """When `tick` has something to do."""
        due = self._due()
        return min(due, self._renewed_at + self._ttl) if self.is_held else due

    def soonest_write(self) -> float:
        """When the next write may begin; infinity while one is in flight, whose answer has to come first."""
        return NEVER if self._write is not None else self._last_write + self._swap_interval

    def _due(self) -> float:
        if self._write is not None or not self.is_ours:
            return NEVER
        soonest = self.soonest_write()
        if self._is_dirty or self._is_releasing:
            return soonest
        return max(soonest, self._renewed_at + self._ttl / RENEWALS_PER_TTL)

    def _begin(self, now: float, epoch: int) -> None:
        nonce = f"{self._rng.getrandbits(64):016x}"
        old = self.record
        plan, version = (old.plan, old.plan_version) if old else (None, 0)
        data = None
        if self._is_dirty and self._plan is not None:
            version += 1
            self._plan.epoch, self._plan.version = epoch, version
            plan, data = plan_name(epoch, version, nonce), encode_plan(self._plan)
        self._write = write = _Write(
            record=ClusterRecord(
                cluster=old.cluster if old else f"{self._rng.getrandbits(64):016x}",
                epoch=epoch,
                holder="" if self._is_releasing else self._member,
                boot="" if self._is_releasing else self._boot,
                nonce=nonce,
                ttl=self._ttl,
                plan=plan,
                plan_version=version,
            ),
            token=self._token,
            begun=now,
            thens=self._thens,
            data=data,
        )
        self._thens, self._is_dirty, self._last_write = [], False, now
        if data is not None and plan is not None:
            self._step(WriteEvent.BEGUN_WITH_PLAN)
            self._outbox.create(plan, data, lambda _, now: self._created(write), lambda: self._write is write)
        else:
            self._send(write, WriteEvent.BEGUN)

    def _step(self, event: WriteEvent) -> None:
        self._state = WRITE_TABLE.step(self._state, event)

    def _created(self, write: _Write) -> None:
        if self._write is write:  # Else `cluster` has moved meanwhile, and nothing will ever point at that plan.
            self._send(write, WriteEvent.CREATED)

    def _send(self, write: _Write, event: WriteEvent) -> None:
        self._step(event)

        def answered(answer: StoreAnswer, now: float) -> None:
            if answer.outcome is Outcome.DONE:
                self._step(WriteEvent.DONE)
                self._won(write, answer.token, now)
            else:
                self._step(WriteEvent.DOUBT)
                self._outbox.read(CLUSTER, lambda seen, now: self._settle(write, answer, seen, now))

        self._outbox.swap(CLUSTER, encode_cluster(write.record), write.token, answered)

    def _settle(self, write: _Write, answer: StoreAnswer, seen: StoreAnswer, now: float) -> None:
        if seen.outcome is Outcome.DONE and decode_cluster(seen.data).nonce == write.record.nonce:
            self._step(WriteEvent.MINE)
            self._outbox.swap_settled()
            self._won(write, seen.token, now)
        elif write.compares_with(seen):
            self._outbox.log("warning", "the lease could not be written; trying again", reason=answer.reason)
            self._step(WriteEvent.UNMOVED)
            self._outbox.later(now + RETRY_SECONDS, lambda _: self._send(write, WriteEvent.RETRY))
        else:
            self._outbox.swap_settled()
            self._moved(seen, now)

    def _moved(self, seen: StoreAnswer, now: float) -> None:
        self._step(WriteEvent.MOVED)
        self._write = None
        self.is_held, self.is_lost = False, True
        self._see(seen, now)
        self._outbox.log("warning", "the lease is another's", holder=self.record.holder if self.record else "")

    def _won(self, write: _Write, token: int, now: float) -> None:
        if self.record is not None and self.record.plan not in {None, write.record.plan}:
            self._attic.put(self.record.plan or "", now)
        self._write, self._token, self.record = None, token, write.record
        # Counted from the first send: the others' patience may have begun then.
        self._renewed_at, self._seen_at = write.begun, now
        self.is_held = bool(write.record.holder)
        self._has_held = True
        if not self.is_held:
            self._is_releasing = False
        if write.data is not None and write.record.plan is not None:
            # Read back, since the plan in hand goes on changing.
            self._in_force(InForce(write.record.plan, write.record.epoch, outline_of(write.data)), now)
        for then in write.thens:
            then(now)
