"""Closing: from a task that has nothing left to evolve to its result in the plan."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from distevo.checkpoint import Checkpoint, encode_checkpoint
from distevo.errors import CheckpointError
from distevo.events import StoreAnswer, Verified, WorkerDied
from distevo.instructions import VerifyProgram
from distevo.ledger import Ledger, TaskId
from distevo.names import RESULTS, result_name, run_results
from distevo.outbox import Outbox, Publish
from distevo.result import Result, encode_result, result_digest, text_of
from distevo.slots import Slots
from distevo.work import Stage, TaskWork

MAX_VERIFY_DEATHS = 2
"""Workers that may die while they look at a guess before it stands unverified."""


class Closing:
    """Has a task's guess looked at, writes its result, and enters it into the ledger.

    `work` holds the tasks in hand, and is shared with the foreman; `changed` is called when there is one less.
    """

    def __init__(
        self,
        ledger: Ledger,
        slots: Slots,
        outbox: Outbox,
        publish: Publish,
        next_sequence: Callable[[], int],
        work: dict[TaskId, TaskWork],
        changed: Callable[[], None],
    ) -> None:
        self._ledger, self._slots, self._outbox = ledger, slots, outbox
        self._publish, self._next_sequence = publish, next_sequence
        self._work, self._changed = work, changed
        self.is_open = False
        """Whether guesses may be put to workers."""

    def open(self) -> None:
        """The plan is in force: put what waits to the workers."""
        self.is_open = True
        for work in self._work.values():
            if work.stage is Stage.VERIFYING:
                self._verify(work)

    def ready(self, number: int) -> None:
        """A worker is there: give it the guesses that wait for it."""
        for work in self._work.values():
            if work.stage is Stage.VERIFYING and work.verifier == number:
                self._verify(work)

    def close(self, work: TaskWork) -> None:
        """Close a task whose islands rest."""
        work.guess = work.choose()
        if work.guess is None or work.failure is not None:
            self._record(work, None)
        else:
            work.stage = Stage.VERIFYING
            work.verifier = self._slots.least_loaded().number
            self._verify(work)

    def _verify(self, work: TaskWork) -> None:
        if self.is_open and self._slots.slots[work.verifier].is_ready and work.guess is not None:
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

    def verifier_died(self, work: TaskWork, event: WorkerDied) -> str:
        """Judge the death of a worker that looked at a guess; returns what was decided, in words."""
        work.verify_deaths += 1
        if event.cause.convicts or work.verify_deaths >= MAX_VERIFY_DEATHS:
            reason = f"the worker that verified the guess died ({event.cause.value})"
            self._record(work, Verified(work.run.name, work.task, b"", None, False, None, reason))
            return "its task keeps an unverified guess"
        return "the guess is verified once more"

    def verified(self, event: Verified) -> None:
        """The guess was looked at: record the result."""
        work = self._work.get((event.run, event.task))
        if work is None or work.stage is not Stage.VERIFYING or work.guess is None:
            return
        if event.genome != work.guess.genome:
            return  # An answer about an earlier life of this task.
        self._slots.worked(work.verifier)
        if event.error is None and event.fitness != work.guess.fitness:
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
        error = work.failure or (verdict.error if verdict is not None else None) or work.warning
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
        data = encode_result(result, self._encoded(state))
        name = result_name(work.run.name, work.task, result_digest(data))
        self._outbox.create(name, data, lambda _answer, _now: self._recorded(work, name, result, error))

    def _encoded(self, state: Checkpoint) -> bytes:
        try:
            return encode_checkpoint(state)
        except CheckpointError as error:
            # Too large, say. The result counts for more than that it can be extended.
            self._outbox.log("error", "a result is written without its islands", reason=str(error))
            return encode_checkpoint(msgspec.structs.replace(state, islands=[]))

    def _recorded(self, work: TaskWork, name: str, result: Result, error: str | None) -> None:
        if self._work.get(work.id) is not work:
            return  # Another member decides by now.
        del self._work[work.id]
        run = self._ledger.plan.runs[work.run.name]
        self._ledger.close(work.id, name, result, work.duplicates(), error, work.failure is not None)
        settled = self._ledger.await_swap(f"{work.run.name}/{work.task}")
        if run.budget != work.budget:
            # Extended while the result was being written.
            self._ledger.reopen(work.run.name, run.budget, self._work)
        elif run.state.is_over:
            self._outbox.log("info", f"run {run.state}", run=work.run.name, **run.tally())

        def durable(_now: float) -> None:
            settled()
            if run.state.is_over:
                self.sweep_results(work.run.name)

        self._publish(durable)
        self._changed()

    def sweep_results(self, name: str | None) -> None:
        """Delete candidate results, of one run or of all, that no plan names and nobody is writing.

        Each was written by a daemon that died before its plan named it, or belongs to a run that is deleted.
        """

        def listed(answer: StoreAnswer, _now: float) -> None:
            runs = self._ledger.plan.runs.values()
            named = {task.result for run in runs for task in run.tasks.values()}
            writing = tuple(run_results(work.run.name) for work in self._work.values())
            for candidate in answer.names:
                if candidate not in named and not candidate.startswith(writing):
                    self._outbox.delete(candidate, lambda _answer, _now: None)

        self._outbox.list(RESULTS if name is None else run_results(name), listed)
