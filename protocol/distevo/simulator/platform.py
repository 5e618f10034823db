"""A platform of a simulation: the machine, of which the daemon's boots come and go."""

from __future__ import annotations

import random
from typing import Protocol

import msgspec

from distevo.events import StopRequested
from distevo.instructions import Exit
from distevo.node_settings import NodeSettings
from distevo.plan import Plan
from distevo.simulator.boot import Boot, Surroundings
from distevo.simulator.clock import Clock
from distevo.simulator.config import CLOCK_BEGINS, Group, Scenario
from distevo.simulator.faults import MIDWAY_SECONDS
from distevo.simulator.invariants.violation import Violation
from distevo.simulator.network import endpoint_of
from distevo.simulator.workers import PROBLEM, Workers

ENDS_WELL = "a node ends only when it is asked to"
RESTART_SECONDS = 5.0
"""How long it takes until a platform that was revoked, and is let in again, is started."""
NOISE_SECONDS = 30.0
"""How long a platform whose speed goes up and down stays as it is."""


class World(Surroundings, Protocol):
    """What a platform needs of its world, besides what its boots do."""

    def rng(self, name: str) -> random.Random: ...
    def began(self, boot: Boot) -> None: ...
    def ended(self, boot: Boot) -> None: ...
    def cut_off(self, boot: Boot) -> None: ...


