"""The plan: which runs there are, how far each task is, which island lives where, and what the results are.

The coordinator alone changes it. A changed plan is a new immutable object; the swap of `cluster` puts it in force.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import msgspec

from distevo.messages import Boot
from distevo.run import Budget, MigrationSettings, ProblemUse
from distevo.sealed import seal, unseal

_KIND = b"PLAN"

Count = Annotated[int, msgspec.Meta(ge=0)]


class RunState(StrEnum):
    """Where a run is. `queued`: accepted, and nothing has taken it up yet."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether no island of it will be worked on unless it is extended."""
        return self in _OVER

    @property
    def is_final(self) -> bool:
        """Whether no task of it will be closed any more unless it is extended: what a cancelled run began still is."""
        return self in _FINAL


_FINAL = {RunState.DONE, RunState.FAILED}
_OVER = {*_FINAL, RunState.CANCELLED}


class TaskState(StrEnum):
    """`open`: islands work or wait; `done`: the result stands; `failed`: the problem's code could not do it."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"


_OPEN = TaskState.OPEN  # bound once, since it is asked for so often


class IslandPlace(msgspec.Struct, array_like=True, gc=False):
    """Where one island lives: the owner as `<id>-<boot>`, and the grant, which rises with each new owner."""

    owner: str = ""
    """Empty while it waits for a place; nobody has begun it then, or whoever did is in `former`."""
    grant: Count = 0
    former: list[str] = []
    """Earlier owners, each once, the latest last: where checkpoints may hold more than the owner knows."""

    @property
    def is_nobodys(self) -> bool:
        """Whether nobody has it, and nobody ever had: there is no state of it anywhere."""
        return not self.owner and not self.former


class TaskPlan(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One task of a run."""

    state: TaskState = TaskState.OPEN
    islands: list[IslandPlace] = []
    result: str | None = None
    """Name of the result object; also kept while the task is worked on again, extended or on its next budget."""
    fit: bool = False
    solved: bool | None = None
    rung: Count = 0
    """Which of the run's budgets it works under: the first of them, 0, or a later one."""
    first_grant: Count = 0
    """Grants below it are those of a rung behind it, or before it was extended: what was done under them lies in
    `result`, and nowhere else."""
    evaluations: Count = 0
    duplicates: Count = 0
    seconds: float = 0.0
    """From the first generation to the result, pauses and restarts not counted."""
    error: str | None = None
    """Why it failed; or, of a task that is done, why an extension of it failed, or the first complaint about the
    problem's code."""
    is_extended: bool = False
    """Whether it was done already, with `result`, and is worked on again: should that fail, the result stands."""

    def grant_of(self, island: int) -> int | None:
        """The grant of one of its islands; None where there is no such island, or nobody owns it."""
        if island >= len(self.islands) or not self.islands[island].owner:
            return None
        return self.islands[island].grant

    def is_open_in(self, run: RunState) -> bool:
        """Whether, in a run of this state, something of it is left to do."""
        return self.state is _OPEN and run not in _FINAL


