"""The exchange: what the islands of a task give each other while they evolve, programs and keys of programs.

There is no barrier anywhere: an island emigrates when its own generations say so, and takes what has come by then.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable

from blake3 import blake3

from distevo import seen
from distevo.alarms import Clock
from distevo.block import fitting, pack
from distevo.codec import MAX_PROGRAM_BYTES
from distevo.events import IslandId, TaskId
from distevo.foreman import Foreman
from distevo.instructions import SkipKeys
from distevo.merging import Merging
from distevo.messages import Head, Migrants, MigrantsAck, Seen
from distevo.migration import Arrivals, Edge, EdgeStatus, Migration
from distevo.outbox import Outbox
from distevo.plan import IslandPlace, Plan, renewed
from distevo.policies import select
from distevo.program import Program
from distevo.slots import Slots
from distevo.speech import programs_in
from distevo.topology import receivers, targets
from distevo.work import IslandWork, Stage

MAX_EARLY = 256
"""Most islands for which immigrants are kept that they take later."""
MAX_EARLY_BYTES = 8 * MAX_PROGRAM_BYTES
"""Of all that is kept for them. An honest neighbour's few programs come to a thousandth of it."""
PROGRAM_BYTES = 300
"""What a program takes in memory beside its genome."""

SendTo = Callable[[str, Head, bytes], None]
"""Sends to an owner: (owner, head, payload)."""


