"""Task ends: the tasks of which some island rests, and what is known of each, until their results are in the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from distevo.block import pack
from distevo.checkpoint import Claim, IslandSnapshot
from distevo.events import IslandId, TaskId, Verified
from distevo.ledger import Ledger
from distevo.merge import PopulationMerger
from distevo.news import Report
from distevo.plan import RunState
from distevo.population import Population
from distevo.program import Program
from distevo.provenance import provenance_of
from distevo.reproduction import Refuted, guess_of, smallest
from distevo.result import Result, finite, text_of
from distevo.run import Budget, Run
from distevo.rungs import is_spent
from distevo.work import is_of, population_of

Merge = Callable[[TaskId, Iterable[Iterable[Program]]], Population]
"""Merges the last states of a task's islands, and what is known of the task beside them."""


class Stage(StrEnum):
    """How far a task is."""

    COLLECTING = "collecting"
    VERIFYING = "verifying"
    RECORDING = "recording"


class TaskEnd(msgspec.Struct):
    """What is known of a task of which some island rests."""

    run: Run
    task: str
    stage: Stage = Stage.COLLECTING
    finals: dict[int, IslandSnapshot] = {}
    """Last states by island."""
    rungs: dict[int, int] = {}
    """Of these, the rung up to which each was evolved."""
    empty: set[int] = set()
    """Islands that are over and never had a generation."""
    earlier: dict[int, IslandSnapshot] = {}
    """States by island in the result from which it was extended, once it takes the place of that though it fails."""
    fit: dict[bytes, Program] = {}
    """Fit programs by key."""
    failure: str | None = None
    warning: str | None = None
    guess: Program | None = None
    refuted: list[Refuted] = []
    """Guesses that were worth something else when they were evaluated again."""
    budget: Budget = msgspec.field(default_factory=lambda: Budget(None, None))
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

    def smaller(self, programs: Iterable[Program]) -> dict[bytes, Program]:
        """The smallest fit programs by key, with these among them; empty if that is no news, or comes too late."""
        if self.stage is Stage.RECORDING or (self.stage is Stage.VERIFYING and self.fit):
            return {}
        # It may be said again by who has not heard yet that it is not so.
        gone = {refuted.program.key for refuted in self.refuted}
        kept = smallest([*(program for program in programs if program.key not in gone), *self.fit.values()])
        return {} if kept.keys() <= self.fit.keys() else kept

    def states(self) -> list[IslandSnapshot]:
        """The states that go with its result, one of which has the guess: where it came by merging none may, and
        whoever goes on from the result must not be without it."""
        by_island, guess = self.earlier | self.finals, self.guess
        states = [by_island[index] for index in sorted(by_island)]
        if guess is None or not states or any(guess.key in population_of(state) for state in states):
            return states
        first, *others = states
        population = PopulationMerger.merge_populations([population_of(first), [guess]])
        return [msgspec.structs.replace(first, population=pack(list(population))), *others]

    def result(self, verdict: Verified | None, evaluations: int, seconds: float) -> Result:
        """What is told of it; `verdict`: of who looked at the guess again, if anybody did."""
        guess = self.guess
        return Result(
            run=self.run.name,
            task=self.task,
            fit=verdict.fit if verdict is not None and verdict.fitness is not None else guess is not None and guess.fit,
            solved=verdict.solved if verdict is not None else None,
            program=text_of(guess.genome) if guess else None,
            key=guess.key.hex() if guess else None,
            fitness=[finite(number) for number in guess.fitness] if guess else None,
            evaluations=evaluations,
            seconds=round(seconds, 3),
            origin=provenance_of(guess.meta) if guess else None,
        )


GiveAway = Callable[[TaskEnd, IslandId, str, str], bool]
"""Whether another platform goes on with an island in the place of this owner, whose workers die of it; with the error
that says so."""


