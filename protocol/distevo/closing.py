"""Closing: from a task that has nothing left to evolve to its result in the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from distevo.checkpoint import Checkpoint, IslandSnapshot, decode_checkpoint, restore
from distevo.errors import CheckpointError, ObjectError
from distevo.events import IslandId, ResultEncoded, ResultUnencodable, StoreAnswer, TaskId, Verified
from distevo.given_away import Elsewhere, GivenAway
from distevo.ledger import Ledger
from distevo.library import TakeSnapshots
from distevo.names import RESULTS, epoch_in, fold, result_name, run_results
from distevo.news import Report
from distevo.outbox import Outbox, Publish
from distevo.plan import Plan, RunPlan, RunState, TaskPlan
from distevo.program import Program
from distevo.reproduction import MAX_REFUTED, Refuted, complaint, is_same
from distevo.result import Result, decode_result, finite
from distevo.run import Run
from distevo.rungs import next_rung
from distevo.task_ends import Merge, Stage, TaskEnd, TaskEnds
from distevo.verifier import TakeVerdict
from distevo.work import states_of

FIT_SECONDS = 1.0
"""How long a fit task waits for the last states of its other islands: for their counts and a smaller fit program."""
REFUTED_SECONDS = 10.0
"""How long a task waits for them that is not fit after all."""
SAVED_SECONDS = 60.0
"""How long a task that fails waits for what its islands have saved: what cannot be read keeps no run from its end."""

Verify = Callable[[Run, str, bytes, TakeVerdict, float], None]
"""Has a guess looked at, by some platform that has the problem: (run, task, genome, then, now)."""

Saved = Callable[[Sequence[str], TakeSnapshots, float], None]
"""Reads all that these owners have in their checkpoints."""


class Closing:
    """Waits for the islands of tasks, has each guess looked at, writes the result, and enters it into the ledger."""

    def __init__(
        self,
        member: str,
        boot: str,
        ledger: Ledger,
        outbox: Outbox,
        publish: Publish,
        verify: Verify,
        withdraw: Callable[[TaskId], None],
        merge: Merge,
        saved: Saved,
        counted: Callable[[IslandId], tuple[int, int, float]],
        elsewhere: Elsewhere,
        changed: Callable[[], None],
        promoted: Callable[[TaskId], None],
    ) -> None:
        """`withdraw`: nobody waits any more for a verdict on a task's guess; `saved`: what owners have in their
        checkpoints; `counted`: (evaluations, duplicates, seconds) of an island as last heard; `changed`: a task was
        closed, or `promoted` to a higher rung before that.
        """
        self._member, self._boot = member, boot
        self._ledger, self._outbox, self._publish = ledger, outbox, publish
        self._verify, self._withdraw, self._merge, self._saved = verify, withdraw, merge, saved
        self._counted, self._changed, self._promoted = counted, changed, promoted
        self.ends = TaskEnds(ledger)
        self.given_away = GivenAway(ledger, outbox, elsewhere, publish, changed)
        self._entering: set[str] = set()
        """Results on their way into force: the plan that is being written may name one that the ledger has dropped."""
        self.is_open = False
        """Whether the plan is in force, so that results may be written."""
        self.in_force = Plan(epoch=0, version=0)

    def open(self, now: float) -> None:
        """The plan is in force: close what waits."""
        self.is_open = True
        for end in list(self.ends.by_task.values()):
            self._consider(end, now)

    # --- what is told ----------------------------------------------------------------------------

    def report(self, owner: str, report: Report, now: float) -> bool:
        """Islands of `owner` rest; whether any of that counts."""
        concerned = self.ends.report(owner, report, self.given_away.give)
        for end in concerned:
            self._consider(end, now)
        return bool(concerned)

    def fit(self, task: TaskId, programs: Iterable[Program], now: float) -> bool:
        """A task is fit; whether that is news."""
        end = self.ends.of(task) if self._is_as_known(task) else None
        smaller = end.smaller(programs) if end is not None else {}
        if end is None or not smaller:
            return False
        if not end.fit:
            self._outbox.later(now + FIT_SECONDS, lambda now: self._waited(end, now))
        if end.stage is Stage.VERIFYING:
            # All its islands had rested, and this comes from one that was cut off: better than the guess.
            self._collect(end)
        end.fit = smaller
        self._consider(end, now)
        return True

    def _is_as_known(self, task: TaskId) -> bool:
        """Whether members can speak of a task as it is: of one that was opened again since the plan in force, or whose
        run has taken the name of another, they speak as it was before."""
        known = self.in_force.runs.get(task[0])
        if known is None or task[1] not in known.tasks or self._ledger.place_of(IslandId(*task, 0)) is None:
            return True
        return known.first_grant_of(task[1]) == self._ledger.plan.runs[task[0]].first_grant_of(task[1])

    def reconsider(self, run: str, now: float) -> None:
        """A run was cancelled or extended, or goes on."""
        self.ends.forget_unbegun(run)
        for end in self.ends.of_run(run):
            # A budget that was raised gives an island that rested more to do; it will say so when it rests again.
            finals = self.ends.resting(end)
            if end.stage is Stage.VERIFYING and finals != end.finals:
                self._collect(end)
            # What is being written stands, and its task is opened again then.
            if end.stage is Stage.COLLECTING:
                end.finals = finals
                if not self._ledger.plan.runs[run].state.is_over:
                    end.empty.clear()
                self._consider(end, now)

    def _collect(self, end: TaskEnd) -> None:
        """The guess that is being looked at is none any more."""
        end.stage, end.has_looked = Stage.COLLECTING, False
        self._withdraw(end.id)

    def drop(self, run: str) -> None:
        """A run is gone."""
        self.ends.forget_unbegun(run)
        self.given_away.forget_run(run)
        for end in self.ends.of_run(run):
            self.ends.remove(end)
            self._withdraw(end.id)

    # --- closing ---------------------------------------------------------------------------------

    def _waited(self, end: TaskEnd, now: float) -> None:
        end.is_due = True
        if self.ends.has(end):
            self._consider(end, now)

    def _consider(self, end: TaskEnd, now: float) -> None:
        if not self.is_open or end.stage is not Stage.COLLECTING or end.is_looking:
            return
        run = self._ledger.plan.runs[end.run.name]
        if run.state is RunState.PAUSED and not end.fit:
            return
        task = run.tasks[end.task]
        if self.ends.is_complete(end) or end.is_due or end.failure is not None:
            if end.failure is not None and not end.has_looked and self._look_for_saved(end, task, now):
                return
            if end.has_any:
                end.budget = run.budget
                self._begin(end, run, now)
            elif run.state is RunState.CANCELLED:
                self._never_begun(end, task)

    def _look_for_saved(self, end: TaskEnd, task: TaskPlan, now: float) -> bool:
        """One island's failure ends the task, whose others tell nothing more: what they have saved is read. Whether
        there is any."""
        end.has_looked = True
        islands = [IslandId(*end.id, index) for index in range(len(task.islands)) if index not in end.finals]
        # Of one that had another owner nobody here need have heard anything.
        lacking = {
            island: place
            for island in islands
            if (place := task.islands[island.island]).former or self._counted(island)[0]
        }
        if not lacking:
            return False
        end.is_looking = True

        def read(found: list[IslandSnapshot], refusal: str, now: float) -> None:
            if not self.ends.has(end) or not end.is_looking:
                return  # Another member decides by now, or it was waited for long enough.
            end.is_looking = False
            if refusal:
                # It stays in the store, for a newer distevo to read; the result is made without it.
                self._outbox.log("error", "a task fails without what was saved", task=end.task, reason=refusal)
            run = self._ledger.plan.runs[end.run.name]
            since = run.first_grant_of(end.task)
            for island, place in lacking.items():
                states = [state for state in states_of(island, found, run) if state.grant >= since]
                state = restore(states, place.grant)
                if state is not None and island.island not in end.finals:
                    end.finals[island.island], end.rungs[island.island] = state, 0
            self._consider(end, now)

        owners = (owner for place in lacking.values() for owner in (*place.former, place.owner) if owner)
        self._outbox.later(now + SAVED_SECONDS, lambda now: read([], "", now))
        self._saved(list(dict.fromkeys(owners)), read, now)
        return True

    def _never_begun(self, end: TaskEnd, task: TaskPlan) -> None:
        """Nobody has anything of a cancelled task: its islands wait for the run to be extended. One that has a result,
        which nobody could take up, is over with that."""
        self.ends.remove(end)
        if task.result is not None:
            self._ledger.let_stand(end.id)
        else:
            islands = [IslandId(*end.id, index) for index in range(len(task.islands))]
            for island, place in zip(islands, task.islands, strict=True):
                if place.owner:
                    self._ledger.unplace(island)
            self.ends.note_unbegun(islands)
        self._publish()

    def _fall_back(self, end: TaskEnd, run: RunPlan) -> None:
        """What was to be done beyond a result that was told already has failed. That result stands, unless what was
        found since is better: it may be the work of days, and lies nowhere else."""
        name, guess = run.tasks[end.task].result, end.guess
        if name is None or guess is None:
            self._let_stand(end, run)
            return
        end.stage = Stage.RECORDING

        def read(answer: StoreAnswer, now: float) -> None:
            if not self.ends.has(end):
                return  # Another member decides by now.
            try:
                earlier, states = decode_result(answer.data)
                is_better = [finite(number) for number in guess.fitness] > (earlier.fitness or [])
                if is_better:
                    # Whoever extends it once more goes on with all islands, also with those that have said nothing yet.
                    end.earlier = {state.island: state for state in decode_checkpoint(states).islands}
            except (ObjectError, CheckpointError):
                is_better = False  # Nobody knows: it may be of a newer distevo.
            if is_better:
                self._look(end, guess, now)
            else:
                self._let_stand(end, run)

        self._outbox.read(name, read)

    def _let_stand(self, end: TaskEnd, run: RunPlan) -> None:
        """A task is over with the result that it had before its run was extended."""
        self.ends.remove(end)
        self._ledger.let_stand(end.id, end.failure)
        self._entered(end, run, run.tasks[end.task].result or "")

    def _begin(self, end: TaskEnd, run: RunPlan, now: float) -> None:
        end.guess = end.choose(self._merge)
        if end.guess is not None and end.guess.fit:
            end.failure = None  # Whichever came first: a task that is fit has not failed.
        if end.refuted and (end.guess is None or len(end.refuted) >= MAX_REFUTED):
            end.guess, end.failure = None, complaint(end.refuted)
        if end.failure is not None and run.tasks[end.task].is_extended:
            self._fall_back(end, run)
            return
        is_unfit = end.failure is None and (end.guess is None or not end.guess.fit)
        # What was refuted came with the states that are known: they are no good beginning for a larger budget.
        goes_on = is_unfit and end.may_climb and not end.refuted and not run.state.is_over
        end.rung = next_rung(run, end.task, end.finals.values()) if goes_on else None
        # What is not the last word needs no second look, nor what nobody would need again. Of a task that is extended
        # any result may be the last word: it is what stands should the rest fail.
        is_last = end.rung is None or run.tasks[end.task].is_extended
        if end.guess is None or end.failure is not None or not is_last:
            self._record(end, None, now)
            return
        self._look(end, end.guess, now)

    def _look(self, end: TaskEnd, guess: Program, now: float) -> None:
        """Have the guess evaluated again."""
        end.stage = Stage.VERIFYING

        def looked(verdict: Verified, now: float) -> None:
            # Since then its budget may have been raised, and another program may be the guess.
            if self.ends.has(end) and end.stage is Stage.VERIFYING and end.guess is guess:
                self._verified(end, verdict, now)

        self._verify(end.run, end.task, guess.genome, looked, now)

    def _verified(self, end: TaskEnd, verdict: Verified, now: float) -> None:
        assert end.guess is not None
        # Who could not look says why, and nothing of what it is worth. Where only `verify` raised, there is that too.
        is_unseen = verdict.error is not None and verdict.fitness is None
        if is_unseen and end.failure is not None:
            # Its result was looked at, and this was not.
            self._let_stand(end, self._ledger.plan.runs[end.run.name])
            return
        if is_unseen or is_same(end.guess.fitness, verdict.fitness):
            self._record(end, verdict, now)
            return
        end.refuted.append(Refuted(end.guess, verdict.fitness))
        self._outbox.log(
            "error", "a best program is no result", run=end.run.name, task=end.task, reason=str(end.refuted[-1])
        )
        end.fit.pop(end.guess.key, None)
        if end.fit or not end.is_due:
            self._begin(end, self._ledger.plan.runs[end.run.name], now)
            return
        # It was to be closed with what was known after a second: now all that its islands have counts.
        end.stage, end.is_due = Stage.COLLECTING, False
        self._outbox.later(now + REFUTED_SECONDS, lambda now: self._waited(end, now))
        self._consider(end, now)

    def _record(self, end: TaskEnd, verdict: Verified | None, now: float) -> None:
        end.stage = Stage.RECORDING
        evaluations, duplicates, seconds = self._counts(end)
        error = end.failure or (verdict.error if verdict is not None else None) or end.warning
        result = end.result(verdict, evaluations, seconds)
        # Who wrote it, and for which run of that name, is part of the content, so that no two ever make the same name:
        # a coordinator that slept, and one that deletes a run, may still delete what it wrote itself.
        state = Checkpoint(
            cluster="",
            member=self._member,
            boot=self._boot,
            sequence=self._ledger.plan.runs[end.run.name].first_grant,
            islands=end.states(),
            resource_usage={},
        )

        def encoded(event: ResultEncoded | ResultUnencodable, now: float) -> None:
            if not self.ends.has(end):
                return  # Another member decides by now.
            if isinstance(event, ResultEncoded):
                name = result_name(end.run.name, end.task, self.in_force.epoch, event.digest)
                self._outbox.create(
                    name, event.data, lambda _answer, now: self._recorded(end, name, result, duplicates, error, now)
                )
            elif end.rung is not None:
                end.may_climb = False
                self._begin(end, self._ledger.plan.runs[end.run.name], now)
            else:
                # The result counts for more than that it can be extended.
                self._outbox.log("error", "a result is written without its islands", reason=event.reason)
                self._outbox.encode(result, msgspec.structs.replace(state, islands=[]), encoded)

        self._outbox.encode(result, state, encoded)

    def _counts(self, end: TaskEnd) -> tuple[int, int, float]:
        """(evaluations, duplicates, seconds) of all islands; seconds are those of the one that worked longest."""
        evaluations, duplicates, seconds = 0, 0, 0.0
        task = self._ledger.plan.runs[end.run.name].tasks[end.task]
        for index in range(len(task.islands)):
            final = end.finals.get(index)
            if final is not None:
                c = final.counters
                counts = c.evaluations, c.duplicates, c.seconds
            else:
                counts = self._counted(IslandId(end.run.name, end.task, index))
            evaluations, duplicates = evaluations + counts[0], duplicates + counts[1]
            seconds = max(seconds, counts[2])
        # Of a task that goes on from a result, the states of some may not have been taken up again.
        return max(evaluations, task.evaluations), max(duplicates, task.duplicates), max(seconds, task.seconds)

    def _recorded(
        self, end: TaskEnd, name: str, result: Result, duplicates: int, error: str | None, now: float
    ) -> None:
        if not self.ends.has(end):
            return  # Another member decides by now.
        run = self._ledger.plan.runs[end.run.name]
        if end.rung is not None and run.state.is_over:
            # Cancelled while it was written: it is the last word now, and that has to be looked at again.
            self._begin(end, run, now)
            return
        self.ends.remove(end)
        if end.rung is not None:
            self._ledger.promote(end.id, name, result, duplicates, error, end.rung)
            self._promoted(end.id)
        else:
            is_failed = end.failure is not None and not run.tasks[end.task].is_extended
            self._ledger.close(end.id, name, result, duplicates, error, is_failed)
        self._entered(end, run, name)

    def _entered(self, end: TaskEnd, run: RunPlan, name: str) -> None:
        """The plan in hand says what came of a task, whose result has this name."""
        self.given_away.forget_task(end.id)
        if run.budget != end.budget and run.state is not RunState.CANCELLED:
            # Extended while its guess was looked at, or its result written.
            self._ledger.reopen(end.run.name, run.budget)
        elif run.state.is_over:
            self._outbox.log("info", f"run {run.state}", run=end.run.name, **run.tally())

        self._entering.add(name)

        def durable(_now: float) -> None:
            self._entering.discard(name)
            if run.state.is_over:
                self.sweep_results(end.run.name)

        self._publish(durable)
        self._changed()

    def sweep_results(self, name: str | None) -> None:
        """Delete candidate results, of one run or of all, that no plan names and nobody is writing.

        Each was written by a daemon that died before its plan named it, or belongs to a run that is deleted.
        """

        def listed(answer: StoreAnswer, _now: float) -> None:
            if not self.is_open:
                return
            # What is being decided, and what stands as long as that is not durable.
            plans = (self._ledger.plan, self.in_force)
            named = {task.result for plan in plans for run in plan.runs.values() for task in run.tasks.values()}
            named |= self._entering
            writing = tuple(run_results(end.run.name) for end in self.ends.by_task.values())
            # Where a file system takes upper for lower case, the results of two runs or tasks lie in one folder, and a
            # list shows those of the one under the name of the other.
            named, writing = {fold(name) for name in named if name}, tuple(map(fold, writing))
            for candidate in answer.names:
                epoch = epoch_in(candidate)
                if epoch is None or epoch > self.in_force.epoch:
                    continue  # A successor's, if this coordinator slept: to be judged by its plan, not by this one.
                if fold(candidate) not in named and not fold(candidate).startswith(writing):
                    self._outbox.delete(candidate)

        self._outbox.list(RESULTS if name is None else run_results(name), listed)