class Exchange:
    """One member's side: emigrants and seen keys out, immigrants and seen keys in."""

    def __init__(
        self, owner: str, foreman: Foreman, slots: Slots, outbox: Outbox, send: SendTo, merging: Merging
    ) -> None:
        self._owner, self._foreman, self._slots, self._outbox, self._send = owner, foreman, slots, outbox, send
        self.migration, self.merging = Migration(send), merging
        self._arrivals = Arrivals()
        self._early: dict[IslandId, dict[int, list[Program]]] = {}
        """Immigrants of islands here that take them later: the last batch of each source."""
        self._early_bytes = 0
        self._receivers: dict[TaskId, list[int]] = {}
        """Of the tasks that were asked about under this plan."""
        self._seen = seen.SeenKeys()
        self.clocks: tuple[Clock, ...] = (self.migration.next_deadline, self._seen.next_deadline)
        """When `tick` has something to do: at the earliest of these."""
        self._plan = Plan(epoch=0, version=0)
        self._within: dict[Edge, EdgeStatus] = {}
        """Edges between two islands here, which need no message."""
        self.emigrated = 0
        """Programs that islands here have given to others, once for each island that they were given to."""
        self.announced_bytes = 0
        """Of seen keys, once for each platform that they were sent to."""
        self.immigrated: Counter[str] = Counter()
        """Programs that were given to islands here: `accepted`, `known`, or `declined`, for not being good enough or
        because the island takes none now."""

    def follow(self, plan: Plan, now: float) -> None:
        """A plan is in force."""
        anew, self._plan = renewed(self._plan, plan), plan
        self._receivers.clear()
        for task in self._seen.tasks():
            if not self._places(task) or task[0] in anew:
                self._seen.closed(*task)
        self.migration.moved(lambda run, task, island: None if run in anew else self._owner_of(run, task, island), now)
        self._within = {
            edge: status
            for edge, status in self._within.items()
            if self._owner_of(edge.run, edge.task, edge.target) == self._owner and edge.run not in anew
        }
        self._early = {
            island: early
            for island, early in self._early.items()
            if self._owner_of(*island) == self._owner and island.run not in anew
        }
        self._early_bytes = sum(_bytes_of(batch) for early in self._early.values() for batch in early.values())
        self.merging.follow(plan)
        self._arrivals.prune(lambda run, task: bool(self._places((run, task))))

    def reported(self, work: IslandWork, evaluated: bytes, now: float) -> None:
        """An island here has finished a generation, which evaluated these keys."""
        run = self._plan.runs.get(work.id.run)
        islands = len(self._places(work.id[:2]))
        if run is None or islands < 2:
            return
        self._seen.reported(work.id, evaluated)
        early = {} if work.is_crowded else self._take_early(work.id)
        for source, programs in early.items():
            counts, edge = self._immigrate(work.id, programs), Edge(*work.id[:2], source, work.id.island)
            if edge in self._within:
                self._count(edge, counts, now)
        settings = run.migration
        is_due = work.stage is Stage.EVOLVING and work.state.generation % settings.interval == 0
        # Others skip what it has evaluated to the end, so they have to be given what came of that.
        is_last = work.stage is Stage.FINAL and not work.is_fit
        if not (is_due or is_last):
            return
        to = targets(settings, work.id.island, islands, f"{work.id.run}/{work.id.task}")
        population = list(work.population()) if to else []
        if not population:
            return
        seed = blake3(f"{work.state.seed}/emigration/{work.state.generation}".encode()).digest()
        chosen = fitting(select(settings, population, random.Random(int.from_bytes(seed))), MAX_PROGRAM_BYTES)
        block = b""
        for target in to:
            island = IslandId(work.id.run, work.id.task, target)
            owner = self._owner_of(*island)
            self.emigrated += len(chosen) if owner else 0
            if owner == self._owner:
                counts = self._immigrate_or_wait(island, work.id.island, chosen)
                self._count(Edge(*work.id, target), counts, now, sent=1)
            elif owner:
                block = block or pack(chosen)
                self.migration.emigrate(work.id, work.grant, target, owner, block, now)

    def _immigrate_or_wait(self, island: IslandId, source: int, programs: list[Program]) -> tuple[int, int] | None:
        """Give programs to an island here. If it takes them later, it gets the last batch of each source when it has
        had its next generation: by then the source may rest, and would have sent for nothing."""
        if not self._foreman.takes_later(island):
            return self._immigrate(island, programs)
        early = self._early.setdefault(island, {})
        self._early_bytes -= _bytes_of(early.get(source, ()))
        early[source] = programs[: self._plan.runs[island.run].migration.size]
        self._early_bytes += _bytes_of(early[source])
        while len(self._early) > MAX_EARLY or self._early_bytes > MAX_EARLY_BYTES:
            self._take_early(next(iter(self._early)))
        return 0, 0

    def _take_early(self, island: IslandId) -> dict[int, list[Program]]:
        early = self._early.pop(island, {})
        self._early_bytes -= sum(map(_bytes_of, early.values()))
        return early

    def _immigrate(self, island: IslandId, programs: list[Program]) -> tuple[int, int] | None:
        with self.merging.stopwatch.of("migration"):
            counts = self._foreman.immigrate(island, programs)
        accepted, known = counts or (0, 0)
        self.immigrated.update(accepted=accepted, known=known, declined=len(programs) - accepted - known)
        return counts

    def _count(self, edge: Edge, counts: tuple[int, int] | None, now: float, sent: int = 0) -> None:
        was = self._within.get(edge) or EdgeStatus(edge, self._owner, False, 0, 0, 0, None)
        accepted, known = counts or (0, 0)
        self._within[edge] = was._replace(
            sent=was.sent + sent,
            accepted=was.accepted + accepted,
            known=was.known + known,
            last_at=was.last_at if counts is None else now,
        )

    def status(self) -> list[EdgeStatus]:
        """All edges on which emigrants of islands here have left, in their order, while their tasks are open."""
        edges = {status.edge: status for status in self.migration.status()} | self._within
        return [edges[edge] for edge in sorted(edges)]

    def arrived(self, sender: str, head: Migrants, payload: bytes) -> None:
        """Another owner sends programs; it is told what became of them."""
        ack = self._arrivals.known(head)
        if ack is None or not self._is_source(sender, head):
            ack = self._take(sender, head, payload)
        self._send(sender, ack, b"")

    def _take(self, sender: str, head: Migrants, payload: bytes) -> MigrantsAck:
        if not self._is_source(sender, head):
            return self._arrivals.took(head, 0, 0, "the source is not yours under that grant, by the plan known here")
        island = IslandId(head.run, head.task, head.target)
        if self._owner_of(*island) != self._owner:
            return self._arrivals.took(head, 0, 0, "the island is not here, by the plan known here")
        problem = self._plan.runs[head.run].problem
        programs = programs_in(head.command, payload, problem.name, problem.version)
        counts = self._immigrate_or_wait(island, head.source, programs)
        if counts is None:
            return self._arrivals.took(head, 0, 0, "the island takes none now")
        return self._arrivals.took(head, *counts, None)

    # --- seen keys -------------------------------------------------------------------------------

    def saving(self, sequence: int, islands: list[IslandId]) -> None:
        """A checkpoint begins."""
        self._seen.saving(sequence, islands)

    def durable(self, sequence: int) -> None:
        """A checkpoint is durable: what was evaluated before it may be told."""
        self._seen.durable(sequence)

    def failed(self, sequence: int) -> None:
        """A checkpoint may not be there."""
        self._seen.failed(sequence)

    def let_go(self, island: IslandId) -> None:
        """The state of an island here is given up, or replaced by one from elsewhere."""
        self._seen.let_go(island)

    def heard(self, head: Seen, payload: bytes) -> None:
        """Another platform tells what it has evaluated."""
        keys = seen.heard(payload)
        run = self._plan.runs.get(head.run)
        if run is None or run.first_grant != head.first_grant:
            return  # Of an earlier run of that name: what it evaluated, this one has not.
        for index in self._skipping((head.run, head.task)):
            island = IslandId(head.run, head.task, index)
            slot = self._slots.of(island)
            if slot is not None and slot.is_ready:
                self._outbox.emit(SkipKeys(slot.number, island, keys))

    # --- time ------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Send what is due."""
        self.migration.tick(now)
        if now < self._seen.next_deadline():
            return
        for announcement in self._seen.announce(now):
            run = self._plan.runs.get(announcement.run)
            if run is None:
                continue
            head = Seen(run=announcement.run, task=announcement.task, first_grant=run.first_grant)
            places = self._places((head.run, head.task))
            owners = dict.fromkeys(places[index].owner for index in self._skipping((head.run, head.task)))
            for owner in owners:
                if owner == self._owner:
                    self.heard(head, announcement.keys)
                elif owner:
                    self.announced_bytes += len(announcement.keys)
                    self._send(owner, head, announcement.keys)

    def _is_source(self, sender: str, head: Migrants) -> bool:
        places = self._places((head.run, head.task))
        if head.source >= len(places):
            return False
        return (places[head.source].owner, places[head.source].grant) == (sender, head.grant)

    # --- helpers ---------------------------------------------------------------------------------

    def _skipping(self, task: TaskId) -> list[int]:
        """The islands of a task that need not evaluate what others have: those that get immigrants. To any other, a
        program that it skips is lost, and with it all that could have come of it."""
        islands = len(self._places(task))
        if islands and task not in self._receivers:
            self._receivers[task] = sorted(receivers(self._plan.runs[task[0]].migration, islands, "/".join(task)))
        return self._receivers[task] if islands else []

    def _places(self, task: tuple[str, str]) -> list[IslandPlace]:
        entry = self._plan.open_task(*task)
        return entry.islands if entry is not None else []

    def _owner_of(self, run: str, task: str, island: int) -> str | None:
        places = self._places((run, task))
        return places[island].owner if island < len(places) else None


def _bytes_of(programs: Iterable[Program]) -> int:
    return sum(PROGRAM_BYTES + program.size for program in programs)
