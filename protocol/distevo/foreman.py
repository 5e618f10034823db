"""The foreman: which task is worked on where, when it is done, and what its result is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from distevo.checkpoint import (
    Checkpoint,
    Counters,
    IslandSnapshot,
    decode_checkpoint,
    encode_checkpoint,
    restore,
)
from distevo.errors import CheckpointError, ObjectError
from distevo.events import IslandFailed, IslandId, IslandReported, Outcome, StoreAnswer, Verified, WorkerDied
from distevo.instructions import LimitIsland, StartIsland, StopIsland, VerifyProgram
from distevo.names import result_name, run_results
from distevo.outbox import Outbox
from distevo.plan import IslandPlace, Plan, RunPlan, RunState, TaskPlan, TaskState
from distevo.progress import Progress
from distevo.result import Result, decode_result, encode_result, result_digest
from distevo.run import Budget, Run, decode_run, island_seed
from distevo.slots import Slot, Slots
from distevo.work import MAX_BLAMELESS_DEATHS, IslandWork, Stage, TaskWork

ISLANDS_AHEAD = 2
"""Each slot has at least this many islands placed, so that a worker never waits for its next one."""
MAX_VERIFY_DEATHS = 2

TaskId = tuple[str, str]


class Publish(Protocol):
    """Puts the plan in force, then calls `then`."""

    def __call__(self, then: Callable[[float], None] | None = None) -> None: ...


class Foreman:
    """Works through the plan's tasks in order, in the slots of one platform."""

    def __init__(
        self,
        owner: str,
        slots: Slots,
        outbox: Outbox,
        publish: Publish,
        next_sequence: Callable[[], int],
        may_run: Callable[[Run], str | None],
    ) -> None:
        self._owner, self._slots, self._outbox = owner, slots, outbox
        self._publish, self._next_sequence, self._may_run = publish, next_sequence, may_run
        self.plan = Plan(epoch=0, version=0)
        self.runs: dict[str, Run] = {}
        """The objects of the runs that are not over."""
        self.work: dict[TaskId, TaskWork] = {}
        self.progress: dict[str, Progress] = {}
        self.is_working = False
        """Whether islands may be placed: only under a plan that is in force."""
        self._snapshots: dict[IslandId, list[IslandSnapshot]] = {}
        self._queue: deque[TaskId] = deque()
        self._opening: set[TaskId] = set()

    # --- the plan --------------------------------------------------------------------------------

    def load(self, plan: Plan, runs: dict[str, Run], snapshots: dict[IslandId, list[IslandSnapshot]]) -> None:
        """Prepare to work under this plan, from these snapshots. Islands of other owners, gone by now, become ours."""
        self.plan, self.runs, self._snapshots = plan, runs, snapshots
        for name, run in runs.items():
            plan.runs[name].note = self._may_run(run)
            for task in plan.runs[name].tasks.values():
                self._own(task)
        self._refresh()

    def begin(self, now: float) -> None:
        """The plan is in force: work."""
        self.is_working = True
        self.fill(now)

    def rest(self) -> None:
        """Place nothing more."""
        self.is_working = False

    def abandon(self) -> None:
        """Another member decides now: let go of everything in hand."""
        self.rest()
        for work in self.work.values():
            self._withdraw(work)
        self.work, self.runs, self._snapshots, self._queue = {}, {}, {}, deque()

    def adopt(self, run: Run, name: str, now: float) -> str:
        """Take a submitted run into the plan; `accepted`, or why not."""
        known = self.plan.runs.get(run.name)
        if known is not None:
            return "accepted" if known.object == name else f"a run named {run.name!r} exists already"
        settings = run.settings
        refusal = self._may_run(run)
        self.plan.runs[run.name] = RunPlan(
            object=name,
            state=RunState.QUEUED,
            problem=msgspec.structs.replace(run.problem, source=None),
            islands_per_task=settings.islands_per_task,
            budget=Budget(settings.cpu_seconds, settings.evaluations),
            tasks={
                task: TaskPlan(islands=[IslandPlace(self._owner, 1) for _ in range(settings.islands_per_task)])
                for task in run.tasks
            },
            note=refusal,
        )
        self.runs[run.name] = run
        self._refresh()
        self.fill(now)
        return "accepted"

    def cancel(self, name: str, now: float) -> str:
        """End a run; the tasks in hand keep their best so far as result."""
        run = self.plan.runs[name]
        if run.state.is_over:
            return f"the run is {run.state} already"
        run.state = RunState.CANCELLED
        self._refresh()
        for work in self._in_hand(name):
            self._close(work, now)
        self.fill(now)
        self._forget_if_over(name)
        return "accepted"

    def pause(self, name: str) -> str:
        """Let a run rest; its islands keep their state."""
        run = self.plan.runs[name]
        if run.state not in {RunState.QUEUED, RunState.RUNNING}:
            return f"the run is {run.state}"
        run.state = RunState.PAUSED
        for work in self._in_hand(name):
            work.is_paused = True
            if work.stage is Stage.EVOLVING:
                self._withdraw(work)
        self._refresh()
        return "accepted"

    def resume(self, name: str, now: float) -> str:
        """Go on with a paused run."""
        run = self.plan.runs[name]
        if run.state is not RunState.PAUSED:
            return f"the run is {run.state}, not paused"
        works = self._in_hand(name)
        run.state = RunState.RUNNING if works else RunState.QUEUED
        self._refresh()
        for work in works:
            work.is_paused = False
            if work.stage is Stage.EVOLVING:
                self._place(work, now)
        self.fill(now)
        return "accepted"

    def extend(self, name: str, budget: Budget | None, now: float) -> str:
        """Give each task a new budget; unfit tasks go on from where they stopped."""
        run = self.plan.runs[name]
        if budget is None or (budget.cpu_seconds is None and budget.evaluations is None):
            return "no budget is given"
        if not _is_more(budget, run.budget):
            return f"the budget has to be raised; it is {_budget_text(run.budget)} now"
        run.budget = budget
        for work in self._in_hand(name):
            work.budget = budget
            self._relimit(work)
        reopened = [
            task
            for key, task in run.tasks.items()
            if (name, key) not in self.work and task.state is TaskState.DONE and not task.fit
        ]
        for task in reopened:
            task.state = TaskState.OPEN
            for place in task.islands:
                place.owner, place.grant = self._owner, place.grant + 1
        if run.state.is_over:
            for task in run.tasks.values():
                self._own(task)
            run.state = RunState.QUEUED
        if name in self.runs:
            self._refresh()
            self.fill(now)
        else:
            self._outbox.read(run.object, lambda answer, now: self._reread(name, answer, now))
        return "accepted"

    def delete(self, name: str) -> str:
        """Forget a run and its results; one that is still worked on has to be cancelled first."""
        run = self.plan.runs[name]
        if not run.state.is_over or self._in_hand(name):
            return f"the run is {run.state}; cancel it first"
        del self.plan.runs[name]
        self.plan.handled[run.object] = "deleted"
        self.progress.pop(name, None)

        def gone(_now: float) -> None:
            self._outbox.delete(run.object, lambda _answer, _now: None)
            self._sweep_results(name)

        self._publish(gone)
        return "accepted"

    def grant_of(self, island: IslandId) -> int | None:
        """The grant of an unfinished island; None for one whose task has its result or is given up."""
        run = self.plan.runs.get(island.run)
        if run is None or (run.state.is_over and (island.run, island.task) not in self.work):
            return None
        task = run.tasks.get(island.task)
        if task is None or task.state is not TaskState.OPEN or island.island >= len(task.islands):
            return None
        return task.islands[island.island].grant

    def _own(self, task: TaskPlan) -> None:
        if task.state is TaskState.OPEN:
            for place in task.islands:
                if place.owner != self._owner:
                    place.owner, place.grant = self._owner, place.grant + 1

    def _refresh(self) -> None:
        self._queue = deque(
            (name, task)
            for name, run in self.plan.runs.items()
            if run.state in {RunState.QUEUED, RunState.RUNNING} and run.note is None and name in self.runs
            for task, entry in run.tasks.items()
            if entry.state is TaskState.OPEN and (name, task) not in self.work and (name, task) not in self._opening
        )

    def _reread(self, name: str, answer: StoreAnswer, now: float) -> None:
        if name not in self.plan.runs:
            return
        try:
            if answer.outcome is not Outcome.DONE:
                raise ObjectError("is missing from the store")
            self.runs[name] = decode_run(answer.data)
        except ObjectError as error:
            give_up(self.plan.runs[name], name, str(error), self._outbox)
        self._refresh()
        self.fill(now)

    # --- placing ---------------------------------------------------------------------------------

    def fill(self, now: float) -> None:
        """Begin tasks while some slot would soon have nothing to do."""
        while (
            self.is_working
            and self._queue
            and not self._opening
            and len(self._slots.least_loaded().islands) < ISLANDS_AHEAD
        ):
            self._open(self._queue.popleft(), now)

    def _open(self, task: TaskId, now: float) -> None:
        entry = self.plan.runs[task[0]].tasks[task[1]]
        if entry.result is None:
            self._start(task, [], now)
            return
        # An extended task: its islands lie in its result.
        self._opening.add(task)

        def arrived(answer: StoreAnswer, now: float) -> None:
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
            run = self.plan.runs.get(task[0])
            if run is not None and not run.state.is_over and run.state is not RunState.PAUSED:
                self._start(task, snapshots, now)
            self.fill(now)

        self._outbox.read(entry.result, arrived)

    def _start(self, task: TaskId, snapshots: list[IslandSnapshot], now: float) -> None:
        run, entry = self.runs[task[0]], self.plan.runs[task[0]].tasks[task[1]]
        work = TaskWork(run, task[1], self.plan.runs[run.name].budget)
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
            self._close(work, now)
        else:
            self._place(work, now)

    def _is_spent(self, work: TaskWork, island: IslandWork) -> bool:
        counters = island.snapshot.counters
        return self._share(work, island).is_used(counters.cpu_seconds, counters.evaluations, counters.duplicates)

    def _share(self, work: TaskWork, island: IslandWork) -> Budget:
        return work.budget.share(island.id.island, len(work.islands))

    def _place(self, work: TaskWork, now: float) -> None:
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
        plan = self.plan.runs[work.run.name]
        if plan.state is RunState.QUEUED:
            plan.state = RunState.RUNNING
        before = island.snapshot.counters.evaluations
        island.report(event.snapshot, event.fit or event.is_spent)
        self.progress.setdefault(work.run.name, Progress()).evaluated(
            island.snapshot.counters.evaluations - before, now
        )
        if event.warning is not None and work.warning is None:
            work.warning = event.warning
            self._outbox.log("warning", "the problem's code misbehaves", island=str(island.id), reason=event.warning)
        work.is_fit = work.is_fit or event.fit
        if island.is_resting:
            self._slots.release(island.id)
        if work.is_finished:
            self._close(work, now)
        if island.is_resting:
            self.fill(now)
        return True

    def failed(self, event: IslandFailed, now: float) -> None:
        """The problem's code cannot go on."""
        work = self.work.get((event.island.run, event.island.task))
        if work is not None and work.stage is Stage.EVOLVING:
            work.failure = event.error
            self._close(work, now)
            self.fill(now)

    def died(self, event: WorkerDied, now: float) -> None:
        """A worker is gone; what it worked on is judged, and goes on in its replacement."""
        self._slots.died(event.slot, event.cause.value, now)
        verdict = "it had no island"
        work = self.work.get((event.island.run, event.island.task)) if event.island else None
        if work is not None and event.island is not None:
            if work.stage is Stage.VERIFYING:
                verdict = self._verifier_died(work, event, now)
            elif work.stage is Stage.EVOLVING:
                verdict = self._island_died(work, work.islands[event.island.island], event, now)
        self._outbox.log(
            "warning",
            "a worker died and is replaced",
            slot=event.slot,
            cause=event.cause.value,
            island=str(event.island) if event.island else None,
            verdict=verdict,
        )

    def _island_died(self, work: TaskWork, island: IslandWork, event: WorkerDied, now: float) -> str:
        verdict = island.blame(event)
        if island.deaths >= MAX_BLAMELESS_DEATHS:
            work.failure = (
                f"{island.deaths} workers died ({event.cause.value}) in generation "
                f"{island.snapshot.generation + 1} of island {island.id.island} outside `evaluate`"
            )
            self._close(work, now)
            self.fill(now)
            return "its task is given up"
        return verdict

    # --- closing ---------------------------------------------------------------------------------

    def _close(self, work: TaskWork, now: float) -> None:
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

    def _verifier_died(self, work: TaskWork, event: WorkerDied, now: float) -> str:
        work.verify_deaths += 1
        if event.cause.convicts or work.verify_deaths >= MAX_VERIFY_DEATHS:
            reason = f"the worker that verified the guess died ({event.cause.value})"
            self.verified(Verified(work.run.name, work.task, None, False, None, reason), now)
            return "its task keeps an unverified guess"
        return "the guess is verified once more"

    def verified(self, event: Verified, now: float) -> None:
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
            fit=verdict is not None and verdict.fit,
            solved=verdict.solved if verdict is not None else None,
            program=text_of(guess.genome) if guess else None,
            key=guess.key.hex() if guess else None,
            fitness=list(guess.fitness) if guess else None,
            evaluations=work.evaluations(),
            seconds=round(work.seconds(), 3),
        )
        state = Checkpoint(
            cluster="", member=self._owner, boot="", sequence=sequence, islands=islands, resource_usage={}
        )
        data = encode_result(result, encode_checkpoint(state))
        name = result_name(work.run.name, work.task, result_digest(data))
        self._outbox.create(name, data, lambda _answer, now: self._recorded(work, name, result, error, now))

    def _recorded(self, work: TaskWork, name: str, result: Result, error: str | None, now: float) -> None:
        run = self.plan.runs[work.run.name]
        entry = run.tasks[work.task]
        entry.state = TaskState.DONE if work.failure is None else TaskState.FAILED
        entry.result, entry.fit, entry.solved, entry.error = name, result.fit, result.solved, error
        entry.evaluations, entry.duplicates, entry.seconds = (
            result.evaluations,
            work.duplicates(),
            result.seconds,
        )
        del self.work[work.id]
        self.progress.setdefault(work.run.name, Progress()).finished()
        if work.budget != run.budget and not result.fit and entry.state is TaskState.DONE:
            # Extended while the result was being written.
            entry.state = TaskState.OPEN
            self._refresh()
        if not run.state.is_over and all(task.state is not TaskState.OPEN for task in run.tasks.values()):
            is_failed = all(task.state is TaskState.FAILED for task in run.tasks.values())
            run.state = RunState.FAILED if is_failed else RunState.DONE
            run.note = next(iter(run.tasks.values())).error if is_failed else None
            self._outbox.log("info", f"run {run.state}", run=work.run.name, **tally(run))
        self._forget_if_over(work.run.name)
        self._publish(lambda _now: self._sweep_results(work.run.name) if run.state.is_over else None)
        self.fill(now)

    def _forget_if_over(self, name: str) -> None:
        if self.plan.runs[name].state.is_over and not self._in_hand(name):
            self.runs.pop(name, None)

    def _sweep_results(self, name: str) -> None:
        """Delete candidates that lost: each was written by a daemon that died before the plan named it."""

        def listed(answer: StoreAnswer, _now: float) -> None:
            run = self.plan.runs.get(name)
            named = {task.result for task in run.tasks.values()} if run is not None else set()
            for candidate in answer.names:
                if candidate not in named and not self._in_hand(name):
                    self._outbox.delete(candidate, lambda _answer, _now: None)

        self._outbox.list(run_results(name), listed)

    def _in_hand(self, name: str) -> list[TaskWork]:
        return [work for work in self.work.values() if work.run.name == name]


