"""The ledger: the coordinator's plan in hand, with the objects of its runs, and what is entered into it."""

from __future__ import annotations

from collections.abc import Callable, Container

from distevo.events import IslandId, TaskId
from distevo.member import Announcement, fault
from distevo.messages import MAX_TEXT_BYTES
from distevo.names import quote_owner
from distevo.plan import IslandPlace, MemberPlan, MemberState, Plan, RunPlan, RunState, TaskPlan, TaskState
from distevo.result import Result
from distevo.run import Budget, Run

Gone = tuple[str, MemberState]
"""The boot of a member that is dead or has left, and which of the two."""
FORMER_KEPT = 8
"""Of an island's former owners the last ones are never forgotten: what they wrote may still be on its way."""
OUTDATED = "outdated: another boot is in the plan by now"
"""The answer to an announcement that has to be made again."""


class Ledger:
    """What the coordinator has decided and is deciding. It starts no work and writes nothing."""

    def __init__(self, plan: Plan, runs: dict[str, Run]) -> None:
        """`runs`: the objects of the plan's runs that are not over."""
        self.plan, self.runs = plan, runs

    # --- members ---------------------------------------------------------------------------------

    def join(self, announcement: Announcement) -> str | None:
        """Enter a platform; returns why not, or None.

        Another boot with the same key replaces the older one. Another key under the id of a member that lives is
        another platform with a copied configuration: it is told to choose another id. Who is gone defends its id no
        longer: a notebook begins each session with new keys.
        """
        says, member = announcement.says, announcement.member
        if (refusal := fault(says)) is not None:
            return refusal
        if says.key and says.key in self.plan.denied:
            return "its key was revoked"
        known = self.plan.members.get(member)
        if known is not None and known.boot == says.boot:
            return None  # Whether it lives is not for an object to say, that may be old: it has to be heard.
        if known is not None and known.boot != announcement.after:
            return OUTDATED
        if known is not None and known.key != says.key and known.state is MemberState.ALIVE:
            return f"another platform is called {member!r}: start this one with another --id"
        says.state, says.is_draining, says.joined = MemberState.ALIVE, False, self.plan.next_joined
        says.slowness, says.gone_s = 1.0, 0
        self.plan.next_joined += 1
        self.plan.members[member] = says
        return None

    def settle(self, member: str, boot: str, state: MemberState) -> bool:
        """This boot of a member is alive, dead or has left; whether that is new, and it is the plan's boot.

        What one with a revoked key says until the plan is in force brings it back no more.
        """
        entry = self.plan.members.get(member)
        if entry is None or entry.boot != boot or entry.state is state:
            return False
        if state is MemberState.ALIVE and entry.key in self.plan.denied:
            return False
        entry.state, entry.gone_s = state, 0
        return True

    def living(self) -> dict[str, MemberPlan]:
        """The members that live and are trusted, by id."""
        denied = self.plan.denied
        return {
            name: member
            for name, member in self.plan.members.items()
            if member.state is MemberState.ALIVE and member.key not in denied
        }

    def hosts(self) -> dict[str, MemberPlan]:
        """Those of them that may be given islands, by id."""
        return {name: member for name, member in self.living().items() if not member.is_draining}

    # --- runs ------------------------------------------------------------------------------------

    def adopt(self, run: Run, name: str) -> RunPlan:
        """Enter a new run, whose object has this name. Its islands wait for a place."""
        settings = run.settings
        entry = RunPlan(
            object=name,
            first_grant=self._next_grant(),
            state=RunState.QUEUED,
            problem=run.problem_without_source(),
            islands_per_task=settings.islands_per_task,
            budget=settings.budget,
            rungs=list(settings.rungs),
            priority=settings.priority,
            migration=settings.migration,
            tasks={
                task: TaskPlan(islands=[IslandPlace() for _ in range(settings.islands_per_task)]) for task in run.tasks
            },
        )
        self.plan.runs[run.name], self.runs[run.name] = entry, run
        return entry

    def assign(self, island: IslandId, owner: str) -> None:
        """Give an island to an owner, under a new grant; to nobody for now, if `owner` is empty."""
        run = self.plan.runs[island.run]
        place = run.tasks[island.task].islands[island.island]
        if place.owner:
            place.former = [*(earlier for earlier in place.former if earlier != place.owner), place.owner]
        place.owner, place.grant = owner, self._next_grant()
        if owner and run.state is RunState.QUEUED:
            run.state = RunState.RUNNING

    def forget_former(self, has_left: Container[str]) -> bool:
        """Forget who had an island long ago and has left nothing: nobody needs to look for it. Whether there was any.

        `has_left`: all who may have written a checkpoint, or may write one still, as `quote_owner` has them.
        """
        is_changed = False
        for run in self.plan.runs.values():
            for place in (place for entry in run.tasks.values() for place in entry.islands):
                early, late = place.former[:-FORMER_KEPT], place.former[-FORMER_KEPT:]
                kept = [owner for owner in early if quote_owner(owner) in has_left]
                if kept != early:
                    place.former, is_changed = kept + late, True
        return is_changed

    def unplace(self, island: IslandId) -> None:
        """Nothing of an island is left to do, and its owner never did anything: it is as if it had never had it."""
        self.plan.runs[island.run].tasks[island.task].islands[island.island].owner = ""

    def place_of(self, island: IslandId) -> IslandPlace | None:
        """Where an island of an open task lives; None when it is not open, or there is no such island."""
        run = self.plan.runs.get(island.run)
        entry = run.tasks.get(island.task) if run is not None else None
        if entry is None or entry.state is not TaskState.OPEN or island.island >= len(entry.islands):
            return None
        return entry.islands[island.island]

    def reopen(self, name: str, budget: Budget) -> int:
        """Give a run another budget, and open its unfit tasks again; how many tasks are open now."""
        run = self.plan.runs[name]
        for entry in run.tasks.values():
            if entry.state is TaskState.DONE and not entry.fit:
                entry.is_extended = True
                self._open_again(run, entry)
        is_open = sum(entry.state is TaskState.OPEN for entry in run.tasks.values())
        if is_open:
            run.budget = budget
            owned = [
                IslandId(name, task, index)
                for task, entry in run.tasks.items()
                for index, place in enumerate(entry.islands)
                if place.owner
            ]
            if run.state is RunState.FAILED:
                # Whoever had them has let go of them: they begin anew, from what their former owners saved.
                for island in owned:
                    self.assign(island, "")
                owned = []
            if run.state.is_over:
                run.state, run.note = RunState.RUNNING if owned else RunState.QUEUED, None
        return is_open

    def _open_again(self, run: RunPlan, entry: TaskPlan) -> None:
        """Its islands wait for a place, and begin from its result: nobody holds more of them than that."""
        entry.state, entry.first_grant = TaskState.OPEN, self.plan.next_grant
        entry.islands = [IslandPlace() for _ in range(run.islands_per_task)]

    def promote(self, task: TaskId, name: str, result: Result, duplicates: int, error: str | None, rung: int) -> None:
        """Enter what a task has reached by the end of a rung, as the result from which it goes on to another."""
        run = self.plan.runs[task[0]]
        entry = run.tasks[task[1]]
        self._enter(entry, name, result, duplicates, error)
        entry.rung = rung
        self._open_again(run, entry)

    def close(
        self, task: TaskId, name: str, result: Result, duplicates: int, error: str | None, is_failed: bool
    ) -> None:
        """Enter a result, whose object has this name; the last one ends the run."""
        run = self.plan.runs[task[0]]
        entry = run.tasks[task[1]]
        entry.state = TaskState.FAILED if is_failed else TaskState.DONE
        self._enter(entry, name, result, duplicates, error)
        entry.islands, entry.is_extended = [], False  # All that they know lies in the result.
        self._end(run, error)

    @staticmethod
    def _end(run: RunPlan, error: str | None) -> None:
        """End a run of which no task is open any more."""
        states = {entry.state for entry in run.tasks.values()}
        if not run.state.is_over and TaskState.OPEN not in states:
            run.state = RunState.FAILED if states == {TaskState.FAILED} else RunState.DONE
            run.note = error if run.state is RunState.FAILED else None

    @staticmethod
    def _enter(entry: TaskPlan, name: str, result: Result, duplicates: int, error: str | None) -> None:
        entry.result, entry.fit, entry.solved, entry.error = name, result.fit, result.solved, error
        entry.evaluations, entry.duplicates, entry.seconds = result.evaluations, duplicates, result.seconds

    def settle_waiting(self, name: str, is_ending: Callable[[TaskId], bool]) -> None:
        """Of a cancelled run, what is done is done: a task that nobody has begun again keeps the result that it has,
        unless it is about to get another."""
        for task, entry in self.plan.runs[name].tasks.items():
            is_waiting = entry.state is TaskState.OPEN and all(place.is_nobodys for place in entry.islands)
            if is_waiting and entry.result is not None and not is_ending((name, task)):
                self.let_stand((name, task))

    def let_stand(self, task: TaskId, error: str | None = None) -> None:
        """A task that was open again is over with the result that it has; `error`: why it has no other."""
        run = self.plan.runs[task[0]]
        entry = run.tasks[task[1]]
        entry.state, entry.islands, entry.is_extended = TaskState.DONE, [], False
        entry.error = error or entry.error
        self._end(run, error)

    def give_up(self, name: str, reason: str) -> None:
        """The object of a run cannot be used: nothing can work on it."""
        run = self.plan.runs[name]
        run.state, run.note = RunState.FAILED, f"{run.object}: {reason}"[:MAX_TEXT_BYTES]
        self.runs.pop(name, None)

    def forget(self, name: str) -> None:
        """Take a run out of the plan; its object counts as handled until it is gone."""
        self.plan.handled[self.plan.runs.pop(name).object] = "deleted"
        self.runs.pop(name, None)

    def _next_grant(self) -> int:
        grant = self.plan.next_grant
        self.plan.next_grant += 1
        return grant