class Platform:
    """One machine with one daemon: the same id, key and clock through all its boots."""

    def __init__(
        self, name: str, group: Group, scenario: Scenario, world: World, host: str = "", key: str = ""
    ) -> None:
        self.name, self.group = name, group
        self.host, self.key = host or name, key or f"key of {name}"
        self.has_twin = False
        """Whether another machine has, or had, the same id: one of the two may have to give way."""
        self._scenario, self._world = scenario, world
        self._rng = world.rng(f"platform {self.host}")
        self._clock = Clock(CLOCK_BEGINS + group.clock_offset, group.clock_rate)
        self.boot: Boot | None = None
        """The one that runs."""
        self._back_after: float | None = None
        """When it was asked to end: after how many seconds it starts again."""
        self._is_revoked = self._was_revoked = False
        """Now, and ever: who reads a plan late may end by one that no longer holds."""
        self._stopped = self._drained = ""
        """The boots that a user, and that a plan, have asked to end."""
        self._is_retired = False
        self._times = self._noise = 1.0
        self._slow_until = self._noisy_until = 0.0

    def start(self, _: object = None) -> None:
        """Start the daemon."""
        if self.boot is not None or self._is_retired:
            return
        world, rng = self._world, random.Random(f"{self._rng.getrandbits(64)}")
        self.boot = boot = Boot(
            settings=self._settings(f"{rng.getrandbits(64):016x}"),
            host=self.host,
            latency=self.group.latency,
            clock=self._clock,
            world=world,
            make_workers=lambda boot: Workers(self.group, self._scenario.work, boot, world.agenda, rng),
            rng=random.Random(f"{rng.getrandbits(64)}"),
            slowness=self._slowness,
        )
        world.trace.note(world.agenda.now, self.host, f"boot {boot.settings.boot} starts")
        world.began(boot)
        boot.is_leaving = self._is_revoked
        boot.begin()
        if self.group.session_limit is not None:
            world.agenda.after(self.group.session_limit, self._end_session, boot)

    def _end_session(self, boot: Boot) -> None:
        """The notebook is taken away, whether its daemon has left by then or not."""
        if self.boot is boot:
            self._world.cut_off(boot)
            self.crash(None, is_silent=True)

    def slow_down(self, times: float, seconds: float) -> None:
        """For so long the machine takes so many times as long for everything that workers do."""
        self._times, self._slow_until = times, self._world.agenda.now + seconds

    def _slowness(self) -> float:
        now, noise = self._world.agenda.now, self._scenario.work.noise
        slowness = self._times if now < self._slow_until else 1.0
        if noise:
            if now >= self._noisy_until:
                self._noisy_until, self._noise = now + NOISE_SECONDS, 1 + self._rng.uniform(-noise, noise)
            slowness *= self._noise
        return slowness

    def crash_midway(self, back_after: float | None, is_silent: bool) -> None:
        """The daemon is gone as soon as it has carried out a part of what it decides next."""
        boot = self.boot
        if boot is None:
            return

        def die(_: object = None) -> None:
            if self.boot is boot:
                self.crash(back_after, is_silent)

        boot.die_midway(self._rng.random(), die)
        self._world.agenda.after(MIDWAY_SECONDS, die)

    def crash(self, back_after: float | None, is_silent: bool) -> None:
        """The daemon is gone, memory and all; silently, with its machine."""
        if self.boot is None:
            return
        self._world.trace.note(self._world.agenda.now, self.host, "crashes silently" if is_silent else "crashes")
        self._end(self.boot, is_silent)
        if back_after is not None:
            self._world.agenda.after(back_after, self.start)

    def retire(self) -> None:
        """The machine is gone for ever, also where it was to start again."""
        self.crash(None, is_silent=False)
        self._is_retired = True

    def stop(self, back_after: float | None) -> None:
        """Ask the daemon to end."""
        if self.boot is not None:
            self._stopped = self.boot.settings.boot
            self._leave(back_after)
            self.boot.feed(StopRequested())

    def planned(self, plan: Plan, back_after: float | None) -> None:
        """A plan is in force; if it has this platform leave, it comes back `back_after` seconds later, or never."""
        boot, was_revoked = self.boot, self._is_revoked
        self._is_revoked = self.key in plan.denied
        if self._is_revoked and not was_revoked:
            self._was_revoked = True
            self._leave(back_after)
        elif was_revoked and not self._is_revoked:
            self._back_after = RESTART_SECONDS
            self.start()
            if boot is not None and boot.settings.boot not in (self._stopped, self._drained):
                boot.is_leaving = False  # It has not seen yet that it was revoked, and need never do.
        entry = plan.members.get(self.name)
        name = boot.settings.boot if boot is not None else self._drained
        if name != self._drained and entry is not None and entry.is_draining and entry.boot == name:
            self._drained = name
            self._leave(back_after)

    def _leave(self, back_after: float | None) -> None:
        self._back_after = back_after
        if self.boot is not None:
            self.boot.is_leaving = True

    def exited(self, boot: Boot, order: Exit) -> None:
        """The daemon has ended by itself. Raises Violation if nobody asked it to."""
        self._end(boot, is_silent=False)
        if self.has_twin and order.kind == "refused":
            return
        is_expected = boot.is_leaving or (self._was_revoked and order.kind == "refused")
        if not is_expected:
            raise Violation(ENDS_WELL, f"{boot.owner} exits: {order.kind} {order.reason}")
        back_after, self._back_after = self._back_after, None
        if back_after is not None:
            self._world.agenda.after(back_after, self.start)

    def _end(self, boot: Boot, is_silent: bool) -> None:
        boot.end(is_silent)
        self.boot = None
        self._world.ended(boot)

    def _settings(self, boot: str) -> NodeSettings:
        group, times = self.group, self._scenario.times
        fields = {
            "member": self.name,
            "boot": boot,
            "key": self.key,
            "endpoints": () if group.is_behind_nat else (endpoint_of(self.host),),
            "kind": group.kind,
            "workers": group.workers,
            "memory_mb": group.memory_mb,
            "batch_size": group.batch_size,
            "islands": group.islands,
            "priority": group.priority,
            "session_limit": group.session_limit,
            "built_in": frozenset({PROBLEM.reference}),
            **msgspec.structs.asdict(times),
        }
        return NodeSettings(**{name: fields[name] for name in fields if name in NodeSettings.__struct_fields__})