def give_up(run: RunPlan, name: str, reason: str, outbox: Outbox) -> None:
    """The run's object cannot be used: nothing can work on it."""
    run.state, run.note = RunState.FAILED, f"{run.object}: {reason}"
    outbox.log("error", "a run cannot go on", run=name, reason=run.note)


def fresh_snapshot(run: Run, island: IslandId, grant: int) -> IslandSnapshot:
    """The state of an island before its first generation."""
    return IslandSnapshot(
        run=island.run,
        task=island.task,
        island=island.island,
        problem=run.problem.name,
        version=run.problem.version,
        grant=grant,
        sequence=0,
        cover={},
        seed=island_seed(run.settings.seed, island.task, island.island),
        generation=0,
        cursor=0,
        optimizer=b"",
        population=b"",
        invalid=[],
        suspects=[],
        counters=Counters(),
    )


def text_of(genome: bytes) -> str:
    """A program as text: its bytes as UTF-8, or in hexadecimal if they are none."""
    try:
        return genome.decode()
    except UnicodeDecodeError:
        return genome.hex()


def tally(run: RunPlan) -> dict[str, int]:
    """Tasks of a run by what came of them."""
    tasks = run.tasks.values()
    return {
        "tasks": len(tasks),
        "done": sum(task.state is not TaskState.OPEN for task in tasks),
        "failed": sum(task.state is TaskState.FAILED for task in tasks),
        "fit": sum(task.fit for task in tasks),
        "solved": sum(task.solved is True for task in tasks),
    }


def _is_more(new: Budget, old: Budget) -> bool:
    def covers(new_limit: float | None, old_limit: float | None) -> bool:
        return new_limit is None or (old_limit is not None and new_limit >= old_limit)

    return new != old and covers(new.cpu_seconds, old.cpu_seconds) and covers(new.evaluations, old.evaluations)


def _budget_text(budget: Budget) -> str:
    parts = []
    if budget.cpu_seconds is not None:
        parts.append(f"{budget.cpu_seconds:g} CPU seconds")
    if budget.evaluations is not None:
        parts.append(f"{budget.evaluations} evaluations")
    return " and ".join(parts) + " a task"
