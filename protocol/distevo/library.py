"""The library: objects of the store that members read when they need them, runs and former owners' checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from distevo.checkpoint import IslandSnapshot, decode_checkpoint
from distevo.errors import CheckpointError, CheckpointVersionError, ObjectError, ObjectVersionError
from distevo.events import Outcome, StoreAnswer
from distevo.names import checkpoint_of, owner_checkpoints
from distevo.outbox import Outbox
from distevo.result import decode_result
from distevo.run import Run, decode_run

TakeRun = Callable[[Run | None, str, float], None]
"""Gets the run, or None and why it cannot be had."""
TakeSnapshots = Callable[[list[IslandSnapshot], str, float], None]
"""Gets verified snapshots, and why nothing may be made of them: empty, or that a newer distevo wrote some."""


class Library:
    """Reads, checks and (runs only) keeps. A damaged checkpoint is skipped, loudly; a newer one is not damage."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.runs: dict[str, Run] = {}
        """By name of the object."""
        self._waiting: dict[str, list[TakeRun]] = {}
        self._listing: dict[str, list[TakeSnapshots]] = {}
        self._again: dict[str, list[TakeSnapshots]] = {}

    def run(self, name: str, then: TakeRun, now: float) -> None:
        """The run in this object."""
        known = self.runs.get(name)
        if known is not None:
            then(known, "", now)
        elif name in self._waiting:
            self._waiting[name].append(then)
        else:
            self._waiting[name] = [then]
            self._outbox.read(name, lambda answer, now: self._run_read(name, answer, now))

    def keep(self, names: set[str]) -> None:
        """Forget the runs whose objects are not among these."""
        for name in [name for name in self.runs if name not in names]:
            del self.runs[name]

    def _run_read(self, name: str, answer: StoreAnswer, now: float) -> None:
        run, reason = None, "is missing from the store"
        if answer.outcome is Outcome.DONE:
            try:
                run = self.runs[name] = decode_run(answer.data)
            except ObjectError as error:
                reason = str(error)
        for then in self._waiting.pop(name):
            then(run, reason, now)

    def result(self, name: str, then: TakeSnapshots) -> None:
        """The islands' last states in this result."""

        def read(answer: StoreAnswer, now: float) -> None:
            snapshots: list[IslandSnapshot] = []
            refusal = ""
            try:
                if answer.outcome is not Outcome.DONE:
                    raise ObjectError("is missing from the store")
                snapshots = decode_checkpoint(decode_result(answer.data)[1]).islands
            except (ObjectVersionError, CheckpointVersionError) as error:
                # Not damage: beginning anew would replace what a newer distevo found.
                refusal = f"{name}: {error}"
            except (ObjectError, CheckpointError) as error:
                self._outbox.log("error", "a result cannot be read; the task begins anew", name=name, reason=str(error))
            then(snapshots, refusal, now)

        self._outbox.read(name, read)

    def snapshots(self, owners: Sequence[str], then: TakeSnapshots, now: float) -> None:
        """All snapshots in the checkpoints of these owners, as a listing that begins after this call shows them."""
        missing = len(owners)
        found: list[IslandSnapshot] = []
        refusals: list[str] = []

        def arrived(snapshots: list[IslandSnapshot], refusal: str, now: float) -> None:
            nonlocal missing
            missing -= 1
            found.extend(snapshots)
            if refusal:
                refusals.append(refusal)
            if not missing:
                then(found, "; ".join(refusals), now)

        if not owners:
            then([], "", now)
        for owner in owners:
            if owner in self._listing:
                # What was written since that listing must not be missed, so there will be another.
                self._again.setdefault(owner, []).append(arrived)
            else:
                self._look(owner, [arrived])

    def _look(self, owner: str, thens: list[TakeSnapshots]) -> None:
        self._listing[owner] = thens
        found: list[IslandSnapshot] = []
        refusals: list[str] = []
        missing = 0
        is_outdated = False

        def done(now: float) -> None:
            if is_outdated:
                # Something was superseded between the listing and the reading: what superseded it has to be read.
                self._look(owner, self._listing.pop(owner))
                return
            thens = self._listing.pop(owner)
            if owner in self._again:
                self._look(owner, self._again.pop(owner))
            for then in thens:
                then(list(found), "; ".join(refusals), now)

        def read(name: str, answer: StoreAnswer, now: float) -> None:
            nonlocal missing, is_outdated
            missing -= 1
            if answer.outcome is Outcome.MISSING:
                is_outdated = True
            elif answer.outcome is Outcome.DONE:
                try:
                    found.extend(decode_checkpoint(answer.data).islands)
                except CheckpointVersionError as error:
                    refusals.append(f"{name}: {error}")
                except CheckpointError as error:
                    self._outbox.log("error", "a damaged checkpoint is skipped", name=name, reason=str(error))
            if not missing:
                done(now)

        def listed(answer: StoreAnswer, now: float) -> None:
            nonlocal missing
            names = [name for name in answer.names if checkpoint_of(name) is not None]
            missing = len(names)
            for name in names:
                self._outbox.read(name, lambda answer, now, name=name: read(name, answer, now))  # type: ignore[misc]
            if not names:
                done(now)

        self._outbox.list(owner_checkpoints(owner), listed)
