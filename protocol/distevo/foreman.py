"""The foreman: which task is worked on where, when it is done, and what its result is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from distevo.checkpoint import (
    Checkpoint,
    IslandSnapshot,
    decode_checkpoint,
    encode_checkpoint,
    restore,
)
from distevo.errors import CheckpointError, ObjectError
from distevo.events import IslandFailed, IslandId, IslandReported, Outcome, StoreAnswer, Verified, WorkerDied
from distevo.instructions import LimitIsland, StartIsland, StopIsland, VerifyProgram
from distevo.ledger import Ledger, TaskId
from distevo.names import result_name, run_results
from distevo.outbox import Outbox
from distevo.plan import RunState
from distevo.result import Result, decode_result, encode_result, result_digest, text_of
from distevo.run import Budget
from distevo.slots import Slot, Slots
from distevo.work import MAX_BLAMELESS_DEATHS, IslandWork, Stage, TaskWork, fresh_snapshot

ISLANDS_AHEAD = 2
"""Each slot has at least this many islands placed, so that a worker never waits for its next one."""
MAX_VERIFY_DEATHS = 2


class Publish(Protocol):
    """Puts the plan in force, then calls `then`."""

    def __call__(self, then: Callable[[float], None] | None = None) -> None: ...


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
        self._publish, self._next_sequence = publish, next_sequence
        self.work: dict[TaskId, TaskWork] = {}
        self.is_working = False
        """Whether islands may be placed: only under a plan that is in force."""
        self._snapshots: dict[IslandId, list[IslandSnapshot]] = {}
        self._queue: deque[TaskId] = deque()
        self._opening: set[TaskId] = set()

    def load(self, snapshots: dict[IslandId, list[IslandSnapshot]]) -> None:
        """Prepare to work under a plan that the ledger holds, from these snapshots."""
        self._snapshots = snapshots

    def begin(self) -> None:
        """The plan is in force: work."""
        self.is_working = True
        self.requeue()

    def rest(self) -> None:
        """Place nothing more."""
        self.is_working = False

    def abandon(self) -> None:
        """Another member decides now: let go of everything in hand."""
        self.rest()
        for work in self.work.values():
            self._withdraw(work)
        self.work, self._snapshots, self._queue = {}, {}, deque()

    # --- runs ------------------------------------------------------------------------------------

    def requeue(self) -> None:
        """What may be worked on has changed."""
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
            if work.stage is Stage.EVOLVING:
                self._place(work)
        self.requeue()

    def end(self, name: str) -> None:
        """Close the tasks of a run as they are."""
        for work in self.in_hand(name):
            self._close(work)
        self.requeue()
        self._forget_if_over(name)

    def extend(self, name: str, budget: Budget) -> None:
        """Let a run's islands work on under a higher budget."""
        for work in self.in_hand(name):
            # One whose result is being written opens again when that is done.
            if work.stage is Stage.EVOLVING:
                work.budget = budget
                self._relimit(work)
        self.requeue()

    # --- placing ---------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Begin tasks while some slot would soon have nothing to do."""
        while (
            self.is_working
            and self._queue
            and not self._opening
            and len(self._slots.least_loaded().islands) < ISLANDS_AHEAD
        ):
            self._open(self._queue.popleft())

    def _open(self, task: TaskId) -> None:
        entry = self._ledger.plan.runs[task[0]].tasks[task[1]]
        if entry.result is None:
            self._start(task, [])
            return
        # An extended task: its islands lie in its result.
        self._opening.add(task)

        def arrived(answer: StoreAnswer, _now: float) -> None:
            self._opening.discard(task)
            snapshots: list[IslandSnapshot] = []
            try:
                if answer.outcome is Outcome.DONE:
                    snapshots = decode_checkpoint(decode_result(answer.data)[1]).islands
            except (ObjectError, CheckpointError) as error:
                self._outbox.log(
                    "error",
                    "a result cannot be read; the task begins anew",
                    name=entry.result,
                    reason=str(error),
                )
            run = self._ledger.plan.runs.get(task[0])
            if run is not None and not run.state.is_over and run.state is not RunState.PAUSED:
                self._start(task, snapshots)
            self._fill()

        self._outbox.read(entry.result, arrived)

    def _start(self, task: TaskId, snapshots: list[IslandSnapshot]) -> None:
        run, entry = self._ledger.runs[task[0]], self._ledger.plan.runs[task[0]].tasks[task[1]]
        work = TaskWork(run, task[1], self._ledger.plan.runs[run.name].budget)
        for index, place in enumerate(entry.islands):
            key = IslandId(run.name, task[1], index)
            known = self._snapshots.pop(key, []) + [s for s in snapshots if s.island == index]
            snapshot = restore(known, place.grant) or fresh_snapshot(run, key, place.grant)
            work.islands.append(IslandWork(key, msgspec.structs.replace(snapshot, grant=place.grant)))
        self.work[task] = work
        guess = work.choose()
        work.is_fit = guess is not None and guess.fit
        for island in work.islands:
            island.is_resting = work.is_fit or self._is_spent(work, island)
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
        for work in self.work.values():
            if work.stage is Stage.VERIFYING and work.verifier == number:
                self._verify(work)

    def reported(self, event: IslandReported, now: float) -> bool:
        """Take a generation in; whether the island still counts (it does not once its task is closed)."""
        work = self.work.get((event.island.run, event.island.task))
        if work is None or work.stage is not Stage.EVOLVING:
            return False
        island = work.islands[event.island.island]
        plan = self._ledger.plan.runs[work.run.name]
        if plan.state is RunState.QUEUED:
            plan.state = RunState.RUNNING
        before = island.snapshot.counters.evaluations
        island.report(event.snapshot, event.fit or event.is_spent)
        self._ledger.progress_of(work.run.name).evaluated(island.snapshot.counters.evaluations - before, now)
        if event.warning is not None and work.warning is None:
            work.warning = event.warning
            self._outbox.log("warning", "the problem's code misbehaves", island=str(island.id), reason=event.warning)
        work.is_fit = work.is_fit or event.fit
        if island.is_resting:
            self._slots.release(island.id)
        if work.is_finished:
            self._close(work)
        if island.is_resting:
            self._fill()
        return True

    def failed(self, event: IslandFailed) -> None:
        """The problem's code cannot go on."""
        work = self.work.get((event.island.run, event.island.task))
        if work is not None and work.stage is Stage.EVOLVING:
            work.failure = event.error
            self._close(work)
            self._fill()

    def died(self, event: WorkerDied, now: float) -> None:
        """A worker is gone; what it worked on is judged, and goes on in its replacement."""
        self._slots.died(event.slot, event.cause.value, now)
        verdict = "it had no island"
        work = self.work.get((event.island.run, event.island.task)) if event.island else None
        if work is not None and event.island is not None:
            if work.stage is Stage.VERIFYING:
                verdict = self._verifier_died(work, event)
            elif work.stage is Stage.EVOLVING:
                verdict = self._island_died(work, work.islands[event.island.island], event)
        self._outbox.log(
            "warning",
            "a worker died and is replaced",
            slot=event.slot,
            cause=event.cause.value,
            island=str(event.island) if event.island else None,
            verdict=verdict,
        )

    def _island_died(self, work: TaskWork, island: IslandWork, event: WorkerDied) -> str:
        verdict = island.blame(event)
        if island.deaths >= MAX_BLAMELESS_DEATHS:
            work.failure = (
                f"{island.deaths} workers died ({event.cause.value}) in generation "
                f"{island.snapshot.generation + 1} of island {island.id.island} outside `evaluate`"
            )
            self._close(work)
            self._fill()
            return "its task is given up"
        return verdict

    # --- closing ---------------------------------------------------------------------------------

    def _close(self, work: TaskWork) -> None:
        if work.stage is not Stage.EVOLVING:
            return
        self._withdraw(work)
        work.guess = work.choose()
        if work.guess is None or work.failure is not None:
            self._record(work, None)
        else:
            work.stage = Stage.VERIFYING
            work.verifier = self._slots.least_loaded().number
            self._verify(work)

    def _verify(self, work: TaskWork) -> None:
        if self.is_working and self._slots.slots[work.verifier].is_ready and work.guess is not None:
            self._outbox.emit(
                VerifyProgram(
                    slot=work.verifier,
                    run=work.run.name,
                    task=work.task,
                    problem=work.run.problem,
                    data=bytes(work.run.tasks[work.task]),
                    genome=work.guess.genome,
                )
            )

    def _verifier_died(self, work: TaskWork, event: WorkerDied) -> str:
        work.verify_deaths += 1
        if event.cause.convicts or work.verify_deaths >= MAX_VERIFY_DEATHS:
            reason = f"the worker that verified the guess died ({event.cause.value})"
            self.verified(Verified(work.run.name, work.task, None, False, None, reason))
            return "its task keeps an unverified guess"
        return "the guess is verified once more"

    def verified(self, event: Verified) -> None:
        """The guess was looked at: record the result."""
        work = self.work.get((event.run, event.task))
        if work is None or work.stage is not Stage.VERIFYING:
            return
        if event.error is None and work.guess is not None and event.fitness != work.guess.fitness:
            self._outbox.log(
                "warning",
                "the best program has another fitness when evaluated again; is `evaluate` deterministic?",
                run=event.run,
                task=event.task,
                before=work.guess.fitness,
                after=event.fitness,
            )
        self._record(work, event)

    def _record(self, work: TaskWork, verdict: Verified | None) -> None:
        work.stage = Stage.RECORDING
        sequence = self._next_sequence()
        islands = [msgspec.structs.replace(s, sequence=sequence) for s in work.snapshots()]
        guess = work.guess
        error = work.failure or (verdict.error if verdict is not None else None)
        result = Result(
            run=work.run.name,
            task=work.task,
            fit=verdict.fit if verdict is not None and verdict.error is None else guess is not None and guess.fit,
            solved=verdict.solved if verdict is not None else None,
            program=text_of(guess.genome) if guess else None,
            key=guess.key.hex() if guess else None,
            fitness=list(guess.fitness) if guess else None,
            evaluations=work.evaluations(),
            seconds=round(work.seconds(), 3),
        )
        state = Checkpoint(cluster="", member="", boot="", sequence=sequence, islands=islands, resource_usage={})
        data = encode_result(result, encode_checkpoint(state))
        name = result_name(work.run.name, work.task, result_digest(data))
        self._outbox.create(name, data, lambda _answer, _now: self._recorded(work, name, result, error))

    def _recorded(self, work: TaskWork, name: str, result: Result, error: str | None) -> None:
        if self.work.get(work.id) is not work:
            return  # Another member decides by now.
        del self.work[work.id]
        run = self._ledger.plan.runs[work.run.name]
        self._ledger.close(work.id, name, result, work.duplicates(), error, work.failure is not None)
        if run.budget != work.budget:
            # Extended while the result was being written.
            self._ledger.reopen(work.run.name, run.budget, self.work)
            self.requeue()
        elif run.state.is_over:
            self._outbox.log("info", f"run {run.state}", run=work.run.name, **run.tally())
        self._forget_if_over(work.run.name)
        self._publish(lambda _now: self.sweep_results(work.run.name) if run.state.is_over else None)
        self._fill()

    def _forget_if_over(self, name: str) -> None:
        if self._ledger.plan.runs[name].state.is_over and not self.in_hand(name):
            self._ledger.runs.pop(name, None)

    def sweep_results(self, name: str) -> None:
        """Delete candidates that lost: each was written by a daemon that died before the plan named it."""

        def listed(answer: StoreAnswer, _now: float) -> None:
            run = self._ledger.plan.runs.get(name)
            named = {task.result for task in run.tasks.values()} if run is not None else set()
            for candidate in answer.names:
                if candidate not in named and not self.in_hand(name):
                    self._outbox.delete(candidate, lambda _answer, _now: None)

        self._outbox.list(run_results(name), listed)
