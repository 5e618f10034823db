"""Orders: what people want of runs and members, entered into the ledger. Members act when the plan is in force."""

from __future__ import annotations

from collections.abc import Callable

from distevo.closing import Closing
from distevo.command import Command, Verb
from distevo.errors import ObjectError, ObjectVersionError
from distevo.events import Outcome, StoreAnswer
from distevo.ledger import Ledger
from distevo.member import Announcement
from distevo.messages import MAX_MEMBERS, MAX_TEXT_BYTES
from distevo.names import MAX_SEGMENT_BYTES, quote
from distevo.outbox import Outbox, Publish
from distevo.plan import MemberState, RunPlan, RunState
from distevo.run import MAX_CPU_SECONDS, MAX_EVALUATIONS, Budget, Run, decode_run
from distevo.topology import check
from distevo.warm_start import fault

ACCEPTED = "accepted"
MAX_PLACES = 100_000
"""Most islands of a run, all tasks together: each has a place in the plan."""
SHOWN = 60
"""Characters of an id that is too long."""
MAX_DENIED = MAX_MEMBERS
"""Most revoked keys: every plan carries them."""


def check_run(run: Run) -> str | None:
    """Why a run cannot be taken in, or None: who put it into the store may not have asked a daemon."""
    if not run.tasks:
        return "it has no tasks"
    unfit = next((name for name in (run.name, *run.tasks) if not 0 < len(quote(name)) <= MAX_SEGMENT_BYTES), None)
    if unfit is not None:
        told = repr(unfit if len(unfit) <= SHOWN else f"{unfit[:SHOWN]}...")
        return f"no result of {told} can be named in the store, where a name has 1 to {MAX_SEGMENT_BYTES} bytes"
    used = run.problem
    longest = max(map(len, (used.reference, used.digest, used.name, used.version)))
    if longest > MAX_TEXT_BYTES:
        return f"what names its problem has {longest} characters; at most {MAX_TEXT_BYTES} are allowed"
    if len(run.tasks) * run.settings.islands_per_task > MAX_PLACES:
        return f"it has more than {MAX_PLACES} islands: submit it in parts"
    try:
        check(run.settings.migration, run.settings.islands_per_task)
    except ValueError as error:
        return str(error)
    return fault(run)


def name_taken(name: str) -> str:
    """Why a run is refused whose name another has."""
    return f"a run named {name!r} exists already"