class RunPlan(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One run."""

    object: str
    """Name of the submitted object, which holds problem, tasks and settings."""
    first_grant: Count
    """A number of its own, and below all grants of its islands: it tells the run, and what was done in it, from deleted
    runs of the same name."""
    state: RunState
    problem: ProblemUse
    """Without its source, which stays in the object."""
    islands_per_task: int
    budget: Budget
    tasks: dict[str, TaskPlan]
    migration: MigrationSettings = MigrationSettings()
    rungs: list[Budget] = []
    """Smaller budgets that each task goes through before `budget`."""
    priority: int = 0
    """Of runs that wait for places, those of the highest go first."""
    note: str | None = None
    """Why nothing can take the run, or why it failed."""

    @property
    def is_unfinished(self) -> bool:
        """Whether some task of it may still get a result."""
        return any(task.is_open_in(self.state) for task in self.tasks.values())

    def first_grant_of(self, task: str) -> int:
        """Grants of a task below it say nothing of it as it is: its run was deleted since, or it was opened again."""
        return max(self.first_grant, self.tasks[task].first_grant)

    def budget_at(self, rung: int) -> Budget:
        """What a task may use until it leaves this rung."""
        return self.rungs[rung] if rung < len(self.rungs) else self.budget

    def share(self, task: str, island: int, rung: int | None = None) -> Budget:
        """What one island of a task may use, on the rung where its task is, or on this one."""
        entry = self.tasks[task]
        return self.budget_at(entry.rung if rung is None else rung).share(island, len(entry.islands))

    def in_turn(self) -> Iterator[tuple[str, TaskPlan]]:
        """Its tasks, by id, in the order in which they are worked on: those of lower rungs first."""
        if not self.rungs:
            return iter(self.tasks.items())
        return iter(sorted(self.tasks.items(), key=lambda item: item[1].rung))

    def tally(self) -> dict[str, int]:
        """Tasks by what came of them."""
        tasks = self.tasks.values()
        return {
            "tasks": len(tasks),
            "done": sum(task.state is not TaskState.OPEN for task in tasks),
            "failed": sum(task.state is TaskState.FAILED for task in tasks),
            "fit": sum(task.fit for task in tasks),
            "solved": sum(task.solved is True for task in tasks),
        }


class MemberState(StrEnum):
    """What the coordinator has decided about a member; only one that is alive owns islands."""

    ALIVE = "alive"
    DEAD = "dead"
    LEFT = "left"


class MemberPlan(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A platform as the plan knows it. What it says of itself is also what it puts into the inbox to join."""

    boot: Boot
    kind: str
    workers: Count
    memory_mb: Count
    batch_size: Count
    key: str = ""
    """Its public key."""
    endpoints: list[str] = []
    """Where it can be dialled; empty for a notebook, which dials out only."""
    islands: int | None = None
    """Most islands that it wishes to hold at a time (`islands_per_platform`); None: as many as it has room for."""
    priority: int = 0
    """As candidate for coordinator; lower goes first."""
    joined: Count = 0
    """Order of arrival: of candidates of one priority the longest-lived goes first."""
    state: MemberState = MemberState.ALIVE
    is_draining: bool = False
    """Whether this boot is to leave: it is given nothing, what it has goes to others, and with nothing left it ends."""
    gone_s: Count = 0
    """Seconds for which coordinators have seen it dead or away, since it was last alive."""
    slowness: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """How many times as long as the cluster's median it takes for the same work, as `balance` has it."""

    def owner(self, member: str) -> str:
        """Its name as owner of islands; `member` is its id."""
        return f"{member}-{self.boot}"


class Plan(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """All that the cluster has decided; its version is (epoch, version)."""

    epoch: Count
    version: Count
    members: dict[str, MemberPlan] = {}
    runs: dict[str, RunPlan] = {}
    next_grant: Count = 1
    """Above every grant that was ever given."""
    next_joined: Count = 1
    denied: list[str] = []
    """Public keys that were revoked, at most `orders.MAX_DENIED`."""
    handled: dict[str, str] = {}
    """Inbox objects that are taken in, with what came of them, until a listing no longer shows them."""

    def open_task(self, run: str, task: str) -> TaskPlan | None:
        """A task of which something is left to do; None where there is no such."""
        found = self.runs.get(run)
        if found is None:
            return None
        entry = found.tasks.get(task)
        return entry if entry is not None and entry.is_open_in(found.state) else None

    def place_of(self, run: str, task: str, island: int) -> IslandPlace | None:
        """Where an island lives, or lived; None where the plan does not say."""
        entry = self.runs[run].tasks.get(task) if run in self.runs else None
        return entry.islands[island] if entry is not None and island < len(entry.islands) else None

    def in_turn(self) -> list[tuple[str, RunPlan]]:
        """The runs, by name, in the order in which they are worked on: as they came, higher priorities first."""
        return sorted(self.runs.items(), key=lambda item: -item[1].priority)

    def owned(self, owner: str) -> int:
        """How many islands an owner has, of tasks that are open."""
        return sum(place.owner == owner for place in self._open_places())

    def waiting_after(self, owner: str) -> int:
        """How many islands, of tasks that are open, that owner had last, and nobody has now."""
        return sum(not place.owner and place.former[-1:] == [owner] for place in self._open_places())

    def _open_places(self) -> Iterator[IslandPlace]:
        for run in self.runs.values():
            for task in run.tasks.values():
                if task.is_open_in(run.state):
                    yield from task.islands


def renewed(before: Plan, after: Plan) -> set[str]:
    """Runs that are others than those which had their names before: deleted, and submitted anew."""
    return {
        name
        for name, run in after.runs.items()
        if name in before.runs and before.runs[name].first_grant != run.first_grant
    }


def encode_plan(plan: Plan) -> bytes:
    """The plan as an object for the store."""
    return seal(_KIND, plan)


def decode_plan(data: bytes) -> Plan:
    """The plan in a stored object; errors as in `sealed.unseal`."""
    plan, _ = unseal(_KIND, Plan, data)
    return plan
