"""What must never be: a result that is lost, doubled or worse than what was durable; an island in two hands."""

from __future__ import annotations

from typing import NamedTuple

from distevo.block import unpack
from distevo.checkpoint import IslandSnapshot
from distevo.errors import NotFound
from distevo.events import IslandId
from distevo.names import RESULTS
from distevo.plan import Plan, RunState, TaskState
from distevo.population import Population
from distevo.program import keyer
from distevo.result import Result, decode_result
from tests.support.soak.platforms import Platforms
from tests.support.soak.stream import Stream
from tests.support.soak.timeline import Timeline
from tests.support.store_view import places

Task = tuple[str, str]


class Violation(Exception):  # noqa: N818 - what it is
    """Something that must never be."""


class _Worth(NamedTuple):
    is_fit: bool
    fitness: list[float]


class Judge:
    """Looks at the store and at who has what in hand. Raises Violation."""

    def __init__(self, platforms: Platforms, stream: Stream, timeline: Timeline) -> None:
        self._platforms, self._stream, self._timeline = platforms, stream, timeline
        self._epoch = (0, 0)
        self.elections = 0
        self._named: dict[Task, str] = {}
        self._results: dict[Task, Result] = {}
        self._durable: dict[Task, _Worth] = {}
        """Of each open task, the best that a checkpoint of an island's owner held."""
        self._spent: set[IslandId] = set()
        self._seen: set[tuple[IslandId, str, int, int]] = set()

    def is_spent(self, island: IslandId) -> bool:
        """Whether some checkpoint shows that nothing is left for it to do."""
        return island in self._spent

    def look(self) -> tuple[Plan, str]:
        """One look at the store; returns the plan in force and who coordinates."""
        store = self._platforms.store
        record = store.record()
        if record is None:
            return store.plan(), ""
        if record.epoch > self._epoch[0] > 0:
            self.elections += record.epoch - self._epoch[0]
            self._timeline.note(f"epoch {record.epoch}: {record.holder or 'nobody'} holds the lease")
        version = record.epoch, record.plan_version
        if version[0] < self._epoch[0] or (version[0] == self._epoch[0] and version[1] < self._epoch[1]):
            raise Violation(f"`cluster` went back from {self._epoch} to {version}")
        self._epoch = version
        plan = store.plan()
        self._look_at_results(plan)
        self._look_at_checkpoints(plan)
        return plan, record.holder

    def _look_at_checkpoints(self, plan: Plan) -> None:
        """What the present owner of an island has made durable cannot be lost any more."""
        found = self._platforms.store.snapshots()
        if self._platforms.store.plan() is not plan:
            return  # It may have been somebody else's already when it was written.
        now = places(plan)
        for owner, snapshot in found:
            island = IslandId(snapshot.run, snapshot.task, snapshot.island)
            place = now.get(island)
            mark = island, owner, snapshot.grant, snapshot.sequence
            if place is None or (place.owner, place.grant) != (owner, snapshot.grant) or mark in self._seen:
                continue
            self._seen.add(mark)
            worth = _worth(snapshot)
            if worth is not None:
                task = snapshot.run, snapshot.task
                self._durable[task] = max(worth, self._durable.get(task, worth))
            run, counters = plan.runs[island.run], snapshot.counters
            share = run.budget.share(island.island, run.islands_per_task)
            if (worth is not None and worth.is_fit) or share.is_used(
                counters.cpu_seconds, counters.evaluations, counters.duplicates
            ):
                self._spent.add(island)

    def _look_at_results(self, plan: Plan) -> None:
        for name, run in plan.runs.items():
            for task, entry in run.tasks.items():
                before = self._named.get((name, task))
                if before is not None and entry.result != before:
                    raise Violation(f"the result of {task} of {name} was {before} and is {entry.result}")
                if entry.result is not None and before is None:
                    self._named[name, task] = entry.result
                    self._take((name, task), entry.result)
        if gone := {run for run, _ in self._named} - plan.runs.keys():
            raise Violation(f"the plan does not show {', '.join(sorted(gone))} any more")

    def _take(self, task: Task, name: str) -> None:
        try:
            result, _ = decode_result(self._platforms.store.store.read(name)[0])
        except NotFound as error:
            raise Violation(f"the plan names {name}, and it is not in the store") from error
        if (result.run, result.task) != task or result.fitness is None:
            raise Violation(f"{name} is no result of {task}: {result}")
        worth = _Worth(result.fit, result.fitness)
        durable = self._durable.pop(task, worth)
        # Of several fit programs the smallest is the guess, not the one of the highest fitness.
        if worth < durable and not (worth.is_fit and durable.is_fit):
            raise Violation(f"the result of {task} is {worth}, and a checkpoint held {durable}")
        self._results[task] = result
        self._timeline.note(f"{task[1]} of {task[0]} has its result")

    def look_at_hands(self) -> None:
        """No island may be in two hands under one grant."""
        hands: dict[tuple[str, str, int, int], str] = {}
        for member in self._platforms.awake:
            try:
                islands = self._platforms.daemons[member].ask(1_000, do="islands")["islands"]
            except TimeoutError:
                continue  # It has much to do: another time.
            for island in islands:
                held = island["run"], island["task"], island["island"], island["grant"]
                if held in hands:
                    raise Violation(f"{held} is in the hands of {hands[held]} and {member}")
                hands[held] = member

    def unfinished(self, plan: Plan) -> list[str]:
        """What is known to have been submitted and is not over."""
        names = self._stream.confirmed | (self._stream.unconfirmed & plan.runs.keys())
        return sorted(name for name in names if name not in plan.runs or not plan.runs[name].state.is_over)

    def end(self, plan: Plan) -> dict[str, int]:
        """All is over: each task has its one result, still. Returns what there is."""
        for name, run in plan.runs.items():
            if run.state is not RunState.DONE or len(run.tasks) != self._stream.tasks[name]:
                raise Violation(f"{name} is {run.state} with {len(run.tasks)} tasks: {run.note}")
            for task, entry in run.tasks.items():
                if entry.state is not TaskState.DONE or entry.result is None:
                    raise Violation(f"{task} of {name} is {entry.state} without a result: {entry.error}")
        objects = self._platforms.store.store.list(RESULTS)
        if lost := set(self._named.values()) - set(objects):
            raise Violation(f"results are gone from the store: {', '.join(sorted(lost))}")
        if len(set(self._named.values())) != len(self._named):
            raise Violation("two tasks have one result")
        return {
            "runs": len(plan.runs),
            "tasks": len(self._named),
            "fit": sum(result.fit for result in self._results.values()),
            "candidates_not_named": len(objects) - len(self._named),
        }


def _worth(snapshot: IslandSnapshot) -> _Worth | None:
    if not snapshot.population:
        return None
    best = Population(unpack(snapshot.population, keyer(snapshot.problem, snapshot.version))).best
    return None if best is None else _Worth(best.fit, list(best.fitness))
