"""A boot: one start of a platform's daemon until its end, as a shell around the real node.

It hands events in, carries instructions out, and decides nothing. What a real shell can do to a node it does too: it
stands still while time goes on (`suspend`), or lets a decision lie before it carries it out (`pause`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from traceback import extract_tb
from typing import Any, Protocol

from distevo import instructions as do
from distevo.encoding import encoded
from distevo.errors import LocalProtocolError
from distevo.events import CheckpointFailed, CheckpointSaved, Event, IslandId, StoreAnswer, Tick
from distevo.instructions import Instruction
from distevo.node import Node
from distevo.node_settings import NodeSettings
from distevo.simulator.agenda import Agenda
from distevo.simulator.clock import Clock
from distevo.simulator.invariants.violation import Violation
from distevo.simulator.network import End, Network
from distevo.simulator.store import Store
from distevo.simulator.trace import Trace
from distevo.simulator.workers import Workers

RAISED = "a node raises nothing, whatever it is told"
SPINS = "a node asks for no more ticks than time allows"
BOUNDED = "what a node holds is consistent, and within its bounds"
ENCODE_SECONDS = 0.05
"""What a result takes to be compressed, while the node goes on."""
MAX_TICKS = 50
"""Ticks in a row without any time between them."""


class Surroundings(Protocol):
    """What a boot needs of its world."""

    agenda: Agenda
    network: Network
    store: Store
    trace: Trace
    validate_every: int

    def started(self, boot: Boot, order: do.StartIsland) -> None: ...
    def said(self, boot: Boot, line: do.Log) -> None: ...
    def exited(self, boot: Boot, order: do.Exit) -> None: ...
    def migrated(self) -> None: ...
    def generated(self, island: IslandId, grant: int, is_final: bool) -> None: ...


class Boot:
    """One life of a platform."""

    def __init__(
        self,
        settings: NodeSettings,
        host: str,
        latency: float,
        clock: Clock,
        world: Surroundings,
        make_workers: Callable[[Boot], Workers],
        rng: random.Random,
        slowness: Callable[[], float],
    ) -> None:
        self.settings, self.member = settings, settings.member
        self.host, self.key, self.latency = host, settings.key, latency
        self.denied: frozenset[str] | None = None
        """Whose connections it refuses; None: everybody's, as long as it has not said otherwise."""
        self.owner = f"{settings.member}-{settings.boot}"
        self.links: dict[int, End] = {}
        self.is_over = False
        self.is_leaving = False
        """Whether it was asked to end."""
        self.is_suspended = False
        self.wakes_at = 0.0
        self.slowness = slowness
        self.node = Node(settings, rng)
        self.workers = make_workers(self)
        self._world, self._clock = world, clock
        self._links_made = 0
        self._held: list[Event] = []
        self._pause = 0.0
        self._death: tuple[float, Callable[[], None]] | None = None
        self._shown = 0.0
        """What the clock showed last; it never goes back."""
        self._tick_at: float | None = None
        """When the next tick is planned, in virtual time."""
        self._ticks = 0
        self._steps = 0

    # --- the machine around it -------------------------------------------------------------------

    def begin(self) -> None:
        """Start."""
        self._world.network.join(self)
        self._step(None)

    def end(self, is_silent: bool) -> None:
        """The process is gone, or, silently, the machine."""
        if not self.is_over:
            self.is_over = True
            self.workers.end()
            self._world.network.leave(self, is_silent)

    def suspend(self, seconds: float) -> None:
        """Stand still, workers and all, and hear everything afterwards."""
        if self.is_over:
            return
        agenda = self._world.agenda
        self.is_suspended, self.wakes_at = True, max(self.wakes_at, agenda.now + seconds)
        agenda.at(self.wakes_at, self._wake)

    def pause(self, seconds: float) -> None:
        """Let whatever is decided next lie for so long before it is carried out."""
        self._pause = seconds

    def die_midway(self, share: float, die: Callable[[], None]) -> None:
        """Carry out only this share of the next several instructions, then die."""
        self._death = share, die

    def next_link(self) -> int:
        """A number for a connection, never used twice."""
        self._links_made += 1
        return self._links_made

    def feed(self, event: Event) -> None:
        """Something happened to the platform."""
        if self.is_suspended:
            self._held.append(event)
        elif not self.is_over:
            self._step(event)

    def generated(self, island: IslandId, grant: int, is_final: bool) -> None:
        """An island has had a generation under this grant; its last one under its budget, if `is_final`."""
        self._world.generated(island, grant, is_final)

    # --- steps of the node -----------------------------------------------------------------------

    def _step(self, event: Event | None) -> None:
        """One step of the node; the first has no event."""
        world, agenda = self._world, self._world.agenda
        now = self._clock.read(agenda.now)
        self._shown = now = now if now > self._shown else self._shown
        try:
            if event is None:
                todo = self.node.start(now)
            else:
                # Ticks come when a node has asked for them: they follow from what it heard before.
                (world.trace.did if type(event) is Tick else world.trace.note)(agenda.now, self.host, event)
                todo = self.node.handle(event, now)
            self._steps += 1
            if self._steps % world.validate_every == 0:
                self._validate()
            deadline = self.node.next_deadline()
        except Violation:
            raise
        except Exception as error:
            frames = extract_tb(error.__traceback__)[-3:]
            where = ", ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames)
            raise Violation(RAISED, f"{self.owner}: {type(error).__name__}: {error}, at {where}") from error
        if self._pause and todo:
            seconds, self._pause = self._pause, 0.0
            world.trace.note(agenda.now, self.host, f"pauses for {seconds:.1f} s with a decision in hand")
            agenda.after(seconds, self._carry_out, todo)
            self.suspend(seconds)
        else:
            self._carry_out(todo)
        if deadline is not None and not self.is_over:
            self._plan_tick(deadline)

    def _validate(self) -> None:
        try:
            self.node.validate()
        except LocalProtocolError as error:
            raise Violation(BOUNDED, f"{self.owner}: {error}") from error

    def _plan_tick(self, deadline: float) -> None:
        moment = self._clock.moment(deadline)
        now = self._world.agenda.now
        moment = moment if moment > now else now
        if self._tick_at is None or moment < self._tick_at:
            self._tick_at = moment
            self._world.agenda.at(moment, self._tick, (moment, deadline))

    def _tick(self, planned: tuple[float, float]) -> None:
        moment, deadline = planned
        if self.is_over or moment != self._tick_at:
            return
        self._tick_at = None
        due = self.node.next_deadline()
        if due is None or due > deadline:
            if due is not None:
                self._plan_tick(due)
            return
        self._ticks = self._ticks + 1 if self._shown >= self._clock.read(moment) else 0
        if self._ticks > MAX_TICKS:
            raise Violation(SPINS, f"{self.owner} asks for ticks at {deadline}, now {self._shown}")
        # What was computed there and back again may fall short of the deadline by a hair.
        self._shown = max(self._shown, deadline) if deadline - self._clock.read(moment) < 1e-6 else self._shown
        self.feed(Tick())

    def _wake(self, _: object) -> None:
        if self.is_over or self._world.agenda.now < self.wakes_at:
            return
        self.is_suspended = False
        held, self._held = self._held, []
        for place, event in enumerate(held):
            if self.is_over:
                return
            if self.is_suspended:  # a pause fell into it
                self._held = held[place:] + self._held
                return
            self._step(event)

    # --- instructions ----------------------------------------------------------------------------

    def _carry_out(self, todo: list[Instruction]) -> None:
        did, now = self._world.trace.did, self._world.agenda.now
        die = None
        if self._death is not None and len(todo) > 1:
            share, die = self._death
            todo = todo[: round(share * len(todo))]
        for order in todo:
            if self.is_over:
                return
            did(now, self.host, order)
            _CARRY_OUT[type(order)](self, order)
        if die is not None:
            die()

    def _ask(self, order: do.StoreInstruction) -> None:
        self._world.store.ask(self, order, self._answered)

    def _answered(self, answer: StoreAnswer) -> None:
        self.feed(answer)

    def _save(self, order: do.SaveCheckpoint) -> None:
        def done(is_saved: bool, reason: str) -> None:
            self.feed(CheckpointSaved(order.sequence) if is_saved else CheckpointFailed(order.sequence, reason))

        self._world.store.save(self, order, done)

    def _encode(self, order: do.EncodeResult) -> None:
        self._world.agenda.after(ENCODE_SECONDS, self.feed, encoded(order))

    def _admit(self, order: do.Admit) -> None:
        self.denied = order.denied

    def _start_island(self, order: do.StartIsland) -> None:
        self._world.started(self, order)
        self.workers.start_island(order)

    def _take_migrants(self, order: do.TakeMigrants) -> None:
        self._world.migrated()
        self.workers.take_migrants(order)

    def _exit(self, order: do.Exit) -> None:
        self.end(is_silent=False)
        self._world.exited(self, order)