class Orders:
    """Each order returns `accepted`, or why it is refused. Whoever gives it publishes the plan afterwards."""

    def __init__(
        self,
        coordinator: str,
        ledger: Ledger,
        closing: Closing,
        outbox: Outbox,
        publish: Publish,
        changed: Callable[[], None],
        joined: Callable[[], None],
        settle: Callable[[str, str, MemberState, float], None],
        clear_away: Callable[[str], None],
    ) -> None:
        """`coordinator`: who decides. `changed`: islands may have to be placed; `joined`: at once, since a boot may
        have taken another's place. `settle`: (member, boot, state, now), a boot is as good as in that state.
        `clear_away`: an inbox object that is handled, by the plan in force.
        """
        self._coordinator, self._settle, self._clear_away = coordinator, settle, clear_away
        self._ledger, self._closing, self._outbox = ledger, closing, outbox
        self._publish, self._changed, self._joined = publish, changed, joined

    def adopt(self, run: Run, name: str) -> str:
        """Take a submitted run in, whose object has this name."""
        known = self._ledger.plan.runs.get(run.name)
        if known is not None and known.object != name:
            return name_taken(run.name)
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
        match command.verb:
            case Verb.DRAIN:
                return self._drain(command.member, command.boot)
            case Verb.REVOKE:
                return self._revoke(command.member, now)
            case Verb.UNREVOKE:
                return self._unrevoke(command.member)
        run = self._ledger.plan.runs.get(command.run)
        if run is None:
            return f"there is no run {command.run!r}"
        if command.first_grant not in {0, run.first_grant}:
            return f"{command.run!r} was deleted, and another run has its name by now; if that is meant, ask once more"
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
            case Verb.PRIORITY:
                return self._prioritise(command.run, command.priority)

    def _cancel(self, name: str, now: float) -> str:
        """The tasks in hand keep their best so far as result."""
        run = self._ledger.plan.runs[name]
        if run.state.is_over:
            return f"the run is {run.state} already"
        run.state = RunState.CANCELLED
        self._ledger.settle_waiting(name, self._closing.ends.is_ending)
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
        if (budget.cpu_seconds or 0) > MAX_CPU_SECONDS or (budget.evaluations or 0) > MAX_EVALUATIONS:
            return f"a budget is at most {MAX_CPU_SECONDS:.0f} CPU seconds or {MAX_EVALUATIONS} evaluations"
        if budget.cpu_seconds is None and run.budget.evaluations is None:
            return f"this run's budget is in CPU seconds: give --cpu-seconds above {run.budget.cpu_seconds:g}"
        if budget.evaluations is None and run.budget.cpu_seconds is None:
            return f"this run's budget is in evaluations: give --evaluations above {run.budget.evaluations}"
        if not budget.is_more_than(run.budget):
            return f"the budget has to be raised; it is {run.budget} now"
        if not self._ledger.reopen(name, budget):
            failed = run.tally()["failed"]
            hint = "mend what distevo-ctl results shows, and submit them anew; --from begins with what they had"
            return "no unfit task is left to go on with" + (f", and {failed} failed: {hint}" if failed else "")
        self._closing.reconsider(name, now)
        if name not in self._ledger.runs:
            self._outbox.read(run.object, lambda answer, _now: self._reread(name, run, answer))
        self._changed()
        return ACCEPTED

    def _prioritise(self, name: str, priority: int | None) -> str:
        """What is begun goes on; what waits for a place, or in a platform's queue, is put in order anew."""
        run = self._ledger.plan.runs[name]
        if priority is None:
            return "no priority is given"
        if run.state.is_over:
            return f"the run is {run.state} already"
        run.priority = priority
        self._changed()
        return ACCEPTED

    def _reread(self, name: str, run: RunPlan, answer: StoreAnswer) -> None:
        """The object of a run that was over is there again."""
        if self._ledger.plan.runs.get(name) is not run:
            return
        try:
            if answer.outcome is not Outcome.DONE:
                raise ObjectError("is missing from the store")
            self._ledger.runs[name] = decode_run(answer.data)
        except ObjectVersionError as error:
            self._ledger.plan.runs[name].note = str(error)
            self._publish()
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
        if self._closing.ends.is_recording(name):
            return "a result of the run is being written; try again in a moment"
        self._ledger.forget(name)
        self._closing.drop(name)

        def gone(_now: float) -> None:
            self._clear_away(run.object)
            self._closing.sweep_results(name)

        self._publish(gone)
        return ACCEPTED

    # --- members ---------------------------------------------------------------------------------

    def _drain(self, name: str, boot: str) -> str:
        """It ends by itself once the plan in force leaves it nothing; whoever asks again waits for the same."""
        member = self._ledger.plan.members.get(name)
        if member is None:
            return f"there is no platform {name!r}"
        if boot and boot != member.boot:
            return f"{name!r} was started again meanwhile; if that one is meant, ask once more"
        if member.state is not MemberState.ALIVE:
            how = "is dead" if member.state is MemberState.DEAD else "has left"
            return f"the platform {name!r} {how} already: what it had is given to others"
        if not member.is_draining:
            member.is_draining = True
            self._outbox.log("info", "a member is drained", member=name)
            self._joined()
        return ACCEPTED

    def _revoke(self, name: str, now: float) -> str:
        """Everybody of that key is as good as dead; it may be dead already, and its key in other hands."""
        plan = self._ledger.plan
        member = plan.members.get(name)
        if member is None:
            return f"there is no platform {name!r}"
        if not member.key:
            return f"{name!r} has no key that could be revoked"
        if member.key in plan.denied:
            return f"the key of {name!r} is revoked already"
        if member.key == plan.members[self._coordinator].key:
            # Nobody but itself could put that plan in force; and if it cannot be trusted, it would not.
            return f"{name!r} is the coordinator: drain it first, then revoke it"
        if len(plan.denied) >= MAX_DENIED:
            return f"{len(plan.denied)} keys are revoked already, and there is room for no more: undo some"
        plan.denied.append(member.key)
        self._outbox.log("warning", "a key is revoked", member=name)
        for other, entry in plan.members.items():
            if entry.key == member.key and entry.state is MemberState.ALIVE:
                self._settle(other, entry.boot, MemberState.DEAD, now)
        return ACCEPTED

    def _unrevoke(self, name: str) -> str:
        """The platform is taken in again when it asks."""
        plan = self._ledger.plan
        key = plan.members[name].key if name in plan.members else name
        if key not in plan.denied:
            return f"the key of {name!r} is not revoked"
        plan.denied.remove(key)
        self._outbox.log("info", "a key is no longer revoked", member=name)
        return ACCEPTED