class TaskEnds:
    """What members say of islands that rest, as far as the plan in hand lets it count."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.by_task: dict[TaskId, TaskEnd] = {}
        self._unbegun: set[IslandId] = set()
        """Islands of cancelled runs of which nobody who could be asked has a state."""

    # --- what members say ------------------------------------------------------------------------

    def report(self, owner: str, report: Report, give_away: GiveAway) -> list[TaskEnd]:
        """Islands of `owner` rest; the tasks for which any of that counts. What is said under another grant than the
        plan's is the past, and ignored. An island that its workers die of may go on elsewhere."""
        concerned: dict[TaskId, TaskEnd] = {}
        for failed, (grant, error) in report.failures.items():
            end = self.of(failed[:2]) if self._is_its(failed, owner, grant) else None
            # It ends the task, unless that is fit, or its guess is being looked at already.
            if end is not None and end.stage is Stage.COLLECTING and not end.fit and end.failure is None:
                if failed in report.deaths and give_away(end, failed, owner, error):
                    continue
                end.failure = error
                concerned[end.id] = end
        for snapshot in report.finals:
            island = IslandId(snapshot.run, snapshot.task, snapshot.island)
            rung = report.rungs.get(island, 0)
            if self.is_told_by(owner, snapshot) and not self._may_go_on(island, snapshot, rung):
                end = self.of(island[:2])
                known = end.finals.get(island.island) if end is not None else None
                # What was said late, before the island went on, is the past, too.
                is_newest = known is None or (known.grant, known.sequence) <= (snapshot.grant, snapshot.sequence)
                if end is not None and end.stage is Stage.COLLECTING and is_newest:
                    end.finals[island.island], end.rungs[island.island] = snapshot, rung
                    concerned[end.id] = end
        for island, grant in report.empty:
            if not self._is_its(island, owner, grant):
                continue  # its run may be gone, too
            end = self.by_task.get(island[:2])
            # Only what is cancelled or fit elsewhere rests before it has begun; and a run may be extended again.
            if (end is not None and end.is_settled) or self._is_cancelled(island.run):
                end = self.of(island[:2])
                if end is not None:
                    end.empty.add(island.island)
                    concerned[end.id] = end
        for task, warning in report.warnings.items():
            end = self.by_task.get(task)
            if end is not None and end.warning is None and self._owns_some(owner, task):
                end.warning = warning
        return list(concerned.values())

    def is_told_by(self, owner: str, state: Claim | IslandSnapshot) -> bool:
        """Whether a last state is of an island that this owner has by the plan in hand, and of its run."""
        island = IslandId(state.run, state.task, state.island)
        return self._is_its(island, owner, state.grant) and is_of(self._ledger.plan.runs[island.run], state)

    def of(self, task: TaskId) -> TaskEnd | None:
        """What is known of a task, from now on; None if the plan has no such task, or nobody its run."""
        if self._ledger.place_of(IslandId(*task, 0)) is None:
            return None
        end = self.by_task.get(task)
        if end is None:
            run = self._ledger.runs.get(task[0])
            if run is None:
                return None
            end = self.by_task[task] = TaskEnd(run, task[1])
        return end

    # --- what is known ---------------------------------------------------------------------------

    def has(self, end: TaskEnd) -> bool:
        """Whether it is still open. Else its run is gone, or another member decides by now."""
        return self.by_task.get(end.id) is end

    def of_run(self, run: str) -> list[TaskEnd]:
        """All of a run."""
        return [end for end in self.by_task.values() if end.run.name == run]

    def in_hand(self, run: str) -> list[TaskEnd]:
        """Tasks of a run that are ending."""
        return [end for end in self.of_run(run) if end.has_any]

    def is_recording(self, run: str) -> bool:
        """Whether a result of this run is being written."""
        return any(end.stage is Stage.RECORDING for end in self.of_run(run))

    def is_ending(self, task: TaskId) -> bool:
        """Whether a task is about to get its result, whatever its islands still say."""
        end = self.by_task.get(task)
        return end is not None and (end.is_settled or end.stage is not Stage.COLLECTING)

    def is_complete(self, end: TaskEnd) -> bool:
        """Whether nothing more is to be heard of any of a task's islands."""
        run = self._ledger.plan.runs[end.run.name]
        task, is_cancelled = run.tasks[end.task], run.state is RunState.CANCELLED
        for index, place in enumerate(task.islands):
            final = end.finals.get(index)
            rests = (final is not None and final.grant == place.grant) or index in end.empty
            # What has no place yet has not begun, and of a cancelled run never will, unless a result has its state.
            is_nobodys = place.is_nobodys or self.is_unbegun(IslandId(*end.id, index))
            if not rests and not (is_cancelled and is_nobodys and task.result is None):
                return False
        return True

    def is_final(self, island: IslandId) -> bool:
        """Whether an island is known to rest under its present grant."""
        end = self.by_task.get(island[:2])
        if end is None:
            return False
        if end.is_settled or end.stage is not Stage.COLLECTING or island.island in end.empty:
            return True
        final = end.finals.get(island.island)
        if final is None:
            return False
        place = self._ledger.place_of(island)
        return place is not None and place.grant == final.grant

    def is_unbegun(self, island: IslandId) -> bool:
        """Whether an island of a cancelled run has no owner, since there is no state of it, as far as anybody knows."""
        place = self._ledger.place_of(island)
        return island in self._unbegun and place is not None and not place.owner

    def resting(self, end: TaskEnd) -> dict[int, IslandSnapshot]:
        """The last states of a task's islands, without those that the budget in force gives more to do."""
        return {
            index: snapshot
            for index, snapshot in end.finals.items()
            if not self._may_go_on(IslandId(*end.id, index), snapshot, end.rungs[index])
        }

    # --- what comes of it ------------------------------------------------------------------------

    def note_unbegun(self, islands: Iterable[IslandId]) -> None:
        """Nobody has anything of these, of a cancelled run."""
        self._unbegun |= set(islands)

    def forget_unbegun(self, run: str) -> None:
        """A run was cancelled or extended, goes on, or is gone: its islands may be begun, or were another's."""
        self._unbegun = {island for island in self._unbegun if island.run != run}

    def remove(self, end: TaskEnd) -> None:
        """It is over, whatever came of it."""
        del self.by_task[end.id]

    def forget(self) -> None:
        """The term is over."""
        self.by_task.clear()

    # --- helpers ---------------------------------------------------------------------------------

    def _is_its(self, island: IslandId, owner: str, grant: int) -> bool:
        place = self._ledger.place_of(island)
        return place is not None and (place.owner, place.grant) == (owner, grant)

    def _owns_some(self, owner: str, task: TaskId) -> bool:
        return any(place.owner == owner for place in self._ledger.plan.runs[task[0]].tasks[task[1]].islands)

    def _is_cancelled(self, run: str) -> bool:
        return self._ledger.plan.runs[run].state is RunState.CANCELLED

    def _may_go_on(self, island: IslandId, snapshot: IslandSnapshot, rung: int) -> bool:
        """Whether the budget in force gives an island more to do that was evolved up to this rung."""
        run, end = self._ledger.plan.runs[island.run], self.by_task.get(island[:2])
        if run.state.is_over or (end is not None and end.is_settled):
            return False
        share = run.share(island.task, island.island, max(rung, run.tasks[island.task].rung))
        return not is_spent(share, snapshot.counters)
