"""Closing: from a task that has nothing left to evolve to its result in the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from distevo.block import pack
from distevo.checkpoint import Checkpoint, IslandSnapshot, decode_checkpoint, restore
from distevo.errors import CheckpointError, ObjectError
from distevo.events import IslandId, ResultEncoded, ResultUnencodable, StoreAnswer, TaskId, Verified
from distevo.ledger import Ledger
from distevo.library import TakeSnapshots
from distevo.merge import PopulationMerger
from distevo.names import RESULTS, epoch_in, result_name, run_results
from distevo.news import Report
from distevo.outbox import Outbox, Publish
from distevo.plan import Plan, RunPlan, RunState, TaskPlan
from distevo.population import Population
from distevo.program import Program
from distevo.provenance import provenance_of
from distevo.reproduction import MAX_REFUTED, Refuted, complaint, guess_of, is_same, smallest
from distevo.result import Result, decode_result, finite, text_of
from distevo.run import Budget, Run
from distevo.rungs import is_spent, next_rung
from distevo.verifier import TakeVerdict
from distevo.work import is_of, population_of, states_of

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

Merge = Callable[[TaskId, Iterable[Iterable[Program]]], Population]
"""Merges the last states of a task's islands, and what is known of the task beside them."""


class Stage(StrEnum):
    """How far a task is."""

    COLLECTING = "collecting"
    VERIFYING = "verifying"
    RECORDING = "recording"


