"""Loading: what a platform reads before it takes the lease. Every read has to have a definite answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from distevo.checkpoint import Checkpoint, IslandSnapshot, decode_checkpoint
from distevo.errors import CheckpointError, CheckpointVersionError, ObjectError, kind_of
from distevo.events import IslandId, Outcome, StoreAnswer
from distevo.names import CHECKPOINTS, INBOX, PLANS, checkpoint_of
from distevo.outbox import Outbox
from distevo.plan import Plan, decode_plan


@dataclass(slots=True)
class Loaded:
    """What was found."""

    plan: Plan
    objects: dict[str, bytes] = field(default_factory=dict)
    """Inbox objects that are new, and the objects of runs that are not over, by name."""
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    old_plans: list[str] = field(default_factory=list)
    """Plans that the pointer does not name."""

    def snapshots(self) -> dict[IslandId, list[IslandSnapshot]]:
        """All verified snapshots by island."""
        found: dict[IslandId, list[IslandSnapshot]] = {}
        for name in sorted(self.checkpoints):
            for snapshot in self.checkpoints[name].islands:
                key = IslandId(snapshot.run, snapshot.task, snapshot.island)
                found.setdefault(key, []).append(snapshot)
        return found


class Loading:
    """Reads the plan in force, then inbox, runs and checkpoints, and calls `then`; or `refuse` with kind and reason.

    A damaged checkpoint is skipped, loudly. One of a newer distevo is not damage: it is refused, since going on
    from an older one would lose what it holds.
    """

    def __init__(
        self,
        pointer: str | None,
        outbox: Outbox,
        then: Callable[[Loaded, float], None],
        refuse: Callable[[str, str], None],
    ) -> None:
        self._outbox, self._then, self._refuse = outbox, then, refuse
        self._loaded = Loaded(Plan(epoch=0, version=0))
        self._pointer, self._missing = pointer, 0
        if pointer is None:
            self._read_rest()
        else:
            outbox.read(pointer, lambda answer, now: self._plan_read(pointer, answer))

    def _plan_read(self, pointer: str, answer: StoreAnswer) -> None:
        if answer.outcome is Outcome.MISSING:
            self._refuse("corrupt", f"the plan {pointer} is missing from the store")
            return
        try:
            self._loaded.plan = decode_plan(answer.data)
        except ObjectError as error:
            self._refuse(kind_of(error), f"the plan {pointer} cannot be read: {error}")
            return
        self._read_rest()

    def _read_rest(self) -> None:
        plan = self._loaded.plan
        for run in plan.runs.values():
            if not run.state.is_over:
                self._fetch(run.object, self._object_read)
        self._missing += 3
        self._outbox.list(INBOX, self._inbox_listed)
        self._outbox.list(CHECKPOINTS, self._checkpoints_listed)
        self._outbox.list(PLANS, self._plans_listed)

    def _fetch(self, name: str, take: Callable[[str, StoreAnswer], None]) -> None:
        def arrived(answer: StoreAnswer, now: float) -> None:
            take(name, answer)
            self._arrived(now)

        self._missing += 1
        self._outbox.read(name, arrived)

    def _arrived(self, now: float) -> None:
        self._missing -= 1
        if self._missing == 0:
            self._then(self._loaded, now)

    def _inbox_listed(self, answer: StoreAnswer, now: float) -> None:
        plan = self._loaded.plan
        known = {run.object for run in plan.runs.values()} | plan.handled.keys()
        for name in answer.names:
            if name not in known:
                self._fetch(name, self._object_read)
        for name in plan.handled.keys() - set(answer.names):
            del plan.handled[name]
        self._arrived(now)

    def _checkpoints_listed(self, answer: StoreAnswer, now: float) -> None:
        for name in answer.names:
            if checkpoint_of(name) is not None:
                self._fetch(name, self._checkpoint_read)
        self._arrived(now)

    def _plans_listed(self, answer: StoreAnswer, now: float) -> None:
        self._loaded.old_plans = [name for name in answer.names if name != self._pointer]
        self._arrived(now)

    def _object_read(self, name: str, answer: StoreAnswer) -> None:
        if answer.outcome is Outcome.DONE:
            self._loaded.objects[name] = answer.data

    def _checkpoint_read(self, name: str, answer: StoreAnswer) -> None:
        if answer.outcome is not Outcome.DONE:
            return
        try:
            self._loaded.checkpoints[name] = decode_checkpoint(answer.data)
        except CheckpointVersionError as error:
            self._refuse(kind_of(error), f"{name}: {error}")
        except CheckpointError as error:
            self._outbox.log("error", "a damaged checkpoint is skipped", name=name, reason=str(error))