_CARRY_OUT: dict[type, Callable[[Boot, Any], None]] = {
    do.ReadObject: Boot._ask,
    do.CreateObject: Boot._ask,
    do.ReplaceObject: Boot._ask,
    do.ListObjects: Boot._ask,
    do.DeleteObject: Boot._ask,
    do.StartWorker: lambda boot, order: boot.workers.start(order.slot),
    do.StartIsland: Boot._start_island,
    do.LimitIsland: lambda boot, order: boot.workers.limit_island(order),
    do.StopIsland: lambda boot, order: boot.workers.stop_island(order),
    do.TakeMigrants: Boot._take_migrants,
    do.SkipKeys: lambda boot, order: boot.workers.skip_keys(order),
    do.VerifyProgram: lambda boot, order: boot.workers.verify(order),
    do.FinishWorkers: lambda boot, order: boot.workers.finish(order.grace),
    do.SaveCheckpoint: Boot._save,
    do.EncodeResult: Boot._encode,
    do.Admit: Boot._admit,
    do.Dial: lambda boot, order: boot._world.network.dial(boot, order),
    do.HangUp: lambda boot, order: boot._world.network.hang_up(boot, order.link),
    do.Send: lambda boot, order: boot._world.network.send(boot, order),
    do.Log: lambda boot, order: boot._world.said(boot, order),
    do.Exit: Boot._exit,
}
"""How each instruction is carried out."""
