"""The foreman: which task is worked on where, and when it is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from distevo.checkpoint import (
    IslandSnapshot,
    decode_checkpoint,
    restore,
)
from distevo.closing import Closing
from distevo.errors import CheckpointError, CheckpointVersionError, ObjectError, ObjectVersionError
from distevo.events import (
    IslandFailed,
    IslandId,
    IslandReported,
    Outcome,
    ProblemMissing,
    StoreAnswer,
    WorkerDied,
)
from distevo.instructions import LimitIsland, StartIsland, StopIsland
from distevo.ledger import Ledger, TaskId
from distevo.outbox import Outbox, Publish
from distevo.plan import RunState, TaskState
from distevo.result import decode_result, text_of
from distevo.run import Budget
from distevo.slots import Slot, Slots
from distevo.work import MAX_BLAMELESS_DEATHS, IslandWork, Stage, TaskWork, fresh_snapshot

ISLANDS_AHEAD = 2
"""Each slot has at least this many islands placed, so that a worker never waits for its next one."""


class Foreman:
    """Works through the plan's tasks in order, in the slots of one platform."""

    def __init__(
        self,
        ledger: Ledger,
        slots: Slots,
        outbox: Outbox,
        publish: Publish,
        next_sequence: Callable[[], int],
    ) -> None:
        self._ledger, self._slots, self._outbox = ledger, slots, outbox
        self._publish = publish
        self.work: dict[TaskId, TaskWork] = {}
        self.closing = Closing(ledger, slots, outbox, publish, next_sequence, self.work, self._closed)
        self.is_working = False
        """Whether islands may be placed: only under a plan that is in force."""
        self._snapshots: dict[IslandId, list[IslandSnapshot]] = {}
        self._queue: deque[TaskId] = deque()
        self._opening: set[TaskId] = set()
        self._term = 0
        """Rises when all is let go of: what was asked for before no longer counts."""

    def load(self, snapshots: dict[IslandId, list[IslandSnapshot]]) -> None:
        """Prepare to work under a plan that the ledger holds, from these snapshots."""
        self._snapshots = snapshots

    def begin(self) -> None:
        """The plan is in force: work. What was begun in runs that are paused is taken in hand, to be kept and shown."""
        self.is_working = True
        for name, run in self._ledger.plan.runs.items():
            if run.state is RunState.PAUSED:
                self._take_up(name)
        self.closing.open()
        self.closing.sweep_results(None)
        self.requeue()

    def rest(self) -> None:
        """Place nothing more."""
        self.is_working = self.closing.is_open = False

    def abandon(self) -> None:
        """Another member decides now: let go of everything in hand."""
        self.rest()
        for work in self.work.values():
            self._withdraw(work)
        self.work.clear()
        self._snapshots, self._queue, self._opening = {}, deque(), set()
        self._term += 1

    # --- runs ------------------------------------------------------------------------------------

    def requeue(self) -> None:
        """What may be worked on has changed."""
        self._ledger.shed({name for name, _ in self.work})
        self._queue = deque(self._ledger.waiting(self.work.keys() | self._opening))
        self._fill()

    def in_hand(self, name: str) -> list[TaskWork]:
        """The tasks of a run that have begun and have no result yet."""
        return [work for work in self.work.values() if work.run.name == name]

    def suspend(self, name: str) -> None:
        """Let a run's islands rest; they keep their state."""
        for work in self.in_hand(name):
            work.is_paused = True
            if work.stage is Stage.EVOLVING:
                self._withdraw(work)
        self.requeue()

    def resume(self, name: str) -> None:
        """Go on with a suspended run's islands."""
        for work in self.in_hand(name):
            work.is_paused = False
            if work.stage is Stage.EVOLVING and work.is_finished:
                self._close(work)
            elif work.stage is Stage.EVOLVING:
                self._place(work)
        self.requeue()

    def end(self, name: str) -> None:
        """Close the tasks of a run as they are, also those that were begun before a restart."""
        self._take_up(name)
        for work in self.in_hand(name):
            self._close(work)
        self.requeue()

    def extend(self, name: str, budget: Budget) -> None:
        """Let a run's islands work on under a higher budget."""
        for work in self.in_hand(name):
            # One whose result is being written opens again when that is done.
            if work.stage is Stage.EVOLVING:
                work.budget = budget
                self._relimit(work)
        self.requeue()

    # --- placing ---------------------------------------------------------------------------------

    def _closed(self) -> None:
        """A task has its result. Only when nothing is queued is it worth looking for what else may be worked on."""
        if self._queue:
            self._fill()
        else:
            self.requeue()

    def _fill(self) -> None:
        """Begin tasks while some slot would soon have nothing to do."""
        while (
            self.is_working
            and self._queue
            and not self._opening
            and len(self._slots.least_loaded().islands) < ISLANDS_AHEAD
        ):
            self._open(self._queue.popleft())
        if not self._queue and not self._opening:
            self._level()

    def _level(self) -> None:
        """With nothing left to begin, give a worker without islands one that waits elsewhere."""
        while self.is_working and (pair := self._slots.uneven()) is not None:
            fullest, idle = pair
            island = fullest.islands.pop()
            idle.islands.append(island)
            work = self.work[island.run, island.task]
            if fullest.is_ready:
                self._outbox.emit(StopIsland(fullest.number, island))
            self._send(idle, work, work.islands[island.island])

    def _take_up(self, name: str) -> None:
        """Take in hand what a run's checkpoints hold, without working on it."""
        run = self._ledger.plan.runs[name]
        for task, entry in run.tasks.items():
            if entry.state is not TaskState.OPEN or (name, task) in self.work or name not in self._ledger.runs:
                continue
            if any(IslandId(name, task, index) in self._snapshots for index in range(len(entry.islands))):
                self.work[name, task] = self._work_of((name, task), [])
                self.work[name, task].is_paused = True

    def _open(self, task: TaskId) -> None:
        entry = self._ledger.plan.runs[task[0]].tasks[task[1]]
        if entry.result is None:
            self._start(task, [])
            return
        # An extended task: its islands lie in its result.
        self._opening.add(task)
        term, result = self._term, entry.result

        def arrived(answer: StoreAnswer, _now: float) -> None:
            if term != self._term:
                return
            self._opening.discard(task)
            snapshots: list[IslandSnapshot] = []
            try:
                if answer.outcome is not Outcome.DONE:
                    raise ObjectError("is missing from the store")
                snapshots = decode_checkpoint(decode_result(answer.data)[1]).islands
            except (ObjectVersionError, CheckpointVersionError) as error:
                # Not damage: beginning anew would replace what a newer distevo found.
                self._set_aside(task[0], f"{result}: {error}")
                return
            except (ObjectError, CheckpointError) as error:
                self._outbox.log(
                    "error",
                    "a result cannot be read; the task begins anew",
                    name=result,
                    reason=str(error),
                )
            run = self._ledger.plan.runs.get(task[0])
            if run is not None and not run.state.is_over and run.state is not RunState.PAUSED:
                self._start(task, snapshots)
            self._fill()

        self._outbox.read(result, arrived)

    def _set_aside(self, name: str, reason: str) -> None:
        """This platform cannot work on a run: take no island of it, and say why."""
        self._ledger.plan.runs[name].note = reason
        self._outbox.log("error", "a run is set aside", run=name, reason=reason)
        for work in self.in_hand(name):
            if work.stage is Stage.EVOLVING:
                self._withdraw(work)
        self._publish()
        self.requeue()

    def _work_of(self, task: TaskId, snapshots: list[IslandSnapshot]) -> TaskWork:
        """A task as its checkpoints, and `snapshots`, have it."""
        run, plan = self._ledger.runs[task[0]], self._ledger.plan.runs[task[0]]
        work = TaskWork(run, task[1], plan.budget)
        for index, place in enumerate(plan.tasks[task[1]].islands):
            key = IslandId(run.name, task[1], index)
            known = self._snapshots.pop(key, []) + [s for s in snapshots if s.island == index]
            own = [snapshot for snapshot in known if snapshot.grant >= plan.first_grant]
            snapshot = restore(own, place.grant) or fresh_snapshot(run, key, place.grant)
            work.islands.append(IslandWork(key, msgspec.structs.replace(snapshot, grant=place.grant)))
        guess = work.choose()
        work.is_fit = guess is not None and guess.fit
        for island in work.islands:
            island.is_resting = work.is_fit or self._is_spent(work, island)
        return work

    def _start(self, task: TaskId, snapshots: list[IslandSnapshot]) -> None:
        work = self.work[task] = self._work_of(task, snapshots)
        if work.is_finished:
            self._close(work)
        else:
            self._place(work)

    def _is_spent(self, work: TaskWork, island: IslandWork) -> bool:
        counters = island.snapshot.counters
        return self._share(work, island).is_used(counters.cpu_seconds, counters.evaluations, counters.duplicates)

    def _share(self, work: TaskWork, island: IslandWork) -> Budget:
        return work.budget.share(island.id.island, len(work.islands))

    def _place(self, work: TaskWork) -> None:
        for island in work.islands:
            if not island.is_resting:
                slot = self._slots.least_loaded()
                slot.islands.append(island.id)
                if slot.is_ready:
                    self._send(slot, work, island)

    def _send(self, slot: Slot, work: TaskWork, island: IslandWork) -> None:
        self._outbox.emit(
            StartIsland(
                slot=slot.number,
                island=island.id,
                problem=work.run.problem,
                task=bytes(work.run.tasks[work.task]),
                islands=len(work.islands),
                population_size=work.run.settings.population_size,
                budget=self._share(work, island),
                snapshot=island.snapshot,
                attempt=island.deaths,
            )
        )

    def _withdraw(self, work: TaskWork) -> None:
        for island in work.islands:
            for slot in self._slots.slots:
                if island.id in slot.islands:
                    slot.islands.remove(island.id)
                    if slot.is_ready:
                        self._outbox.emit(StopIsland(slot.number, island.id))

    def _relimit(self, work: TaskWork) -> None:
        if work.stage is not Stage.EVOLVING:
            return
        for island in work.islands:
            for slot in self._slots.slots:
                if island.id in slot.islands and slot.is_ready:
                    self._outbox.emit(LimitIsland(slot.number, island.id, self._share(work, island)))
            if island.is_resting and not work.is_fit:
                island.is_resting = self._is_spent(work, island)
                if not island.is_resting and not work.is_paused:
                    slot = self._slots.least_loaded()
                    slot.islands.append(island.id)
                    if slot.is_ready:
                        self._send(slot, work, island)

    # --- what workers say ------------------------------------------------------------------------

    def ready(self, number: int) -> None:
        """A worker is there: give it what its slot holds."""
        slot = self._slots.ready(number)
        for island in slot.islands:
            work = self.work[island.run, island.task]
            self._send(slot, work, work.islands[island.island])
        self.closing.ready(number)
        self._fill()

    def reported(self, event: IslandReported, now: float) -> bool:
        """Take a generation in; whether the island still counts (it does not once its task is closed)."""
        work = self.work.get((event.island.run, event.island.task))
        if work is None or work.stage is not Stage.EVOLVING:
            return False
        island = work.islands[event.island.island]
        plan = self._ledger.plan.runs[work.run.name]
        if plan.state is RunState.QUEUED:
            plan.state = RunState.RUNNING
        self._slots.worked(event.slot)
        before = island.snapshot.counters.evaluations
        island.report(event.snapshot)
        # Judged by the budget in force: a worker may not have heard yet that it was raised.
        island.is_resting = event.fit or self._is_spent(work, island)
        self._ledger.progress_of(work.run.name).evaluated(island.snapshot.counters.evaluations - before, now)
        if event.warning is not None and work.warning is None:
            work.warning = event.warning
            self._outbox.log("warning", "the problem's code misbehaves", island=str(island.id), reason=event.warning)
        work.is_fit = work.is_fit or event.fit
        if island.is_resting:
            self._slots.release(island.id)
        elif event.is_spent and not work.is_paused:
            self._send_again(work, island)
        if work.is_finished and not work.is_paused:
            self._close(work)
        if island.is_resting:
            self._fill()
        return True

    def _send_again(self, work: TaskWork, island: IslandWork) -> None:
        for slot in self._slots.slots:
            if island.id in slot.islands and slot.is_ready:
                self._send(slot, work, island)

    def missing(self, event: ProblemMissing) -> None:
        """This platform lacks the problem: it takes no island of the run."""
        if any(event.island in slot.islands for slot in self._slots.slots):
            self._set_aside(event.island.run, event.error)

    def failed(self, event: IslandFailed) -> None:
        """The problem's code cannot go on."""
        work = self.work.get((event.island.run, event.island.task))
        if work is not None and work.stage is Stage.EVOLVING:
            work.failure = event.error
            self._close(work)
            self._fill()

    def died(self, event: WorkerDied, now: float) -> None:
        """A worker is gone; what it worked on is judged, and goes on in its replacement."""
        slot = self._slots.died(event.slot, event.cause.value, now)
        verdict = "it had no island"
        # One that died before it said what it was at died of what it was given first.
        blamed = event.island or next(iter(slot.islands), None)
        work = self.work.get((blamed.run, blamed.task)) if blamed else None
        if work is not None and blamed is not None:
            if work.stage is Stage.VERIFYING:
                verdict = self.closing.verifier_died(work, event)
            elif work.stage is Stage.EVOLVING:
                verdict = self._island_died(work, work.islands[blamed.island], event)
        self._outbox.log(
            "warning",
            "a worker died and is replaced",
            slot=event.slot,
            cause=event.cause.value,
            island=str(blamed) if blamed else None,
            verdict=verdict,
        )

    def _close(self, work: TaskWork) -> None:
        if work.stage is Stage.EVOLVING:
            self._withdraw(work)
            self.closing.close(work)

    def _island_died(self, work: TaskWork, island: IslandWork, event: WorkerDied) -> str:
        verdict = island.blame(event)
        if event.culprit is not None and work.warning is None:
            work.warning = f"a worker died ({event.cause.value}) while it evaluated {text_of(event.culprit)[:80]!r}"
        if island.deaths >= MAX_BLAMELESS_DEATHS:
            work.failure = (
                f"{island.deaths} workers died ({event.cause.value}) in generation "
                f"{island.snapshot.generation + 1} of island {island.id.island} outside `evaluate`"
            )
            self._close(work)
            self._fill()
            return "its task is given up"
        return verdict
