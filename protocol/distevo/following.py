"""Following: which plan is in force, as this member knows it."""

from __future__ import annotations

from collections.abc import Callable

from distevo.errors import ObjectError
from distevo.events import Outcome, StoreAnswer
from distevo.lease import InForce, Lease
from distevo.outbox import RETRY_SECONDS, Outbox
from distevo.outline import Outline, outline_of
from distevo.plan import Plan


class Following:
    """Reads the pointer in `cluster` and the plan that it names. What peers say only makes it look sooner."""

    def __init__(self, lease: Lease, outbox: Outbox, take: Callable[[InForce, float], None]) -> None:
        """`take` is told of each plan that comes into force. Reading may raise ObjectError: nothing can go on then."""
        self._lease, self._outbox, self._take = lease, outbox, take
        self.outline = Outline(Plan(epoch=0, version=0))
        """Of the plan in force."""
        self.name = ""
        self.has_looked = False
        """Whether `cluster` was seen, or seen to be missing, at all."""
        self._is_reading = False
        self._looking_since: float | None = None

    @property
    def plan(self) -> Plan:
        """In force; to be read, never changed."""
        return self.outline.plan

    @property
    def version(self) -> tuple[int, int]:
        """(epoch, version)."""
        return self.plan.epoch, self.plan.version

    def look(self, now: float, then: Callable[[float], None] = lambda _now: None) -> None:
        """Look at `cluster`, then call `then`; looks that overlap are one."""
        if self._looking_since is None:
            self._looking_since = now

        def seen(now: float) -> None:
            self._looking_since, self.has_looked = None, True
            self._read(now)
            then(now)

        self._lease.watch(now, seen)

    def is_blind(self, now: float) -> bool:
        """Whether the store has not answered for a while: a look at `cluster`, or whatever else was asked of it."""
        since = [at for at in (self._looking_since, self._outbox.failing_since) if at is not None]
        return bool(since) and now > min(since) + 2 * RETRY_SECONDS

    def told(self, in_force: InForce, now: float) -> None:
        """A plan came in force by a swap of ours, or by the word of the holder while the store is away."""
        plan = in_force.plan
        if (plan.epoch, plan.version) > self.version:
            self.outline, self.name = in_force.outline, in_force.name
            self._take(in_force, now)

    def _read(self, now: float) -> None:
        record = self._lease.record
        if record is None or record.plan is None or record.plan == self.name or self._is_reading:
            return
        if (record.epoch, record.plan_version) <= self.version:
            return
        name, epoch = record.plan, record.epoch
        self._is_reading = True

        def arrived(answer: StoreAnswer, now: float) -> None:
            self._is_reading = False
            if answer.outcome is Outcome.MISSING:
                # Superseded so long ago that it is pruned: the pointer has moved on.
                self._outbox.later(now + RETRY_SECONDS, self.look)
                return
            try:
                outline = outline_of(answer.data)
            except ObjectError as error:
                raise type(error)(f"the plan {name} cannot be read: {error}") from error
            self.told(InForce(name, epoch, outline), now)
            self._read(now)

        self._outbox.read(name, arrived)
