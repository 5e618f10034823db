"""The world of one simulation: platforms, network, store and users on one agenda, and the faults that befall them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from blake3 import blake3

from distevo.events import IslandId
from distevo.instructions import Exit, Log, StartIsland
from distevo.plan import Plan
from distevo.simulator import faults as f
from distevo.simulator.agenda import Agenda
from distevo.simulator.boot import Boot
from distevo.simulator.config import COORDINATOR, Scenario, names_of, twin_host
from distevo.simulator.invariants.violation import Violation
from distevo.simulator.measures import Measures
from distevo.simulator.network import Network
from distevo.simulator.platform import Platform
from distevo.simulator.referee import Referee
from distevo.simulator.report import Finding, Report, StoreUse
from distevo.simulator.store import Store
from distevo.simulator.trace import Trace
from distevo.simulator.users import Users

SHOWN_LINES = 120
"""Of the trace, in a finding."""
START_SPREAD = 0.5
"""Seconds within which all members start that start at the same time."""


def simulate(scenario: Scenario, seed: int, is_traced: bool = False) -> Report:
    """Run a scenario with a seed; `is_traced`: the report has every line of the trace."""
    return _World(scenario, seed, is_traced).run()


class _World:
    def __init__(self, scenario: Scenario, seed: int, is_traced: bool) -> None:
        self._scenario, self._seed, self._is_traced = scenario, seed, is_traced
        self.agenda, self.trace = Agenda(), Trace(is_whole=is_traced)
        self.validate_every = scenario.validate_every
        self._measures = Measures()
        self._churned = 0
        self._boots: Sequence[Boot] | None = None
        self._freezes: list[f.Freeze] = []
        self._referee = Referee(scenario, self.agenda, self._measures, self.boots, self._taken_over, self._planned)
        self.store = Store(scenario.store, self.agenda, self.rng("store"), self._referee)
        self.network = Network(scenario.network, self.agenda, self.rng("network"))
        self._referee.watch(self.store, self.network)
        self._platforms = {name: Platform(name, group, scenario, self) for name, group in names_of(scenario).items()}
        self._keys = {name: {platform.key} for name, platform in self._platforms.items()}
        """Of all machines of a name, twins too."""
        self._users = Users(
            scenario,
            self.agenda,
            self.store,
            self.trace,
            self.rng("users"),
            self._referee,
            self.boots,
            self._name,
            self._keys.__getitem__,
        )
        self._has_leavers = any(order.verb.is_about_member for order in scenario.commands) or any(
            group.session_limit is not None for group in scenario.members
        )

    def rng(self, name: str) -> random.Random:
        """A generator of its own for each part, so that one part's draws do not shift another's."""
        return random.Random(f"{self._seed} {name}")

    def boots(self) -> Sequence[Boot]:
        """Everything that runs."""
        if self._boots is None:
            self._boots = [platform.boot for platform in self._platforms.values() if platform.boot is not None]
        return self._boots

    def run(self) -> Report:
        """From the beginning to the end, or to the first violation."""
        begins = self.rng("starts")
        for platform in self._platforms.values():
            self.agenda.at(platform.group.starts_at + START_SPREAD * begins.random(), platform.start)
        for fault in self._scenario.faults:
            self.agenda.at(fault.at, self._strike, fault)
        self._plan_churn()
        self._referee.begin()
        finding = None
        try:
            self.agenda.run(until=self._scenario.seconds)
            self._referee.end()
            self._take_stock()
        except Violation as violation:
            finding = Finding(violation.invariant, violation.message, self.agenda.now, self.trace.lines(SHOWN_LINES))
        return self._report(finding)

    # --- what happens to boots -------------------------------------------------------------------

    def began(self, boot: Boot) -> None:
        """A boot is about to start."""
        self._boots = None
        self._referee.disturbed()
        self._measures.began(boot.owner, self.agenda.now)

    def ended(self, boot: Boot) -> None:
        """A boot is gone."""
        self._boots = None
        self._referee.disturbed()
        self._measures.ended(boot.owner, self.agenda.now)

    def cut_off(self, boot: Boot) -> None:
        """A boot's session is over, and it is still there."""
        if self._referee.plan is not None:
            self._measures.cut_off += self._referee.plan.owned(boot.owner)

    def exited(self, boot: Boot, order: Exit) -> None:
        """A daemon ended by itself."""
        self._platforms[boot.host].exited(boot, order)

    def started(self, boot: Boot, order: StartIsland) -> None:
        """A node lets a worker begin an island."""
        self._referee.started(boot, order)

    def said(self, boot: Boot, line: Log) -> None:
        """A node tells its user something."""
        self._referee.said(boot, line)

    def migrated(self) -> None:
        """Migrants were offered to an island."""
        self._referee.migrated()

    def generated(self, island: IslandId, grant: int, is_final: bool) -> None:
        """An island had a generation under this grant; its last one under its budget, if `is_final`."""
        self._referee.generated(island, grant, is_final)

    # --- faults ----------------------------------------------------------------------------------

    def _plan_churn(self) -> None:
        """Crashes of members whose group has a rate of them, each silent or not; all are back before the calm."""
        rng = self.rng("churn")
        for name, platform in self._platforms.items():
            group, at = platform.group, platform.group.starts_at
            while group.crashes_per_hour:
                at += rng.expovariate(group.crashes_per_hour / 3600)
                back_after = max(rng.expovariate(1 / group.downtime), 1.0)
                if at + back_after > self._scenario.calm_from:
                    break
                is_silent = rng.random() < 0.5
                fault = f.Crash(at=at, member=name, back_after=back_after, is_silent=is_silent)
                self.agenda.at(at, self._strike, fault)
                self._churned += 1
                at += back_after

    def _strike(self, fault: f.Fault) -> None:
        self.trace.note(self.agenda.now, "fault", str(fault))
        match fault:
            case f.Crash() | f.Stop() | f.Reset() | f.Suspend() | f.Pause() | f.WorkerDeath() | f.Slow():
                platform = self._platforms.get(self._name(fault.member))
                if platform is not None:
                    self._befall(platform, fault)
            case f.Freeze():
                self._freezes.append(fault)
            case f.Twin():
                self._copy(fault)
                self.agenda.after(fault.seconds, self._heal, fault)
            case f.StoreAway() | f.StoreFlaky():
                self.store.begin(fault)
                self.agenda.after(fault.seconds, self._heal, fault)
            case f.Partition() | f.Cut() | f.Undialable() | f.Lossy():
                self.network.begin(fault)
                self.agenda.after(fault.seconds, self._heal, fault)

    def _befall(
        self, platform: Platform, fault: f.Crash | f.Stop | f.Reset | f.Suspend | f.Pause | f.WorkerDeath | f.Slow
    ) -> None:
        boot = platform.boot
        if boot is None:
            return
        match fault:
            case f.Crash():
                crash = platform.crash_midway if fault.is_midway else platform.crash
                crash(fault.back_after, fault.is_silent)
            case f.Stop():
                platform.stop(fault.back_after)
            case f.Reset():
                self.network.reset(platform.name)
            case f.Suspend(seconds=seconds):
                boot.suspend(seconds)
            case f.Pause(seconds=seconds):
                boot.pause(seconds)
            case f.WorkerDeath(slot=slot):
                boot.workers.kill(slot)
            case f.Slow(times=times, seconds=seconds):
                platform.slow_down(times, seconds)
                self._measures.slowed(boot.owner, boot.settings.workers, self.agenda.now)

    def _taken_over(self, owner: str) -> None:
        """An owner has won an epoch, and does not know yet."""
        if self._freezes:
            fault = self._freezes.pop(0)
            if self.agenda.now + fault.seconds <= self._scenario.calm_from:
                for boot in self.boots():
                    if boot.owner == owner:  # no longer, if it died while the write was on its way
                        boot.suspend(fault.seconds)

    def _planned(self, plan: Plan) -> None:
        """A plan is in force: whom it drains or revokes will end by itself."""
        if self._has_leavers:
            for platform in self._platforms.values():
                platform.planned(plan, self._users.back_after.get(platform.name))

    def _copy(self, fault: f.Twin) -> None:
        original = self._platforms[fault.member]
        host = twin_host(fault)
        key = f"key of {host}" if fault.has_own_key else original.key
        twin = Platform(original.name, original.group, self._scenario, self, host, key)
        original.has_twin = twin.has_twin = True
        self._keys[original.name].add(key)
        self._platforms[host] = twin
        twin.start()

    def _end_copy(self, fault: f.Twin) -> None:
        self._platforms.pop(twin_host(fault)).retire()
        original = self._platforms[fault.member]
        if not fault.has_own_key:
            original.crash(None, is_silent=False)
        original.start()

    def _name(self, member: str) -> str:
        record = self._referee.record
        if member == COORDINATOR:
            return record.holder if record is not None else ""
        return member

    def _heal(self, fault: f.Fault) -> None:
        self.trace.note(self.agenda.now, "fault", f"over: {fault}")
        match fault:
            case f.Twin():
                self._end_copy(fault)
            case f.StoreAway() | f.StoreFlaky():
                self.store.end(fault)
            case f.Partition() | f.Cut() | f.Undialable() | f.Lossy():
                self.network.end(fault)

    # --- the report ------------------------------------------------------------------------------

    def _report(self, finding: Finding | None) -> Report:
        seconds, members, measures = self.agenda.now, len(self._platforms), self._measures
        messages = sum(self.network.sent.values())
        plan = self._referee.plan
        return Report(
            seed=self._seed,
            finding=finding,
            hash=self.trace.digest(),
            seconds=seconds,
            members=members,
            faults=len(self._scenario.faults) + self._churned,
            events=self.agenda.steps,
            messages=messages,
            messages_lost=self.network.lost,
            messages_per_member_second=round(messages / members / max(seconds, 1e-9), 3),
            messages_by_command={command.name: count for command, count in sorted(self.network.sent.items())},
            store=StoreUse.of(self.store.requests, max(seconds, 1e-9)),
            generations=measures.generations,
            migrations=measures.migrations,
            takeovers=measures.takeovers,
            elections=[round(seconds, 3) for seconds in measures.elections],
            adoptions=[round(seconds, 3) for seconds in measures.adoptions],
            arrivals=[round(seconds, 3) for seconds in measures.arrivals],
            first_islands=[round(seconds, 3) for seconds in measures.views.first_islands],
            successions=[round(seconds, 3) for seconds in measures.views.successions],
            joins=[round(seconds, 3) for seconds in measures.views.joins],
            departures=[round(seconds, 3) for seconds in measures.views.departures],
            estrangements=measures.views.estrangements,
            moves=self._referee.moves,
            reliefs=[round(seconds, 3) for seconds in measures.reliefs],
            cut_off=measures.cut_off,
            owned=measures.owned,
            runs={name: run.state.value for name, run in plan.runs.items()} if plan is not None else {},
            refused=self._referee.refused,
            trace=self.trace.lines() if self._is_traced else None,
        )

    def _take_stock(self) -> None:
        """Note what the store holds at the end: there, all that differs in content shows."""
        for name in self.store.names():
            content = self.store.peek(name) or b""
            self.trace.note(self.agenda.now, "store", f"holds {name}: {blake3(content).hexdigest(length=8)}")