@dataclass(slots=True)
class TaskEnd:
    """What is known of a task of which some island rests."""

    run: Run
    task: str
    stage: Stage = Stage.COLLECTING
    finals: dict[int, IslandSnapshot] = field(default_factory=dict)
    """Last states by island."""
    rungs: dict[int, int] = field(default_factory=dict)
    """Of these, the rung up to which each was evolved."""
    empty: set[int] = field(default_factory=set)
    """Islands that are over and never had a generation."""
    earlier: dict[int, IslandSnapshot] = field(default_factory=dict)
    """States by island in the result from which it was extended, once it takes the place of that though it fails."""
    fit: dict[bytes, Program] = field(default_factory=dict)
    """Fit programs by key."""
    failure: str | None = None
    warning: str | None = None
    guess: Program | None = None
    refuted: list[Refuted] = field(default_factory=list)
    """Guesses that were worth something else when they were evaluated again."""
    budget: Budget = field(default_factory=lambda: Budget(None, None))
    """In force when its result was begun."""
    rung: int | None = None
    """Where it goes on from that result; None: it is the last."""
    may_climb: bool = True
    """Whether its states can be written down, for others to go on from."""
    is_due: bool = False
    """It has waited long enough for the states of its other islands."""
    has_looked: bool = False
    """Whether what its islands have saved was asked for, since it fails,"""
    is_looking: bool = False
    """and is not there yet."""

    @property
    def id(self) -> TaskId:
        """(run, task)."""
        return self.run.name, self.task

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is evolved for it, whatever budget is left."""
        return bool(self.fit or self.refuted) or self.failure is not None

    @property
    def has_any(self) -> bool:
        """Whether there is something to make a result of, be it a complaint."""
        return self.is_settled or bool(self.finals)

    def choose(self, merge: Merge) -> Program | None:
        """The program that becomes the guess: the smallest fit one, else the best; None if there is none."""
        populations: list[Iterable[Program]] = [population_of(self.finals[island]) for island in sorted(self.finals)]
        return guess_of(merge(self.id, [*populations, self.fit.values()]), self.refuted)


class Closing:
    """Collects the last states of tasks, has each guess looked at, writes the result, and enters it into the ledger."""

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
        self.ends: dict[TaskId, TaskEnd] = {}
        self._unbegun: set[IslandId] = set()
        """Islands of cancelled runs of which nobody who could be asked has a state."""
        self._entering: set[str] = set()
        """Results on their way into force: the plan that is being written may name one that the ledger has dropped."""
        self.is_open = False
        """Whether the plan is in force, so that results may be written."""
        self.in_force = Plan(epoch=0, version=0)

    def open(self, now: float) -> None:
        """The plan is in force: close what waits."""
        self.is_open = True
        for end in list(self.ends.values()):
            self._consider(end, now)

    # --- what members say ------------------------------------------------------------------------

    def report(self, owner: str, report: Report, now: float) -> bool:
        """Islands of `owner` rest; whether any of that counts. What is said under another grant than the plan's is the
        past, and ignored."""
        concerned: dict[TaskId, TaskEnd] = {}
        for failed, (grant, error) in report.failures.items():
            end = self._end_of(failed[:2]) if self._is_its(failed, owner, grant) else None
            # It ends the task, unless that is fit, or its guess is being looked at already.
            if end is not None and end.stage is Stage.COLLECTING and not end.fit and end.failure is None:
                end.failure = error
                concerned[end.id] = end
        for snapshot in report.finals:
            island = IslandId(snapshot.run, snapshot.task, snapshot.island)
            rung = report.rungs.get(island, 0)
            is_its = self._is_its(island, owner, snapshot.grant) and is_of(self._ledger.plan.runs[island.run], snapshot)
            if is_its and not self._may_go_on(island, snapshot, rung):
                end = self._end_of(island[:2])
                known = end.finals.get(island.island) if end is not None else None
                # What was said late, before the island went on, is the past, too.
                is_newest = known is None or (known.grant, known.sequence) <= (snapshot.grant, snapshot.sequence)
                if end is not None and end.stage is Stage.COLLECTING and is_newest:
                    end.finals[island.island], end.rungs[island.island] = snapshot, rung
                    concerned[end.id] = end
        for island, grant in report.empty:
            if not self._is_its(island, owner, grant):
                continue  # its run may be gone, too
            end = self.ends.get(island[:2])
            # Only what is cancelled or fit elsewhere rests before it has begun; and a run may be extended again.
            if (end is not None and end.is_settled) or self._is_cancelled(island.run):
                end = self._end_of(island[:2])
                if end is not None:
                    end.empty.add(island.island)
                    concerned[end.id] = end
        for task, warning in report.warnings.items():
            end = self.ends.get(task)
            if end is not None and end.warning is None and self._owns_some(owner, task):
                end.warning = warning
        for end in concerned.values():
            self._consider(end, now)
        return bool(concerned)

    def _owns_some(self, owner: str, task: TaskId) -> bool:
        return any(place.owner == owner for place in self._ledger.plan.runs[task[0]].tasks[task[1]].islands)

    def _is_cancelled(self, run: str) -> bool:
        return self._ledger.plan.runs[run].state is RunState.CANCELLED

    def fit(self, task: TaskId, programs: Iterable[Program], now: float) -> bool:
        """A task is fit; whether that is news."""
        end = self._end_of(task) if self._is_as_known(task) else None
        if end is None or end.stage is Stage.RECORDING or (end.stage is Stage.VERIFYING and end.fit):
            return False
        # It may be said again by who has not heard yet that it is not so.
        gone = {refuted.program.key for refuted in end.refuted}
        kept = smallest([*(program for program in programs if program.key not in gone), *end.fit.values()])
        if kept.keys() <= end.fit.keys():
            return False
        if not end.fit:
            self._outbox.later(now + FIT_SECONDS, lambda now: self._waited(end, now))
        if end.stage is Stage.VERIFYING:
            # All its islands had rested, and this comes from one that was cut off: better than the guess.
            self._collect(end)
        end.fit = kept
        self._consider(end, now)
        return True

    def is_final(self, island: IslandId) -> bool:
        """Whether an island is known to rest under its present grant."""
        end = self.ends.get(island[:2])
        if end is None:
            return False
        if end.is_settled or end.stage is not Stage.COLLECTING or island.island in end.empty:
            return True
        final = end.finals.get(island.island)
        return final is not None and self._is_current(island, final.grant)

    def is_unbegun(self, island: IslandId) -> bool:
        """Whether an island of a cancelled run has no owner, since there is no state of it, as far as anybody knows."""
        place = self._ledger.place_of(island)
        return island in self._unbegun and place is not None and not place.owner

    def is_ending(self, task: TaskId) -> bool:
        """Whether a task is about to get its result, whatever its islands still say."""
        end = self.ends.get(task)
        return end is not None and (end.is_settled or end.stage is not Stage.COLLECTING)

    def reconsider(self, run: str, now: float) -> None:
        """A run was cancelled or extended, or goes on."""
        self._unbegun = {island for island in self._unbegun if island.run != run}
        for end in [end for end in self.ends.values() if end.run.name == run]:
            # A budget that was raised gives an island that rested more to do; it will say so when it rests again.
            finals = {
                index: snapshot
                for index, snapshot in end.finals.items()
                if not self._may_go_on(IslandId(*end.id, index), snapshot, end.rungs[index])
            }
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
        self._unbegun = {island for island in self._unbegun if island.run != run}
        for task in [task for task in self.ends if task[0] == run]:
            del self.ends[task]
            self._withdraw(task)

    def is_recording(self, run: str) -> bool:
        """Whether a result of this run is being written."""
        return any(end.run.name == run and end.stage is Stage.RECORDING for end in self.ends.values())

    def in_hand(self, run: str) -> list[TaskEnd]:
        """Tasks of a run that are ending."""
        return [end for end in self.ends.values() if end.run.name == run and end.has_any]

    def _end_of(self, task: TaskId) -> TaskEnd | None:
        if self._ledger.place_of(IslandId(*task, 0)) is None:
            return None
        end = self.ends.get(task)
        if end is None:
            run = self._ledger.runs.get(task[0])
            if run is None:
                return None
            end = self.ends[task] = TaskEnd(run, task[1])
        return end

    def _is_as_known(self, task: TaskId) -> bool:
        """Whether members can speak of a task as it is: of one that was opened again since the plan in force, or whose
        run has taken the name of another, they speak as it was before."""
        known = self.in_force.runs.get(task[0])
        if known is None or task[1] not in known.tasks or self._ledger.place_of(IslandId(*task, 0)) is None:
            return True
        return known.first_grant_of(task[1]) == self._ledger.plan.runs[task[0]].first_grant_of(task[1])

    def _is_its(self, island: IslandId, owner: str, grant: int) -> bool:
        place = self._ledger.place_of(island)
        return place is not None and (place.owner, place.grant) == (owner, grant)

    def _is_current(self, island: IslandId, grant: int) -> bool:
        place = self._ledger.place_of(island)
        return place is not None and place.grant == grant

    def _may_go_on(self, island: IslandId, snapshot: IslandSnapshot, rung: int) -> bool:
        """Whether the budget in force gives an island more to do that was evolved up to this rung."""
        run, end = self._ledger.plan.runs[island.run], self.ends.get(island[:2])
        if run.state.is_over or (end is not None and end.is_settled):
            return False
        share = run.share(island.task, island.island, max(rung, run.tasks[island.task].rung))
        return not is_spent(share, snapshot.counters)

    # --- closing ---------------------------------------------------------------------------------

    def _waited(self, end: TaskEnd, now: float) -> None:
        end.is_due = True
        if self.ends.get(end.id) is end:
            self._consider(end, now)

    def _consider(self, end: TaskEnd, now: float) -> None:
        if not self.is_open or end.stage is not Stage.COLLECTING or end.is_looking:
            return
        run = self._ledger.plan.runs[end.run.name]
        if run.state is RunState.PAUSED and not end.fit:
            return
        task = run.tasks[end.task]
        if self._is_complete(end, task, run.state is RunState.CANCELLED) or end.is_due or end.failure is not None:
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

        def read(found: list[IslandSnapshot], _refusal: str, now: float) -> None:
            if self.ends.get(end.id) is not end or not end.is_looking:
                return  # Another member decides by now, or it was waited for long enough.
            end.is_looking = False
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

    def _is_complete(self, end: TaskEnd, task: TaskPlan, is_cancelled: bool) -> bool:
        for index, place in enumerate(task.islands):
            final = end.finals.get(index)
            rests = (final is not None and final.grant == place.grant) or index in end.empty
            # What has no place yet has not begun, and of a cancelled run never will, unless a result has its state.
            is_nobodys = place.is_nobodys or self.is_unbegun(IslandId(*end.id, index))
            if not rests and not (is_cancelled and is_nobodys and task.result is None):
                return False
        return True

    def _never_begun(self, end: TaskEnd, task: TaskPlan) -> None:
        """Nobody has anything of a cancelled task: its islands wait for the run to be extended. One that has a result,
        which nobody could take up, is over with that."""
        del self.ends[end.id]
        if task.result is not None:
            self._ledger.let_stand(end.id)
        else:
            islands = [IslandId(*end.id, index) for index in range(len(task.islands))]
            for island, place in zip(islands, task.islands, strict=True):
                if place.owner:
                    self._ledger.unplace(island)
            self._unbegun |= set(islands)
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
            if self.ends.get(end.id) is not end:
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
        del self.ends[end.id]
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
            if self.ends.get(end.id) is end and end.stage is Stage.VERIFYING and end.guess is guess:
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
        guess, counts = end.guess, self._counts(end)
        error = end.failure or (verdict.error if verdict is not None else None) or end.warning
        result = Result(
            run=end.run.name,
            task=end.task,
            fit=verdict.fit if verdict is not None and verdict.fitness is not None else guess is not None and guess.fit,
            solved=verdict.solved if verdict is not None else None,
            program=text_of(guess.genome) if guess else None,
            key=guess.key.hex() if guess else None,
            fitness=[finite(number) for number in guess.fitness] if guess else None,
            evaluations=counts[0],
            seconds=round(counts[2], 3),
            origin=provenance_of(guess.meta) if guess else None,
        )
        states = end.earlier | end.finals
        islands = _with([states[index] for index in sorted(states)], guess)
        # Who wrote it, and for which run of that name, is part of the content, so that no two ever make the same name:
        # a coordinator that slept, and one that deletes a run, may still delete what it wrote itself.
        state = Checkpoint(
            cluster="",
            member=self._member,
            boot=self._boot,
            sequence=self._ledger.plan.runs[end.run.name].first_grant,
            islands=islands,
            resource_usage={},
        )

        def encoded(event: ResultEncoded | ResultUnencodable, now: float) -> None:
            if self.ends.get(end.id) is not end:
                return  # Another member decides by now.
            if isinstance(event, ResultEncoded):
                name = result_name(end.run.name, end.task, self.in_force.epoch, event.digest)
                self._outbox.create(
                    name, event.data, lambda _answer, now: self._recorded(end, name, result, counts[1], error, now)
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
        if self.ends.get(end.id) is not end:
            return  # Another member decides by now.
        run = self._ledger.plan.runs[end.run.name]
        if end.rung is not None and run.state.is_over:
            # Cancelled while it was written: it is the last word now, and that has to be looked at again.
            self._begin(end, run, now)
            return
        del self.ends[end.id]
        if end.rung is not None:
            self._ledger.promote(end.id, name, result, duplicates, error, end.rung)
            self._promoted(end.id)
        else:
            is_failed = end.failure is not None and not run.tasks[end.task].is_extended
            self._ledger.close(end.id, name, result, duplicates, error, is_failed)
        self._entered(end, run, name)

    def _entered(self, end: TaskEnd, run: RunPlan, name: str) -> None:
        """The plan in hand says what came of a task, whose result has this name."""
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
            writing = tuple(run_results(end.run.name) for end in self.ends.values())
            for candidate in answer.names:
                epoch = epoch_in(candidate)
                if epoch is None or epoch > self.in_force.epoch:
                    continue  # A successor's, if this coordinator slept: to be judged by its plan, not by this one.
                if candidate not in named and not candidate.startswith(writing):
                    self._outbox.delete(candidate)

        self._outbox.list(RESULTS if name is None else run_results(name), listed)


def _with(states: list[IslandSnapshot], guess: Program | None) -> list[IslandSnapshot]:
    """The states of a task, one of which has the guess: where it came by merging none may, and whoever goes on from
    the result must not be without it."""
    if guess is None or not states or any(guess.key in population_of(state) for state in states):
        return states
    first, *others = states
    population = PopulationMerger.merge_populations([population_of(first), [guess]])
    return [msgspec.structs.replace(first, population=pack(list(population))), *others]
