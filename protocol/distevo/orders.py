"""Orders: what people want of runs, entered into the ledger and put to the foreman."""

from __future__ import annotations

from distevo.command import Command, Verb
from distevo.errors import ObjectError, ObjectVersionError
from distevo.events import Outcome, StoreAnswer
from distevo.foreman import Foreman
from distevo.ledger import Ledger
from distevo.outbox import Outbox, Publish
from distevo.plan import RunState
from distevo.run import Budget, Run, decode_run

ACCEPTED = "accepted"


class Orders:
    """Each order returns `accepted`, or why it is refused. Whoever gives it publishes the plan afterwards."""

    def __init__(self, ledger: Ledger, foreman: Foreman, outbox: Outbox, publish: Publish) -> None:
        self._ledger, self._foreman, self._outbox, self._publish = ledger, foreman, outbox, publish

    def adopt(self, run: Run, name: str) -> str:
        """Take a submitted run in, whose object has this name."""
        known = self._ledger.plan.runs.get(run.name)
        if known is not None and known.object != name:
            return f"a run named {run.name!r} exists already"
        if known is None:
            self._ledger.adopt(run, name)
            self._foreman.requeue()
        return ACCEPTED

    def carry_out(self, command: Command) -> str:
        """Do what a command says."""
        if command.run not in self._ledger.plan.runs:
            return f"there is no run {command.run!r}"
        match command.verb:
            case Verb.CANCEL:
                return self._cancel(command.run)
            case Verb.PAUSE:
                return self._pause(command.run)
            case Verb.RESUME:
                return self._resume(command.run)
            case Verb.EXTEND:
                return self._extend(command.run, command.budget)
            case Verb.DELETE:
                return self._delete(command.run)

    def _cancel(self, name: str) -> str:
        """The tasks in hand keep their best so far as result."""
        run = self._ledger.plan.runs[name]
        if run.state.is_over:
            return f"the run is {run.state} already"
        run.state = RunState.CANCELLED
        settled = self._ledger.await_swap(name)
        self._foreman.end(name)
        self._publish(lambda _now: settled())
        return ACCEPTED

    def _pause(self, name: str) -> str:
        run = self._ledger.plan.runs[name]
        if run.state not in {RunState.QUEUED, RunState.RUNNING}:
            return f"the run is {run.state}"
        run.state = RunState.PAUSED
        self._foreman.suspend(name)
        return ACCEPTED

    def _resume(self, name: str) -> str:
        run = self._ledger.plan.runs[name]
        if run.state is not RunState.PAUSED:
            return f"the run is {run.state}, not paused"
        run.state = RunState.QUEUED
        self._foreman.resume(name)
        return ACCEPTED

    def _extend(self, name: str, budget: Budget | None) -> str:
        """Unfit tasks go on from where they stopped."""
        run = self._ledger.plan.runs[name]
        if budget is None or (budget.cpu_seconds is None and budget.evaluations is None):
            return "no budget is given"
        if not budget.is_more_than(run.budget):
            return f"the budget has to be raised; it is {run.budget} now"
        old = run.budget
        if not self._ledger.reopen(name, budget, self._foreman.work):
            run.budget = old
            return "no unfit task is left to go on with"
        self._foreman.extend(name, budget)
        if name not in self._ledger.runs:
            self._outbox.read(run.object, lambda answer, _now: self._reread(name, answer))
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
        self._foreman.requeue()

    def _delete(self, name: str) -> str:
        """Results go with their run."""
        run = self._ledger.plan.runs[name]
        if not run.state.is_over:
            return f"the run is {run.state}; cancel it first"
        if self._foreman.in_hand(name):
            return "the run is still ending; try again in a moment"
        settled = self._ledger.await_swap(name)
        self._ledger.forget(name)

        def gone(_now: float) -> None:
            settled()
            self._outbox.delete(run.object, lambda _answer, _now: None)
            self._foreman.closing.sweep_results(name)

        self._publish(gone)
        return ACCEPTED
