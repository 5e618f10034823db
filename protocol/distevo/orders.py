"""Orders: what people want of runs, entered into the ledger. The members do it when the plan is in force."""

from __future__ import annotations

from collections.abc import Callable

from distevo.closing import Closing
from distevo.command import Command, Verb
from distevo.errors import ObjectError, ObjectVersionError
from distevo.events import Outcome, StoreAnswer
from distevo.ledger import Ledger
from distevo.member import Announcement
from distevo.messages import MAX_TASK_BYTES
from distevo.outbox import Outbox, Publish
from distevo.plan import RunState
from distevo.run import Budget, Run, decode_run
from distevo.topology import check

ACCEPTED = "accepted"
MAX_PLACES = 100_000
"""Most islands of a run, all tasks together: each has a place in the plan."""


def check_run(run: Run) -> str | None:
    """Why a run cannot be taken in, or None: who put it into the store may not have asked a daemon."""
    if not run.tasks:
        return "it has no tasks"
    long = next((task for task in run.tasks if len(task) > MAX_TASK_BYTES), None)
    if long is not None:
        return f"the task {long[:60]!r}... has an id of {len(long)} characters; at most {MAX_TASK_BYTES} are allowed"
    if len(run.tasks) * run.settings.islands_per_task > MAX_PLACES:
        return f"it has more than {MAX_PLACES} islands: submit it in parts"
    try:
        check(run.settings.migration, run.settings.islands_per_task)
    except ValueError as error:
        return str(error)
    return None


class Orders:
    """Each order returns `accepted`, or why it is refused. Whoever gives it publishes the plan afterwards."""

    def __init__(
        self,
        ledger: Ledger,
        closing: Closing,
        outbox: Outbox,
        publish: Publish,
        changed: Callable[[], None],
        joined: Callable[[], None],
    ) -> None:
        """`changed`: islands may have to be placed; `joined`: at once, since a boot may have taken another's place."""
        self._ledger, self._closing, self._outbox = ledger, closing, outbox
        self._publish, self._changed, self._joined = publish, changed, joined

    def adopt(self, run: Run, name: str) -> str:
        """Take a submitted run in, whose object has this name."""
        known = self._ledger.plan.runs.get(run.name)
        if known is not None and known.object != name:
            return f"a run named {run.name!r} exists already"
        if known is None:
            refusal = check_run(run)
            if refusal is not None:
                return refusal
            self._ledger.adopt(run, name)
            self._changed()
        return ACCEPTED

    def join(self, announcement: Announcement) -> str:
        """Take a platform in."""
        refusal = self._ledger.join(announcement)
        if refusal is None:
            self._outbox.log("info", "member taken in", member=announcement.member, kind=announcement.says.kind)
            self._joined()
        return refusal or ACCEPTED

    def carry_out(self, command: Command, now: float) -> str:
        """Do what a command says."""
        if command.run not in self._ledger.plan.runs:
            return f"there is no run {command.run!r}"
        match command.verb:
            case Verb.CANCEL:
                return self._cancel(command.run, now)
            case Verb.PAUSE:
                return self._pause(command.run)
            case Verb.RESUME:
                return self._resume(command.run, now)
            case Verb.EXTEND:
                return self._extend(command.run, command.budget, now)
            case Verb.DELETE:
                return self._delete(command.run)

    def _cancel(self, name: str, now: float) -> str:
        """The tasks in hand keep their best so far as result."""
        run = self._ledger.plan.runs[name]
        if run.state.is_over:
            return f"the run is {run.state} already"
        run.state = RunState.CANCELLED
        self._closing.reconsider(name, now)
        self._changed()
        return ACCEPTED

    def _pause(self, name: str) -> str:
        run = self._ledger.plan.runs[name]
        if run.state not in {RunState.QUEUED, RunState.RUNNING}:
            return f"the run is {run.state}"
        run.state = RunState.PAUSED
        self._changed()
        return ACCEPTED

    def _resume(self, name: str, now: float) -> str:
        run = self._ledger.plan.runs[name]
        if run.state is not RunState.PAUSED:
            return f"the run is {run.state}, not paused"
        begun = any(place.grant for task in run.tasks.values() for place in task.islands)
        run.state = RunState.RUNNING if begun else RunState.QUEUED
        self._closing.reconsider(name, now)
        self._changed()
        return ACCEPTED

    def _extend(self, name: str, budget: Budget | None, now: float) -> str:
        """Unfit tasks go on from where they stopped."""
        run = self._ledger.plan.runs[name]
        if budget is None or (budget.cpu_seconds is None and budget.evaluations is None):
            return "no budget is given"
        if not budget.is_more_than(run.budget):
            return f"the budget has to be raised; it is {run.budget} now"
        if not self._ledger.reopen(name, budget):
            return "no unfit task is left to go on with"
        self._closing.reconsider(name, now)
        if name not in self._ledger.runs:
            self._outbox.read(run.object, lambda answer, _now: self._reread(name, answer))
        self._changed()
        return ACCEPTED

    def _reread(self, name: str, answer: StoreAnswer) -> None:
        """The object of a run that was over is there again."""
        if name not in self._ledger.plan.runs:
            return
        try:
            if answer.outcome is not Outcome.DONE:
                raise ObjectError("is missing from the store")
            self._ledger.runs[name] = decode_run(answer.data)
        except ObjectVersionError as error:
            self._ledger.plan.runs[name].note = str(error)
        except ObjectError as error:
            self._ledger.give_up(name, str(error))
            self._outbox.log("error", "a run cannot go on", run=name, reason=str(error))
            self._publish()
        self._changed()

    def _delete(self, name: str) -> str:
        """Results go with their run."""
        run = self._ledger.plan.runs[name]
        if not run.state.is_over:
            return f"the run is {run.state}; cancel it first"
        if self._closing.in_hand(name):
            return "the run is still ending; try again in a moment"
        self._ledger.forget(name)
        self._closing.drop(name)

        def gone(_now: float) -> None:
            self._outbox.delete(run.object, lambda _answer, _now: None)
            self._closing.sweep_results(name)

        self._publish(gone)
        return ACCEPTED
