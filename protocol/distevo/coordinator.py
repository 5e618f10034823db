"""The coordinator: what the holder of the lease decides, for one term.

It takes in what lies in the inbox, places islands on members, closes tasks, and publishes plans. All that it holds
beside the plan is soft: members tell a successor again. A term that is lost is dropped, and answers to what it asked
for find it closed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from distevo.alarms import NEVER
from distevo.attic import Attic
from distevo.balance import Balance
from distevo.closing import Closing, Saved, Verify
from distevo.desk import Desk, in_order
from distevo.errors import ObjectError, ObjectVersionError
from distevo.events import IslandId, TaskId
from distevo.forecast import NOTHING, Forecast, seconds_between
from distevo.hosts import hosts_of
from distevo.instructions import Log
from distevo.janitor import Janitor
from distevo.keeper import Keeper
from distevo.lease import InForce
from distevo.ledger import Gone, Ledger
from distevo.load import Host
from distevo.loading import Loaded
from distevo.names import epoch_in
from distevo.news import Report
from distevo.orders import Orders
from distevo.outbox import Outbox, Publish
from distevo.placement import OpenIsland, place
from distevo.plan import MemberPlan, MemberState, Plan, RunPlan, RunState
from distevo.program import Program
from distevo.run import Budget, decode_run
from distevo.speech import member_of
from distevo.standing import Standing
from distevo.task_ends import Merge
from distevo.weighing import Weigher

PLACING_SECONDS = 0.25
"""Islands are placed no more often than this: what happens meanwhile is considered together."""
WAITING_SECONDS = 5.0
"""While islands wait for room, it is looked for this often: queues get shorter without a word."""
QUEUED_SECONDS = 30.0
"""While islands wait in queues, they are looked at this often: what others are worth becomes known without a word."""
AGE_SECONDS = 1800.0
"""How often it is written down, at least, how long members have been gone."""
FORGET_SECONDS = 86_400.0
"""A member that has been dead or away for so long leaves the plan."""


class Coordinator:
    """One term. Built from what was loaded; `begin` when its first plan is in force, `end` when the lease is lost."""

    def __init__(
        self,
        member: str,
        says: MemberPlan,
        loaded: Loaded,
        *,
        outbox: Outbox,
        attic: Attic,
        keeper: Keeper,
        standing: Standing,
        publish: Publish,
        soonest_write: Callable[[], float],
        verify: Verify,
        withdraw: Callable[[TaskId], None],
        merge: Merge,
        saved: Saved,
        refusals: Mapping[str, str],
        weigher: Weigher,
        threshold: float | None,
        now: float,
    ) -> None:
        """`says`: what this platform says of itself; `soonest_write`: when a plan can be put in force next; `refusals`:
        the runs that it cannot work on, as they are; `threshold`: from which slowness on a platform gives islands away.
        """
        self._member, self._boot, self._owner = member, says.boot, says.owner(member)
        self._own_refusals, self._soonest_write = refusals, soonest_write
        self._outbox, self._attic, self._standing, self._publish = outbox, attic, standing, publish
        self.ledger = Ledger(loaded.plan, {})
        self._load_runs(loaded)
        self.closing = Closing(
            member,
            says.boot,
            self.ledger,
            outbox,
            publish,
            verify,
            withdraw,
            merge,
            saved,
            standing.counted,
            self._elsewhere,
            self._change,
            standing.begins_again,
        )
        self.orders = Orders(
            member,
            self.ledger,
            self.closing,
            outbox,
            publish,
            self._change,
            self._change_now,
            self.settle,
            lambda name: self.desk.settle(name),
        )
        self.desk = Desk(self.ledger, self.orders, outbox, publish)
        self.janitor = Janitor(self._owner, keeper, outbox, self._forget_former)
        self._weigher, self._threshold, self._balance = weigher, threshold, Balance(threshold, outbox)
        self.is_begun = self.is_over = self._is_leaving = False
        self._counted_at = self._aged_at = now
        self._is_changed = True
        self._placed_at = -NEVER
        self._replace_at = NEVER
        self._join(says)
        self._fresh = [
            name for name in sorted(loaded.fresh(), key=in_order) if self.desk.take_in(name, loaded.objects[name], now)
        ]
        self._old_plans, self._epoch_before = loaded.old_plans, loaded.plan.epoch

    def _join(self, says: MemberPlan) -> None:
        known = self.ledger.plan.members.get(self._member)
        if known is None or known.boot != says.boot:
            says.joined = self.ledger.plan.next_joined
            self.ledger.plan.next_joined += 1
            self.ledger.plan.members[self._member] = says
        else:
            known.state = MemberState.ALIVE

    def _load_runs(self, loaded: Loaded) -> None:
        plan = self.ledger.plan
        for name, run in plan.runs.items():
            if run.object in loaded.objects:
                try:
                    self.ledger.runs[name] = decode_run(loaded.objects[run.object])
                except ObjectVersionError as error:
                    # Not damage: the run waits for a platform that can read it.
                    run.note = str(error)
                    self._outbox.log("error", "a run is left alone", run=name, reason=str(error))
                except ObjectError as error:
                    self._give_up(name, str(error))
            elif run.is_unfinished:
                self._give_up(name, "is missing from the store")

    def _give_up(self, name: str, reason: str) -> None:
        self.ledger.give_up(name, reason)
        self._outbox.emit(Log("error", "a run cannot go on", {"run": name, "reason": reason}))

    # --- the term --------------------------------------------------------------------------------

    def prepare(self, gone: dict[str, Gone], now: float) -> Plan:
        """The plan to take the lease with; members that are known to be gone own nothing in it."""
        for member, (boot, state) in gone.items():
            if self.ledger.settle(member, boot, state):
                self._standing.forget(member)
        self._place(now)
        return self.ledger.plan

    def begin(self, now: float) -> None:
        """The term's first plan is in force."""
        self.is_begun, self._aged_at = True, now
        for name in self._fresh:
            self.desk.settle(name)
        self.desk.begin(now)
        self.closing.open(now)
        self.closing.sweep_results(None)
        self.janitor.begin(now)
        self._balance.begin(now)
        self._clear_away(self._old_plans, now)

    def _clear_away(self, old_plans: list[str], now: float) -> None:
        """Whoever tried to put one of these in force has lost to this term."""
        for name in old_plans:
            epoch = epoch_in(name)
            if epoch is not None and epoch < self._epoch_before:
                # Superseded before the last term began. Where none lasts an hour, the attic would never be through.
                self._outbox.delete(name)
            else:
                self._attic.put(name, now)

    def end(self) -> None:
        """The lease is lost, or given up: decide nothing more."""
        self.is_over = True
        self.desk.is_open = self.closing.is_open = self.janitor.is_open = False
        self.closing.ends.forget()

    def close(self) -> None:
        """This platform is leaving: take nothing more in."""
        self.desk.is_open = self.closing.is_open = False
        self._is_leaving = True

    def leave(self, gone: dict[str, Gone], now: float) -> Plan:
        """The plan to leave with: what lived here lives elsewhere, if there is an elsewhere."""
        for member, (boot, state) in gone.items():
            self.ledger.settle(member, boot, state)
        self.ledger.settle(self._member, self._boot, MemberState.LEFT)
        self._place(now)
        return self.ledger.plan

    def follow(self, in_force: InForce) -> None:
        """A plan of this term is in force."""
        self.closing.in_force = in_force.plan
        self.janitor.follow(in_force.plan)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if not self.is_begun or self.is_over:
            return
        self.desk.tick(now)
        self._attic.tick(now)
        self.janitor.tick(now)
        if now >= self._aged_at + AGE_SECONDS:
            self._aged_at = now
            if self._age(now):
                self._publish()
        if now >= self._balance.next_deadline():
            self._compare(now)
        if now >= self._placing_at() and self._place(now):
            self._publish()

    def _placing_at(self) -> float:
        due = min(self._replace_at, self._placed_at + PLACING_SECONDS if self._is_changed else NEVER)
        # What no write can carry yet is placed with all that happens until one can.
        return max(due, self._soonest_write())

    def next_deadline(self) -> float:
        """When `tick` has something to do."""
        if not self.is_begun or self.is_over:
            return NEVER
        return min(
            self.desk.next_deadline(),
            self.janitor.next_deadline(),
            self._balance.next_deadline(),
            self._attic.next_deadline(),
            self._aged_at + AGE_SECONDS,
            self._placing_at(),
        )

    # --- members ---------------------------------------------------------------------------------

    def settle(self, member: str, boot: str, state: MemberState, now: float) -> None:
        """This boot of a member is alive again, dead, or has left."""
        if self._is_leaving or not self.ledger.settle(member, boot, state):
            return  # What is decided on leaving is decided once.
        self._outbox.log("info" if state is MemberState.ALIVE else "warning", f"member {state}", member=member)
        if state is not MemberState.ALIVE:
            self._standing.forget(member)
            self.janitor.look_soon(now)
        self._change_now()
        self._publish()

    def _age(self, now: float) -> bool:
        """Count how long members have been gone, over all terms; those that were so for a day leave the plan. Whether
        any is gone: the count goes with the next plan, whatever that is for."""
        elapsed = int(now - self._counted_at)
        self._counted_at += elapsed
        members = self.ledger.plan.members
        gone = [name for name, member in members.items() if member.state is not MemberState.ALIVE]
        for name in gone:
            members[name].gone_s += elapsed
            if members[name].gone_s >= FORGET_SECONDS:
                del members[name]
        return bool(gone)

    def _compare(self, now: float) -> None:
        """See whether some platform takes much longer than the others, or no longer does."""
        if self._balance.look(self.ledger.living(), self._standing.measured(self._member, now), now):
            self._change()
            self._publish()

    def refused(self) -> None:
        """Some member's list of runs that it cannot work on has changed."""
        self._change()

    def report(self, owner: str, report: Report, now: float) -> None:
        """A member tells of islands of its own that rest."""
        if self.closing.report(owner, report, now):
            self._change()

    def fit(self, task: TaskId, programs: list[Program], now: float) -> None:
        """A member tells of a fit task."""
        if self.closing.fit(task, programs, now):
            self._change()

    def _forget_former(self, has_left: Container[str]) -> None:
        if self.ledger.forget_former(has_left):
            self._publish()

    # --- placing ---------------------------------------------------------------------------------

    def _change(self) -> None:
        self._is_changed = True

    def _change_now(self) -> None:
        """Place before the next write: the plan that calls a member dead, or replaced, is to give its islands away."""
        self._is_changed, self._placed_at = True, -NEVER

    def _place(self, now: float) -> bool:
        """Place islands anew; whether anything changed."""
        members = self.ledger.plan.members
        self._is_changed, count = False, len(members)
        self._age(now)
        hosts = self._hosts()
        is_changed = self._note_refusals(hosts) | self._let_go_of_the_dead() | (len(members) < count)
        islands = self._open_islands({host.owner for host in hosts}, self._draining())
        owners = place(hosts, islands)
        for island, owner in owners.items():
            self.ledger.assign(island, owner)
            is_changed = True
        if is_changed:
            self._placed_at = now
        has_waiting = any(not owners.get(island.id, island.owner) for island in islands)
        has_queued = any(not (island.is_begun or island.is_resting) for island in islands)
        again = WAITING_SECONDS if has_waiting else QUEUED_SECONDS if has_queued else NEVER
        self._replace_at = now + again
        return is_changed

    def _let_go_of_the_dead(self) -> bool:
        """Islands of tasks that are about to close need no other owner, and are nobody's if theirs is gone."""
        living = {member.owner(name) for name, member in self.ledger.living().items()}
        lost = [
            IslandId(*task, index)
            for task in self.closing.ends.by_task
            if self.closing.ends.is_ending(task)
            for index, at in enumerate(self.ledger.plan.runs[task[0]].tasks[task[1]].islands)
            if at.owner and at.owner not in living
        ]
        for island in lost:
            self.ledger.assign(island, "")
        return bool(lost)

    def _elsewhere(self, island: IslandId, owner: str) -> str | None:
        """Who takes an island that this owner cannot go on with, as all else stands."""
        if self._is_leaving:
            return None  # What is decided on leaving is decided once.
        hosts = [host for host in self._hosts() if host.owner != owner]
        islands = self._open_islands({host.owner for host in hosts}, self._draining())
        others = [known for known in islands if known.owner != owner]
        return place(hosts, [*others, OpenIsland(island, "", None, is_begun=True)]).get(island)

    def _hosts(self) -> list[Host]:
        return hosts_of(self.ledger.hosts(), self._weigher, self._threshold, self._refusals)

    def _draining(self) -> set[str]:
        """The owners that live and are to lose what they have."""
        members = self.ledger.living().items()
        return {member.owner(name) for name, member in members if member.is_draining}

    def _refusals(self, member: str) -> Mapping[str, str]:
        """The runs that a member cannot work on, and why."""
        return self._own_refusals if member == self._member else self._standing.refusals.get(member, {})

    def _note_refusals(self, hosts: list[Host]) -> bool:
        """Say of a run that nobody can work on why that is; whether any note changed."""
        is_changed, able = False, [host for host in hosts if host.is_able]
        for name, run in self.ledger.plan.runs.items():
            if run.state.is_over or name not in self.ledger.runs:
                continue
            note = None
            if able and all(name in host.refuses for host in able):
                note = self._refusals(member_of(able[0].owner))[name]
                run.state = RunState.QUEUED if run.state is RunState.RUNNING else run.state
            if run.note != note:
                run.note, is_changed = note, True
        return is_changed

    def _open_islands(self, living: set[str], draining: set[str]) -> list[OpenIsland]:
        """The islands that have, or need, an owner; `living` are those who may be one, `draining` no longer."""
        islands, costs = [], self._standing.seconds_per_evaluation()
        for name, run in self.ledger.plan.in_turn():
            if name not in self.ledger.runs:
                continue
            forecasts: dict[int, Forecast] = {}
            for task, entry in run.in_turn():
                if not entry.is_open_in(run.state):
                    continue
                if entry.rung not in forecasts:
                    forecasts[entry.rung] = Forecast.of(run, entry.rung)
                forecast = forecasts[entry.rung]
                for index, at in enumerate(entry.islands):
                    # A run that rests or is over begins nothing; what was begun has to have somebody who holds it, or,
                    # of a cancelled one, tells what a result has of it.
                    begins_nothing = run.state is RunState.PAUSED or (
                        run.state is RunState.CANCELLED and entry.result is None
                    )
                    island = IslandId(name, task, index)
                    is_idle = begins_nothing and (at.is_nobodys or self.closing.ends.is_unbegun(island))
                    is_final = self.closing.ends.is_final(island)
                    # Its task may stay open for long: until then somebody has to be able to tell its last state.
                    has_to_move = at.owner in draining and not self.closing.ends.is_ending(island[:2])
                    if not is_idle and (not is_final or has_to_move):
                        # Of one that lost its owner nobody can say that it was not begun.
                        stays = island in self.closing.given_away
                        is_begun = stays or island in self._standing.islands
                        is_begun = is_begun or (at.grant > 0 and at.owner not in living)
                        seconds = self._seconds_left(run, island, forecast, costs.get(name))
                        # What is paused keeps no worker: where it lies, there is room for others.
                        is_resting = is_final or run.state is RunState.PAUSED
                        islands.append(OpenIsland(island, at.owner, seconds, is_begun, is_resting, stays))
        return islands

    def _seconds_left(self, run: RunPlan, island: IslandId, forecast: Forecast, cost: float | None) -> float | None:
        """CPU seconds that an island has left, where its budget says so, or what others of its run took.

        `cost`: seconds for an evaluation, as far as anybody of the run has made some.
        """
        share = run.share(island.task, island.island)
        evaluations, _, seconds = self._standing.counted(island)
        if run.state in {RunState.CANCELLED, RunState.PAUSED}:
            return 0.0
        if not evaluations:
            entry = run.tasks[island.task]
            used = run.share(island.task, island.island, entry.rung - 1) if entry.rung else NOTHING
            if entry.result is not None:
                # It goes on from that, which an extended run has without a rung, too.
                used = Budget(used.cpu_seconds, max(used.evaluations or 0, entry.evaluations // len(entry.islands)))
            return forecast.island(seconds_between(used, share, cost))
        if share.cpu_seconds is not None:
            return max(share.cpu_seconds - seconds, 0.0)
        if share.evaluations is not None and seconds:
            return max(share.evaluations - evaluations, 0) * seconds / evaluations
        return None
