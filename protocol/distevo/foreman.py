"""The foreman: works on the islands that the plan in force gives this platform, in its workers' slots."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from distevo.block import pack
from distevo.checkpoint import Claim, Counters, IslandSnapshot, latest, restore
from distevo.convergence import SWEEP_OVER
from distevo.errors import LocalProtocolError
from distevo.events import IslandId, IslandReported, ProblemMissing, TaskId, WorkerDied
from distevo.instructions import LimitIsland, StartIsland, StopIsland, TakeMigrants
from distevo.intake import Handed, Intake
from distevo.library import Library
from distevo.news import News
from distevo.outbox import Outbox
from distevo.outline import Outline
from distevo.plan import IslandPlace, Plan, RunState, renewed
from distevo.policies import admit
from distevo.program import Program
from distevo.pruning import is_over
from distevo.resting import Resting
from distevo.result import text_of
from distevo.run import Budget, Run
from distevo.rungs import climb, is_spent
from distevo.set_aside import STORE_AWAY, SetAside
from distevo.slots import Slot, Slots
from distevo.warm_start import seeds
from distevo.work import (
    MAX_BLAMELESS_DEATHS,
    IslandWork,
    Stage,
    Turn,
    fresh_snapshot,
    is_covered,
    is_of,
    population_of,
    states_of,
)

REREAD_SECONDS = 300.0
"""After which the object of a run is read again that could not be read."""
ISLANDS_AHEAD = 2
"""Each slot has at least this many islands placed, so that a worker never waits for its next one. Those of a task that
is at work are placed all the same: they exchange programs while they evolve."""


class Foreman:
    """All islands in hand, and the queue of those that are this platform's and not begun."""

    def __init__(
        self,
        owner: str,
        room: int,
        slots: Slots,
        outbox: Outbox,
        library: Library,
        news: News,
        *,
        patience: float,
        next_sequence: Callable[[], int],
        may_run: Callable[[Run], str | None],
        is_alive: Callable[[str], bool],
        part: Callable[[IslandWork, str], None],
        unbegun: Callable[[str, list[IslandId]], None],
        refused: Callable[[], None],
        given_up: Callable[[IslandId], None],
    ) -> None:
        """`room`: most islands at a time. `patience`: seconds until others may have the islands of a run whose object
        the store does not give. `is_alive` speaks of owners; `part` sends an island to its new owner, and `unbegun`
        tells one that nothing was done here; `refused` is told of a run that cannot be worked on here, and `given_up`
        of each island whose state is let go of.
        """
        self._owner, self._room = owner, room
        self._slots, self._outbox, self._library, self._news = slots, outbox, library, news
        self._next_sequence, self._may_run = next_sequence, may_run
        self._intake = Intake(outbox, library, is_alive, self._fetched)
        self._resting = Resting(library, news, next_sequence=next_sequence, fit=self.fit, refuse=self._refuse)
        self._aside = SetAside(outbox, patience, refused)
        self.next_deadline = self._aside.next_deadline
        """When `tick` has something to do."""
        self._part, self._tell_unbegun, self._given_up = part, unbegun, given_up
        self.islands: dict[IslandId, IslandWork] = {}
        self.refused = self._aside.reasons
        """Runs that this platform cannot work on, and why."""
        self.generated: Callable[[IslandWork, Counters, float], None] = lambda _work, _before, _now: None
        """Told of each generation that an island had, with what had been done before it."""
        self.is_working = False
        self._plan = Plan(epoch=0, version=0)
        self._queue: dict[IslandId, IslandPlace] = {}
        self._held: dict[IslandId, tuple[str, str | None]] = {}
        """Islands of which this boot had a state at some time, which its checkpoints may hold, and in which life."""
        self._passed_on: dict[IslandId, int] = {}
        """Of which islands the owner under this grant was told that there is no state here."""
        self._live = 0
        self._is_filling = False
        self._batches = 0

    # --- following the plan ----------------------------------------------------------------------

    def follow(self, outline: Outline, now: float) -> None:
        """A plan is in force: let go of what it takes away, take up what it gives."""
        plan = outline.plan
        anew, self._plan, self.is_working = renewed(self._plan, plan), plan, True
        queued = [island for island in self._queue if island not in self._held]
        # Of a run that failed, too: its islands are let go of, and whoever had begun them has not forgotten it.
        kept = [
            island for island, life in self._held.items() if plan.place_of(*island) and life == self._life_of(island)
        ]
        self._held = {island: self._held[island] for island in kept}
        self._passed_on = {
            island: grant for island, grant in self._passed_on.items() if self._place_of(island) is not None
        }
        self._aside.keep(plan.runs.keys() - anew)
        mine = outline.owned(self._owner)
        # Theirs now, and ours before, but under no plan that was followed here: whoever has them need not wait for us.
        missed = [island for island in outline.given_away(self._owner) if not self._knows(island)]
        for work in list(self.islands.values()):
            if work.life != self._life_of(work.id):
                # Plans were skipped: this is of a run that is gone, or from before the task was closed.
                self._drop(work)
        in_hand = [(work, mine.pop(work.id, None)) for work in self.islands.values()]
        self._queue = mine
        for work, place in in_hand:
            if place is None:
                self._let_go(work, now)
            else:
                self._keep(work, place, now)
        self._intake.keep(self._is_awaited)
        passed = [island for island in queued if island not in mine and island not in self.islands]
        self._pass_on([*passed, *missed])
        self._intake.look(now)
        self._report_unbegun(now)
        self.fill(now)

    def _knows(self, island: IslandId) -> bool:
        return island in self._queue or island in self.islands or island in self._held

    def _life_of(self, island: IslandId) -> tuple[str, str | None]:
        run = self._plan.runs.get(island.run)
        entry = run.tasks.get(island.task) if run is not None else None
        return (run.object, entry.result) if run is not None and entry is not None else ("", None)

    def _let_go(self, work: IslandWork, now: float) -> None:
        place = self._place_of(work.id)
        if place is None:
            self._drop(work)
        elif not work.is_begun:
            self._remove(work, Turn.MOVED if work.stage is Stage.FETCHING else Turn.CLOSED)
            if work.id not in self._held:
                self._pass_on([work.id])
        elif work.stage is not Stage.PARTING or place.grant != work.parts_for:
            self._free(work)
            work.parts_for = place.grant
            work.step(Turn.MOVED)
            self._news.take_back(work.id)
            work.settle_immigrants()
            work.snapshot = msgspec.structs.replace(work.state, sequence=self._next_sequence())
            # To nobody, while there is nobody else: whoever takes it up some day finds it in the store.
            self._part(work, place.owner)

    def _pass_on(self, islands: list[IslandId]) -> None:
        """Islands went to another owner before they were begun here: it need not wait for a state."""
        owners: dict[str, list[IslandId]] = {}
        for island in islands:
            place = self._place_of(island)
            if place is not None and place.owner and self._passed_on.get(island) != place.grant:
                self._passed_on[island] = place.grant
                owners.setdefault(place.owner, []).append(island)
        for owner, unbegun in owners.items():
            self._tell_unbegun(owner, unbegun)

    def _place_of(self, island: IslandId) -> IslandPlace | None:
        """Where an island lives; None when nothing of it is left to do."""
        entry = self._plan.open_task(island.run, island.task)
        return entry.islands[island.island] if entry is not None and island.island < len(entry.islands) else None

    def _keep(self, work: IslandWork, place: IslandPlace, now: float) -> None:
        run = self._plan.runs[work.id.run]
        if place.grant != work.grant:
            self._regrant(work, place, now)
        budget = run.share(work.id.task, work.id.island, max(work.rung, run.tasks[work.id.task].rung))
        # What rests because its run was cancelled goes on when that was extended, be it with the same budget for now.
        rests = work.stage is Stage.FINAL and not run.state.is_over and work.id[:2] not in self._news.fits
        if rests or (budget != work.budget and not work.is_fetching):
            self._limit(work, budget)
        if work.stage in {Stage.EVOLVING, Stage.SUSPENDED}:
            if run.state is RunState.CANCELLED or work.id[:2] in self._news.fits:
                self._end(work, now)
            elif run.state is RunState.PAUSED:
                self._suspend(work)

    def _regrant(self, work: IslandWork, place: IslandPlace, now: float) -> None:
        """It left and came back, or was given to this very platform anew, maybe under plans that were skipped here."""
        work.grant, work.former = place.grant, tuple(place.former)
        if work.is_fetching:
            return
        if work.stage is Stage.PARTING:
            work.step(Turn.RETURNED)
            self._live += 1
            if work.former[-1:] == (self._owner,):
                self._fetched(work, [], "", now)
            else:
                self._intake.fetch(work, None, now)
            return
        state, sequence = work.settle_immigrants(), self._next_sequence()
        cover = latest(state.cover | {state.grant: sequence})
        work.snapshot = msgspec.structs.replace(state, grant=place.grant, sequence=sequence, cover=cover)
        if work.stage is Stage.FINAL:
            self._conclude(work, now)

    def _limit(self, work: IslandWork, budget: Budget) -> None:
        work.budget = budget
        if work.stage is Stage.EVOLVING:
            work.step(Turn.EXTENDED)
            slot = self._slots.of(work.id)
            if slot is not None and slot.is_ready:
                self._outbox.emit(LimitIsland(slot.number, work.id, budget))
        elif work.stage is Stage.FINAL and not work.is_fit and work.failure is None and not self._is_spent(work):
            work.step(Turn.EXTENDED)
            self._news.take_back(work.id)

    def _suspend(self, work: IslandWork) -> None:
        if work.stage is Stage.EVOLVING:
            self._free(work)
            work.step(Turn.PAUSED)

    def _report_unbegun(self, now: float) -> None:
        """Of a cancelled run, what was never begun anywhere is over at once."""
        for island, place in list(self._queue.items()):
            run = self._plan.runs[island.run]
            if run.state is RunState.CANCELLED and not place.former and run.tasks[island.task].result is None:
                del self._queue[island]
                self._news.final(island, place.grant, None, now)

    # --- taking islands up -----------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Islands that are this platform's and not begun."""
        return len(self._queue)

    @property
    def waiting(self) -> set[IslandId]:
        """Islands in hand whose turn has still to come: their worker ends another task first, there is no place, or
        their run is paused."""
        suspended = {island for island, work in self.islands.items() if work.stage is Stage.SUSPENDED}
        return self._slots.behind | suspended

    def takes_later(self, island: IslandId) -> bool:
        """Whether an island is this platform's and takes immigrants with its next generation only: its turn to evolve
        has still to come, or so many wait for its worker already."""
        work = self.islands.get(island)
        return island in self._queue if work is None else work.is_fetching or work.is_crowded

    @property
    def is_empty(self) -> bool:
        """Whether this platform owns nothing, by the plan in force, and nothing is left that it has to hand over."""
        return not self._queue and not self.islands

    def fill(self, now: float) -> None:
        """Begin islands while there is room and some slot would soon have nothing to do."""
        if not self.is_working or self._is_filling:
            return
        self._is_filling = True  # An island that ends as soon as it begins comes back here.
        self._resume()
        at_work = {(work.id.run, work.id.task) for work in self.islands.values() if work.is_live}
        for island in list(self._queue):
            if self._live >= self._room:
                break
            is_needed = self._live - self._slots.placed < self._slots.room(ISLANDS_AHEAD)
            has_company = (island.run, island.task) in at_work
            if (is_needed or has_company) and island in self._queue and self._is_due(island):
                at_work.add((island.run, island.task))
                self._begin(island, self._queue.pop(island), now)
        self._is_filling = False
        # What is in the queue still may not begin, or has no room; what is on its way goes to an idle slot by itself.
        if not self._queue or self._live == self._slots.placed:
            self._level()

    def _resume(self) -> None:
        """Go on, while there is room, with what was begun of a run that is paused no more, or has more to do: others
        had its places."""
        for work in [work for work in self.islands.values() if self._may_resume(work)]:
            if self._live < self._room:
                work.step(Turn.RESUMED)
                self._live += 1
                self._place(work)

    def _may_resume(self, work: IslandWork) -> bool:
        return work.stage is Stage.SUSPENDED and self._plan.runs[work.id.run].state is not RunState.PAUSED

    def _is_due(self, island: IslandId) -> bool:
        run = self._plan.runs[island.run]
        if island.run in self.refused:
            return False
        # Of a paused run, what was begun before is taken in hand, to be kept and shown; what lies in a result is kept.
        return run.state is not RunState.PAUSED or bool(self._queue[island].former)

    def _level(self) -> None:
        """With nothing that can begin, give a worker without islands one that waits elsewhere."""
        while (pair := self._slots.uneven()) is not None:
            fullest, idle = pair
            island = fullest.islands.pop()
            idle.islands.append(island)
            if fullest.is_ready:
                self._outbox.emit(StopIsland(fullest.number, island))
            self._send(idle, self.islands[island])

    def _begin(self, island: IslandId, place: IslandPlace, now: float) -> None:
        since = self._plan.runs[island.run].tasks[island.task].first_grant
        life = self._life_of(island)
        work = self.islands[island] = IslandWork(island, place.grant, tuple(place.former), life, since)
        self._live += 1
        # Of a run that was cancelled and goes on, it may have been told that there was nothing to tell.
        self._news.take_back(island)
        name = self._plan.runs[island.run].object
        self._aside.wait(name, now)
        self._library.run(name, lambda run, reason, now: self._has_run(work, name, run, reason, now), now)

    def _has_run(self, work: IslandWork, object_name: str, run: Run | None, reason: str, now: float) -> None:
        name = work.id.run
        if self._aside.came(object_name) and self._life_of(work.id)[0] == object_name:
            self._take_back(name, STORE_AWAY, now)
        if work.stage is not Stage.FETCHING:
            return
        refusal = reason if run is None else self._may_run(run)
        if refusal is not None:
            self._refuse(name, refusal)
            if run is None:
                self._outbox.later(now + REREAD_SECONDS, lambda now: self._take_back(name, refusal, now))
            return
        work.run = run
        self._intake.fetch(work, work.life[1], now)

    def _take_back(self, name: str, refusal: str, now: float) -> None:
        """The object of a run that could not be read may have been mended."""
        if self._aside.take_back(name, refusal):
            self.fill(now)

    def somebody_is_gone(self, now: float) -> None:
        """Another member is dead, or has left: nothing is waited for from it."""
        self._intake.look(now)

    def tick(self, now: float) -> None:
        """What cannot even be begun here, others may have: the store has not given the run's object for long."""
        if overdue := self._aside.overdue(now):
            for work in list(self.islands.values()):
                if work.life[0] in overdue and work.is_fetching and work.run is None:
                    self._refuse(work.id.run, STORE_AWAY)
            self.fill(now)

    def handed_over(self, owner: str, snapshot: IslandSnapshot, now: float) -> None:
        """A former owner sends the state of an island that the plan gives this platform, or will."""
        if not self.may_be_handed_over(owner, snapshot):
            return
        island = IslandId(snapshot.run, snapshot.task, snapshot.island)
        work = self.islands.get(island)
        if work is None or (work.is_fetching and snapshot.grant < work.grant):
            self._await(island, owner, Handed(snapshot.grant, snapshot), now)
        elif snapshot.grant < work.grant and work.snapshot is not None and not is_covered(work.state, snapshot):
            # It came late. Its programs are as welcome as any immigrant's; what it covers, this state does not: that
            # is merged from the store before the island is told as final.
            if work.stage is Stage.FINAL:
                self._resting.supplement(work, snapshot, self._plan.runs[island.run], now)
            else:
                self.immigrate(island, list(population_of(snapshot)), is_all=True)

    def not_begun(self, owner: str, island: IslandId, grant: int, now: float) -> None:
        """A former owner says that it has nothing of an island, and will never have: it follows a later plan."""
        work = self.islands.get(island)
        if work is None or (work.is_fetching and grant <= work.grant):
            self._await(island, owner, Handed(grant, None), now)

    def may_be_handed_over(self, owner: str, state: Claim | IslandSnapshot) -> bool:
        """Whether a state is of the task that the plan has, and not of an earlier one of that name; and whether its
        sender had the island, as far as is known here."""
        island = IslandId(state.run, state.task, state.island)
        place = self._place_of(island)
        if place is None or owner not in {place.owner, *place.former} or is_over(self._plan, island, state.grant):
            return False
        return is_of(self._plan.runs[island.run], state)

    def _is_awaited(self, island: IslandId, grant: int) -> bool:
        """Whether an island is this platform's, or still was whose it was under this grant in the plan known here."""
        place = self._place_of(island)
        return place is not None and (place.owner == self._owner or place.grant <= grant)

    def _await(self, island: IslandId, owner: str, handed: Handed, now: float) -> None:
        if self._is_awaited(island, handed.grant):
            self._intake.came(island, owner, handed)
            work = self.islands.get(island)
            if work is not None and work.run is not None:
                self._intake.fetch(work, work.life[1], now)

    def _fetched(self, work: IslandWork, snapshots: list[IslandSnapshot], refusal: str, now: float) -> None:
        if refusal:
            self._refuse(work.id.run, refusal)
            return
        assert work.run is not None
        plan = self._plan.runs[work.id.run]
        found = states_of(work.id, snapshots, plan)
        if work.snapshot is not None:
            found.append(msgspec.structs.replace(work.snapshot, sequence=self._next_sequence()))
        start = restore(found, work.grant) or fresh_snapshot(work.run, work.id, work.grant)
        work.snapshot = msgspec.structs.replace(start, grant=work.grant, sequence=self._next_sequence())
        work.rung = plan.tasks[work.id.task].rung
        work.budget = plan.share(work.id.task, work.id.island)
        if work.is_begun:
            self._held[work.id] = work.life
        work.step(Turn.RESTORED)
        task = work.id[:2]
        fit = [program for program in work.population() if program.fit]
        if fit:
            work.is_fit = True
            self._tell_fit(task, fit, now)
        is_over = work.is_fit or work.failure is not None or task in self._news.fits or self._is_spent(work)
        if is_over or plan.state is RunState.CANCELLED:
            self._end(work, now)
        elif plan.state is RunState.PAUSED or self._live > self._room:
            # Of one that was on its way to another and came back, others may have the place by now.
            work.step(Turn.PAUSED)
            self._live -= 1
        else:
            self._place(work)
        self.fill(now)

    def _refuse(self, name: str, reason: str) -> None:
        """This platform cannot work on a run: take no island of it, and say why."""
        self._aside.add(name, reason)
        for work in [work for work in self.islands.values() if work.id.run == name]:
            if work.stage is not Stage.PARTING:
                place = self._place_of(work.id)
                self._drop(work)
                if place is not None:
                    self._queue[work.id] = place

    # --- slots -----------------------------------------------------------------------------------

    def _place(self, work: IslandWork) -> None:
        slot = self._slots.least_loaded()
        slot.islands.append(work.id)
        if slot.is_ready:
            self._send(slot, work)

    def _send(self, slot: Slot, work: IslandWork) -> None:
        assert work.run is not None
        state = work.settle_immigrants()
        work.pending.clear()
        self._outbox.emit(
            StartIsland(
                slot=slot.number,
                island=work.id,
                problem=work.run.problem,
                task=bytes(work.run.tasks[work.id.task]),
                islands=len(self._plan.runs[work.id.run].tasks[work.id.task].islands),
                population_size=work.run.settings.population_size,
                budget=work.budget,
                snapshot=state,
                seeds=seeds(work.run, work.id) if state.cursor != SWEEP_OVER else b"",
                attempt=work.deaths,
                restart_after=work.run.settings.restart_after,
            )
        )

    def _free(self, work: IslandWork) -> None:
        """It leaves its slot, if it has one, and no longer takes a place."""
        if work.is_live:
            self._live -= 1
        slot = self._slots.of(work.id)
        if slot is not None:
            slot.islands.remove(work.id)
            if slot.is_ready:
                self._outbox.emit(StopIsland(slot.number, work.id))

    def _drop(self, work: IslandWork) -> None:
        self._remove(work, Turn.CLOSED)

    def _remove(self, work: IslandWork, turn: Turn) -> None:
        self._free(work)
        work.step(turn)
        self._news.take_back(work.id)
        self._given_up(work.id)
        del self.islands[work.id]

    def handed(self, island: IslandId) -> None:
        """The new owner has it, and a checkpoint here holds it too."""
        work = self.islands.get(island)
        if work is not None and work.stage is Stage.PARTING:
            self._remove(work, Turn.HANDED_OVER)

    def ready(self, number: int, now: float) -> None:
        """A worker is there: give it what its slot holds."""
        slot = self._slots.ready(number)
        for island in slot.islands:
            self._send(slot, self.islands[island])
        self.fill(now)

    # --- what workers say ------------------------------------------------------------------------

    def reported(self, event: IslandReported, now: float) -> bool:
        """Take a generation in; whether the island still counts (it does not once its task is closed)."""
        work = self.islands.get(event.island)
        if work is None or work.stage is Stage.FETCHING:
            return False
        if work.stage is not Stage.EVOLVING:
            work.step(Turn.REPORTED)
            return False
        work.step(Turn.REPORTED)
        self._slots.worked(event.slot)
        before = work.state.counters
        self._held[work.id] = work.life
        work.report(event.snapshot, event.taken)
        self.generated(work, before, now)
        task = work.id[:2]
        if event.warning is not None and self._news.warn(task, event.warning):
            self._outbox.log("warning", "the problem's code misbehaves", island=str(work.id), reason=event.warning)
        if event.fit:
            work.is_fit = True
            fit = [program for program in work.population() if program.fit]
            self.fit(task, fit, now)
        # Judged by the budget in force: a worker may not have heard yet that it was raised.
        elif self._is_spent(work) and not self._climbs(work):
            self._end(work, now)
            self.fill(now)
        elif event.is_spent:
            slot = self._slots.of(work.id)
            if slot is not None and slot.is_ready:
                self._send(slot, work)
        return True

    def _tell_fit(self, task: TaskId, programs: Iterable[Program], now: float) -> None:
        run = self._plan.runs[task[0]]
        self._news.fit(task, run.first_grant, run.problem.name, run.problem.version, programs, now)

    def fit(self, task: TaskId, programs: Iterable[Program], now: float) -> None:
        """A task of the plan in force is fit, here or elsewhere: its islands stop."""
        if task[0] not in self._plan.runs:
            return
        self._tell_fit(task, programs, now)
        for work in [work for work in self.islands.values() if work.id[:2] == task]:
            if work.stage in {Stage.EVOLVING, Stage.SUSPENDED}:
                self._end(work, now)
        self.fill(now)

    def _is_spent(self, work: IslandWork) -> bool:
        return is_spent(work.budget, work.state.counters)

    def _climbs(self, work: IslandWork) -> bool:
        """Whether it goes on where it is: its run has a larger budget, and its worker nothing else to do."""
        has_more = self._live > self._slots.placed or any(self._is_due(island) for island in self._queue)
        has_more = has_more or any(map(self._may_resume, self.islands.values()))
        return not has_more and climb(work, self._plan.runs[work.id.run], self.islands, self._slots.of(work.id))

    def _end(self, work: IslandWork, now: float) -> None:
        """Nothing is left to evolve: let it rest and tell the coordinator, with all that former owners found."""
        self._free(work)
        work.step(Turn.ENDED)
        work.settle_immigrants()
        work.pending.clear()
        self._conclude(work, now)

    def _conclude(self, work: IslandWork, now: float) -> None:
        if work.failure is not None:
            self._news.failed(work.id, work.grant, work.failure, is_by_deaths=work.is_by_deaths)
        self._resting.conclude(work, self._plan.runs[work.id.run], now)

    def missing(self, event: ProblemMissing) -> None:
        """This platform lacks the problem: it takes no island of the run."""
        if self._slots.of(event.island) is not None:
            self._refuse(event.island.run, event.error)

    def failed(self, island: IslandId, error: str, now: float) -> None:
        """The problem's code cannot go on with an island."""
        work = self.islands.get(island)
        if work is not None and work.stage is Stage.EVOLVING:
            work.failure = error
            self._end(work, now)
            self.fill(now)

    def died(self, event: WorkerDied, blamed: IslandId | None, now: float) -> str:
        """Judge a worker's death while it worked on an island; returns what was decided, in words."""
        work = self.islands.get(blamed) if blamed is not None else None
        if work is None or work.stage is not Stage.EVOLVING:
            return "it had no island"
        verdict = work.blame(event)
        if event.culprit is not None:
            text = text_of(event.culprit)[:80]
            self._news.warn(work.id[:2], f"a worker died ({event.cause.value}) while it evaluated {text!r}")
        if work.deaths >= MAX_BLAMELESS_DEATHS:
            work.is_by_deaths = True
            self.failed(
                work.id,
                f"{work.deaths} workers died ({event.cause.value}) in generation "
                f"{work.state.generation + 1} of island {work.id.island} outside `evaluate`",
                now,
            )
            return "the island is given up here"
        return verdict

    # --- migration -------------------------------------------------------------------------------

    def immigrate(self, island: IslandId, programs: list[Program], *, is_all: bool = False) -> tuple[int, int] | None:
        """Merge programs into an island here, by its replacement policy or all: (accepted, known).

        None: it takes none now.
        """
        work = self.islands.get(island)
        if work is None or work.snapshot is None or work.stage not in {Stage.EVOLVING, Stage.SUSPENDED}:
            return None
        assert work.run is not None
        migration = self._plan.runs[island.run].migration
        if is_all:
            migration = msgspec.structs.replace(migration, replacement="merge")
        resident = list(work.with_immigrants())
        taken, accepted, known = admit(migration, resident, programs, work.run.settings.population_size)
        if taken:
            self._batches += 1
            work.pending.append((self._batches, taken))
            slot = self._slots.of(island)
            if work.stage is Stage.EVOLVING and slot is not None and slot.is_ready:
                self._outbox.emit(TakeMigrants(slot.number, island, self._batches, pack(taken)))
        return accepted, known

    def snapshots(self) -> list[IslandSnapshot]:
        """The states for a checkpoint, without those that hold nothing yet."""
        return [work.settle_immigrants() for work in self.islands.values() if work.is_begun]

    @property
    def handed_on(self) -> set[IslandId]:
        """The islands that are on their way to another owner, each in its last state."""
        return {work.id for work in self.islands.values() if work.stage is Stage.PARTING}

    def validate(self) -> None:
        """Raises LocalProtocolError when slots, places and stages contradict each other."""
        live = sum(work.is_live for work in self.islands.values())
        placed = [island for slot in self._slots.slots for island in slot.islands]
        evolving = [work.id for work in self.islands.values() if work.stage is Stage.EVOLVING]
        if live != self._live or sorted(placed) != sorted(evolving):
            raise LocalProtocolError(f"{live} live islands counted as {self._live}; {placed} placed, {evolving} evolve")
        if self._queue.keys() & self.islands.keys():
            raise LocalProtocolError("an island is both queued and in hand")
