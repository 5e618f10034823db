"""The standing of the cluster's islands: how far each is, as its owner last said, and what the runs' rates are."""

from __future__ import annotations

import msgspec

from distevo.checkpoint import Counters
from distevo.events import IslandId
from distevo.messages import Heartbeat, IslandDiversity, IslandProgress
from distevo.pace import Pace
from distevo.plan import Plan, RunPlan, RunState, TaskPlan, TaskState, renewed
from distevo.progress import Progress
from distevo.speech import progress_of
from distevo.work import IslandWork


class Tally(msgspec.Struct):
    """What this platform has done since its boot; it only rises."""

    generations: int = 0
    evaluations: int = 0
    duplicates: int = 0
    cpu_seconds: float = 0.0
    tasks: int = 0
    """Tasks that were closed in the whole cluster, as its plans show."""


NOBODY = ""
MAX_AHEAD = 64
"""Most runs that no plan here has yet of which rates are kept until the next plan: a member may name any number."""


class Standing:
    """Every member keeps one, so that any of them can answer for the whole cluster."""

    def __init__(self) -> None:
        self.islands: dict[IslandId, tuple[str, IslandProgress]] = {}
        """(owner's id, progress) of each island that somebody has in hand, or had begun before it died: `NOBODY`."""
        self.diversity: dict[IslandId, IslandDiversity] = {}
        """Of islands of others, as last heard."""
        self.queued: dict[str, int] = {}
        """By member, the islands that it owns and has not begun."""
        self.waiting: dict[str, set[IslandId]] = {}
        """By member, of the islands that it named last those that wait their turn; other members only."""
        self.refusals: dict[str, dict[str, str]] = {}
        """By member, the runs that it cannot work on, and why."""
        self.lag: dict[str, float] = {}
        """By member, by how many seconds its event loop was late lately."""
        self.generation_time: dict[str, float] = {}
        """By member, how long its generations take, in the mean; other members with generations of late only."""
        self.paces: dict[str, dict[str, float]] = {}
        """By member and run, what it told of its pace; other members only."""
        self.pace = Pace()
        self.tally = Tally()
        self._told: dict[str, tuple[str, tuple[IslandId, ...]]] = {}
        """By member, its boot and the islands that it last named."""
        self._progress: dict[str, Progress] = {}
        self._has_followed = False
        self._plan = Plan(epoch=0, version=0)

    def heard(self, member: str, boot: str, heartbeat: Heartbeat, now: float) -> bool:
        """A member says how far it is; whether that concerns the placing of islands: it refuses other runs now."""
        self.queued[member], self.lag[member] = heartbeat.queued, heartbeat.lag
        self.paces[member] = heartbeat.pace
        if heartbeat.avg_generation_time:
            self.generation_time[member] = heartbeat.avg_generation_time
        else:
            self.generation_time.pop(member, None)
        named = {IslandId(progress.run, progress.task, progress.island): progress for progress in heartbeat.islands}
        spoke, named_before = self._told.get(member, (boot, ()))
        for island in named_before:
            if island not in named and island in self.islands and self.islands[island][0] == member:
                if spoke == boot:
                    del self.islands[island]
                    self.diversity.pop(island, None)
                else:
                    # What its last boot had begun nobody has, until somebody names it.
                    self.islands[island] = NOBODY, self.islands[island][1]
        self._told[member] = boot, tuple(named)
        self.waiting[member] = set(list(named)[max(len(named) - heartbeat.waiting, 0) :])
        diversity = dict(zip(named, heartbeat.diversity, strict=False))
        is_complete = len(heartbeat.diversity) == len(heartbeat.islands)
        for island, progress in named.items():
            _, known = self.islands.get(island, (member, None))
            if known is None or progress.grant >= known.grant:
                self.islands[island] = member, progress
                if known is None:
                    # How much of what it did is new nobody knows.
                    self.evaluated(island.run, 0, 0.0, now)
                elif progress.generation != known.generation:
                    count, seconds = progress.evaluations - known.evaluations, progress.seconds - known.seconds
                    # Many islands may share a worker, and nothing is heard of them before the next heartbeat.
                    self.evaluated(island.run, max(count, 0), max(seconds, heartbeat.interval), now)
                if is_complete:
                    self.diversity[island] = diversity[island]
        is_new = self.refusals.get(member, {}) != heartbeat.refuses
        self.refusals[member] = dict(heartbeat.refuses)
        return is_new

    def named(self, member: str) -> tuple[IslandId, ...]:
        """The islands that another member named last."""
        return self._told[member][1] if member in self._told else ()

    def own(self, member: str, work: IslandWork, before: Counters, now: float) -> None:
        """An island here has finished a generation; `before`: what it had done until then."""
        progress, counters = progress_of(work), work.state.counters
        count = counters.evaluations - before.evaluations
        self.pace.generation(work.id.run, before, counters, now)
        self._tally(self.counted(work.id), progress, count)
        self.islands[work.id] = member, progress
        self.evaluated(work.id.run, count, counters.seconds - before.seconds, now)

    def _tally(self, before: tuple[int, int, float], progress: IslandProgress, count: int) -> None:
        self.tally.generations += 1
        self.tally.evaluations += count
        # Of a state that was taken from the store nobody may know how it was: its first generation here goes without.
        if before[0] + count == progress.evaluations:
            self.tally.duplicates += max(progress.duplicates - before[1], 0)
            self.tally.cpu_seconds += max(progress.seconds - before[2], 0.0)

    def evaluated(self, run: str, count: int, seconds: float, now: float) -> None:
        """So many more evaluations of a run were made somewhere, and took so long."""
        is_ahead = run not in self._progress and run not in self._plan.runs
        if is_ahead and len(self._progress) >= len(self._plan.runs) + MAX_AHEAD:
            return
        self.progress(run).evaluated(count, seconds, now)

    def counted(self, island: IslandId) -> tuple[int, int, float]:
        """(evaluations, duplicates, seconds) of an island, as last heard."""
        entry = self.islands.get(island)
        return (entry[1].evaluations, entry[1].duplicates, entry[1].seconds) if entry is not None else (0, 0, 0.0)

    def waits(self, island: IslandId) -> bool:
        """Whether an island of another member waits there for its turn."""
        entry = self.islands.get(island)
        return entry is not None and island in self.waiting.get(entry[0], ())

    def seconds_per_evaluation(self) -> dict[str, float]:
        """By run, what an evaluation takes, over all its islands of which somebody told some."""
        sums: dict[str, tuple[float, int]] = {}
        for island, (_, progress) in self.islands.items():
            seconds, evaluations = sums.get(island.run, (0.0, 0))
            sums[island.run] = seconds + progress.seconds, evaluations + progress.evaluations
        return {run: seconds / evaluations for run, (seconds, evaluations) in sums.items() if evaluations}

    def measured(self, member: str, now: float) -> dict[str, dict[str, float]]:
        """By member and run, the pace of everybody; `member` is this platform."""
        return self.paces | {member: self.pace.by_run(now)}

    def progress(self, run: str) -> Progress:
        """The rates of a run."""
        return self._progress.setdefault(run, Progress())

    def follow(self, plan: Plan) -> None:
        """A plan is in force: count what it closed, and forget what it no longer has."""
        again = renewed(self._plan, plan)
        for name in [name for name in self._progress if name in again or name not in plan.runs]:
            del self._progress[name]
        for name, run in plan.runs.items():
            # Of a run that the plan before did not have, nothing was closed then; of the first plan, nobody knows when.
            before = self._plan.runs.get(name) if name not in again else None
            for task in _closed(before, run) if self._has_followed else ():
                self.tally.tasks += 1
                # What a cancel cuts short has not had its budget.
                if task.state is TaskState.DONE and (task.fit or run.state is not RunState.CANCELLED):
                    self.progress(name).finished()
        self._plan, self._has_followed = plan, True
        for name, progress in self._progress.items():
            if plan.runs[name].state.is_over:
                progress.over()
            else:
                progress.goes_on()
        past = [
            island for island, (_, progress) in self.islands.items() if not _is_current(plan, island, progress.grant)
        ]
        for island in past:
            del self.islands[island]
        for island in [island for island in self.diversity if island not in self.islands]:
            del self.diversity[island]
        for member in [member for member in {**self.queued, **self._told} if member not in plan.members]:
            self.forget(member)
            self._told.pop(member, None)

    def begins_again(self, task: tuple[str, str]) -> None:
        """A task is open anew, under grants to come: of its islands nothing is in hand."""
        for island in [island for island in self.islands if island[:2] == task]:
            del self.islands[island]

    def forget(self, member: str) -> None:
        """A member is gone. How far its islands were is remembered: they were begun.

        So is which they were: if it lives after all, what it names no more is another's.
        """
        for facts in (self.queued, self.waiting, self.refusals, self.lag, self.generation_time, self.paces):
            facts.pop(member, None)


def _closed(before: RunPlan | None, run: RunPlan) -> list[TaskPlan]:
    """The tasks of a run that are closed, and were not before."""
    known = {name for name, task in before.tasks.items() if task.state is not TaskState.OPEN} if before else set()
    return [task for name, task in run.tasks.items() if task.state is not TaskState.OPEN and name not in known]


def _is_current(plan: Plan, island: IslandId, grant: int) -> bool:
    """Whether what is said of an island under this grant says how far it is: its task or run may have begun anew."""
    run = plan.runs.get(island.run)
    task = run.tasks.get(island.task) if run is not None else None
    if run is None or task is None or task.state is not TaskState.OPEN:
        return False
    return grant >= run.first_grant_of(island.task)
