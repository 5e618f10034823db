"""Placement: which member owns which island, in proportion to what it can do and with as few moves as possible.

An island stays where it is for as long as its owner lives. What has no owner goes where there is room for it, and
no host gets more ahead than its workers can do in about `QUEUE_SECONDS`, so that the order of the tasks holds and
little moves when a member vanishes. Once hosts run dry, islands that wait elsewhere are levelled out to them.

A function of its arguments alone: hosts may come in any order, and whoever places again what was placed moves
nothing, since levelling ends only where no rule has anything left to move.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter

import msgspec

from distevo.events import IslandId
from distevo.load import Host, Load, Piece

UNKNOWN_SECONDS = 10
"""What an island without an estimate counts for when hosts are compared: the default budget of a task."""
MIN_SECONDS = 0.05
"""What an island counts for at least: being started and reported costs about that much."""
MAX_SECONDS = 1e9
HAND_OVER_SECONDS = 2.0
"""A begun island that has less left than this is never levelled away: handing it over costs about as much."""
RESCUE = 2.0
"""An idle worker takes a begun island from a host that is so many times as slow as its own: that gains more than it
costs, and below it hosts count as alike."""
LEAST_SHARE = 0.75
"""A host that has less than this part of its fair share is levelled up; in between nothing moves to and fro."""


class OpenIsland(msgspec.Struct, frozen=True):
    """An island of an open task."""

    id: IslandId
    owner: str
    """Empty while it waits for a place."""
    seconds: float | None
    """CPU seconds of work left, as far as anybody can tell; None: unknown."""
    is_begun: bool
    """Whether anybody holds a state of it, so that a new owner has to take that over."""
    is_resting: bool = False
    """Whether its own work is over and only its task is not, or its run is paused: it needs an owner and no worker."""
    stays: bool = False
    """Whether it is to stay with an owner that can work on it, whoever else has less to do."""


def place(hosts: Iterable[Host], islands: Sequence[OpenIsland]) -> dict[IslandId, str]:
    """The new owner of each island whose owner changes; empty where it now waits for a place.

    `islands` in the order of the plan. The rules, the earlier ones first:

    - An island whose host lives and does not refuse its run stays, unless it is levelled away.
    - Begun islands that lost their host go to another at once, whatever waits there. So do resting ones, to each host
      in proportion to its weight; from then on they stay and count for nothing.
    - The rest goes, in the plan's order, to hosts with room in their queues: first where a worker is idle, then where
      it could be live, then where the task has less than its share of islands, then where the queue is not worth
      `FEED_SECONDS` yet, then to the least loaded host for its weight.
    - A host with an idle worker gets an island that waits elsewhere, from the end of the queue that takes longest. A
      begun one is taken only from a host with more begun islands than workers. A host with less than `HUNGRY_SECONDS`
      of work gets islands that nobody began, up to `FEED_SECONDS`, if they would wait longer where they are.
    - When nothing that can be placed is left, a host that has less than `LEAST_SHARE` of its fair share is levelled up
      from the most loaded hosts, as long as the giver stays at least as loaded, both for its weight and for its
      workers. Begun islands are taken only from a host with more of them than it may have live, and no island leaves
      a host where it could be live for one where it has to wait.
    - A slow host gives the begun islands that it has beyond `Host.keep` to hosts that can have them live.
    - When nothing else is left for an idle worker, it gets a begun island of a host that is `RESCUE` times as slow.
    """
    placing = _Placing(hosts, islands)
    # Each rule may open a way for another. It ends, since every move brings an order of the whole down: fewer islands
    # without a place, then fewer idle workers, then less unevenness.
    while (placing.place() | placing.feed() | placing.level() | placing.relieve()) or placing.rescue():
        pass
    return {island.id: owner for island, owner in zip(islands, placing.owners, strict=True) if owner != island.owner}


_Entry = tuple[bool, bool, bool, bool, float, float, str, Load]


class _Queue:
    """The hosts that take islands of one run, in the order in which they get the next one."""

    def __init__(self, loads: list[Load], is_bounded: bool, counts: dict[tuple[str, str], dict[str, int]]) -> None:
        weight = sum(load.weight for load in loads)
        self._is_bounded = is_bounded
        self._parts = {load.owner: (load, load.weight / weight) for load in loads}
        """With each host's part of the weight of all."""
        self._counts = counts
        """How many islands of each task each host has."""
        self._task = ("", "")
        self._count: dict[str, int] = {}
        self._size = 0
        """The task that is at hand, its counts and how many islands it has."""
        self._heap: list[_Entry] = []
        self._valid: dict[str, _Entry] = {}
        """Each host's entry; others in the heap are out of date."""
        for load in loads:
            self._push(load)

    def give(self, piece: Piece) -> str | None:
        """Give an island to the next host and return its name; None if no host takes anything more."""
        if not self._valid:
            return None
        if piece.task != self._task:
            self._begin(piece.task)
        entry = heapq.heappop(self._heap)
        while self._valid.get(entry[-2]) is not entry:
            entry = heapq.heappop(self._heap)
        load = entry[-1]
        load.add(piece)
        self._count[""] -= 1
        self._count[load.owner] = self._count.get(load.owner, 0) + 1
        self._push(load)
        return load.owner

    def _begin(self, task: tuple[str, str]) -> None:
        before = self._count
        self._task, self._count = task, self._counts[task]
        self._size = sum(self._count.values())
        for owner in (*before, *self._count):
            if owner in self._valid:
                self._push(self._parts[owner][0])

    def _push(self, load: Load) -> None:
        owner = load.owner
        if self._is_bounded and not load.has_room:
            self._valid.pop(owner, None)
            return
        count = self._count.get(owner, 0)
        # A little less than its part, which in floats may come out a little above a whole number.
        has_its_part = count > 0 and count >= self._size * self._parts[owner][1] - 1e-9
        is_busy, is_full = load.owned >= load.hands, load.owned >= load.limit
        entry = (is_busy, is_full, has_its_part, load.is_fed, load.share, -load.weight, owner, load)
        self._valid[owner] = entry
        heapq.heappush(self._heap, entry)


class _Placing:
    """The work of one call of `place`."""

    def __init__(self, hosts: Iterable[Host], islands: Sequence[OpenIsland]) -> None:
        # In one order, since sums of floats depend on it.
        self._loads = [Load(host) for host in sorted(hosts, key=lambda host: host.owner) if host.is_able]
        self._pieces = [_piece(order, island) for order, island in enumerate(islands)]
        self._waiting: list[Piece] = []
        """Islands without a place, those of either kind in the plan's order."""
        self.owners = [""] * len(islands)
        by_owner = {load.owner: load for load in self._loads}
        for piece, island in zip(self._pieces, islands, strict=True):
            load = by_owner.get(island.owner)
            if load is None or piece.run in load.refuses:
                self._waiting.append(piece)
            else:
                load.add(piece)
                self.owners[piece.order] = load.owner

    def place(self) -> bool:
        """Give islands without a place one, where there is room; whether any got one."""
        before = len(self._waiting)
        resting = [piece for piece in self._waiting if piece.is_resting]
        at_once = [piece for piece in self._waiting if piece.is_begun and not piece.is_resting]
        others = [piece for piece in self._waiting if not (piece.is_begun or piece.is_resting)]
        left = self._assign_resting(resting) + self._assign(at_once, is_bounded=False)
        self._waiting = left + self._assign(others, is_bounded=True)
        return len(self._waiting) < before

    def feed(self) -> bool:
        """Give idle workers what waits elsewhere; whether anything moved."""

        def gives(giver: Load) -> bool:
            return giver.owned > giver.hands and giver.last((), giver.hands) is not None

        def pick(giver: Load, taker: Load) -> Piece | None:
            return giver.last(taker.refuses, giver.hands) if taker.owned < taker.hands else None

        idle = [load for load in self._loads if load.owned < load.hands]
        return self._move(self._loads, idle, lambda load: load.time, gives, pick) | self._feed_hungry()

    def _feed_hungry(self) -> bool:
        """Give whose workers will soon be idle what waits elsewhere; whether anything moved."""

        def gives(giver: Load) -> bool:
            return giver.owned > giver.hands and bool(giver.fresh)

        def pick(giver: Load, taker: Load) -> Piece | None:
            piece = None if taker.is_fed else giver.last_fresh(taker.refuses)
            return piece if piece is not None and _is_sooner(piece, giver, taker) else None

        hungry = [load for load in self._loads if load.is_hungry]
        return self._move(self._loads, hungry, lambda load: load.time, gives, pick)

    def level(self) -> bool:
        """Bring hosts that have too little for their weight up to the others; whether anything moved."""
        if self._is_anything_placeable():
            return False
        weight = sum(load.weight for load in self._loads)
        least = LEAST_SHARE * sum(load.work for load in self._loads) / weight if weight else 0.0

        def gives(giver: Load) -> bool:
            return giver.owned > giver.hands and giver.last((), giver.limit) is not None

        def pick(giver: Load, taker: Load) -> Piece | None:
            if taker.owned >= taker.limit and giver.owned <= giver.limit:
                return None
            piece = giver.last(taker.refuses, giver.limit)
            if piece is None:
                return None
            left, got = giver.work - piece.work, taker.work + piece.work
            is_even = left / giver.weight >= got / taker.weight
            return piece if is_even and _is_sooner(piece, giver, taker) else None

        rich = [load for load in self._loads if load.share >= least]
        poor = [load for load in self._loads if load.share < least]
        return self._move(rich, poor, lambda load: load.share, gives, pick)

    def relieve(self) -> bool:
        """Take from slow hosts what they have begun and others could go on with; whether anything moved."""

        def gives(giver: Load) -> bool:
            return giver.begun > giver.keep and bool(giver.movable)

        def pick(giver: Load, taker: Load) -> Piece | None:
            if taker.owned >= taker.limit or taker.slowness * RESCUE > giver.slowness:
                return None
            return giver.last_begun(taker.refuses)

        slow = [load for load in self._loads if load.keep < load.limit]
        return self._move(
            slow, [load for load in self._loads if load.owned < load.limit], lambda load: load.time, gives, pick
        )

    def rescue(self) -> bool:
        """Give idle workers what slow hosts have begun, though their own workers go idle for it; whether any moved."""

        def pick(giver: Load, taker: Load) -> Piece | None:
            if taker.owned >= taker.hands or taker.slowness * RESCUE > giver.slowness:
                return None
            return giver.last_begun(taker.refuses)

        idle = [load for load in self._loads if load.owned < load.hands]
        return self._move(self._loads, idle, lambda load: load.slowness, lambda giver: bool(giver.movable), pick)

    def _move(
        self,
        givers: list[Load],
        takers: list[Load],
        pressure: Callable[[Load], float],
        gives: Callable[[Load], bool],
        pick: Callable[[Load, Load], Piece | None],
    ) -> bool:
        """Move islands one at a time: to the taker with the least for its weight, from the giver under the most
        pressure of which `pick` takes one. Whether any moved."""
        queue = [(-pressure(load), load.owner, load) for load in givers if gives(load)]
        line = [(load.share, load.owner, load) for load in takers]
        heapq.heapify(queue)
        heapq.heapify(line)
        has_moved = False
        while queue and line:
            taker = heapq.heappop(line)[-1]
            passed = []
            while queue:
                entry = heapq.heappop(queue)
                giver = entry[-1]
                piece = pick(giver, taker)
                if piece is None:
                    passed.append(entry)
                    continue
                giver.remove_last(piece)
                taker.add(piece)
                self.owners[piece.order] = taker.owner
                has_moved = True
                heapq.heappush(line, (taker.share, taker.owner, taker))
                if gives(giver):
                    heapq.heappush(queue, (-pressure(giver), giver.owner, giver))
                break
            for entry in passed:
                heapq.heappush(queue, entry)
        return has_moved

    def _is_anything_placeable(self) -> bool:
        runs = {piece.run for piece in self._waiting}
        return any(run not in load.refuses for run in runs for load in self._loads)

    def _assign(self, pieces: list[Piece], is_bounded: bool) -> list[Piece]:
        """Give these islands hosts, in this order; returns those that get none."""
        if is_bounded and not any(load.has_room for load in self._loads):
            return pieces
        left = []
        counts = self._count_tasks() if pieces else {}
        for run, of_run in groupby(pieces, key=attrgetter("run")):
            queue = _Queue([load for load in self._loads if run not in load.refuses], is_bounded, counts)
            for piece in of_run:
                owner = queue.give(piece)
                if owner is None:
                    left.append(piece)
                else:
                    self.owners[piece.order] = owner
        return left

    def _assign_resting(self, pieces: list[Piece]) -> list[Piece]:
        """The same for islands that need no worker: they are spread, since their runs may go on some day."""
        left = []
        for run, of_run in groupby(pieces, key=attrgetter("run")):
            line = [(load.held / load.weight, load.owner, load) for load in self._loads if run not in load.refuses]
            heapq.heapify(line)
            for piece in of_run:
                if not line:
                    left.append(piece)
                    continue
                load = line[0][-1]
                load.add(piece)
                self.owners[piece.order] = load.owner
                heapq.heapreplace(line, (load.held / load.weight, load.owner, load))
        return left

    def _count_tasks(self) -> dict[tuple[str, str], dict[str, int]]:
        """Of each task, how many of its islands each host has; those without a host stand under ""."""
        counts: dict[tuple[str, str], dict[str, int]] = {}
        for piece, owner in zip(self._pieces, self.owners, strict=True):
            count = counts.setdefault(piece.task, {})
            count[owner] = count.get(owner, 0) + 1
        return counts


def _is_sooner(piece: Piece, giver: Load, taker: Load) -> bool:
    """Whether an island waits no longer at the taker than at the giver. None is better off where it would, whatever the
    weights say."""
    left, got = giver.work - piece.work, taker.work + piece.work
    return left * giver.slowness * taker.hands >= got * taker.slowness * giver.hands


def _piece(order: int, island: OpenIsland) -> Piece:
    seconds = island.seconds
    counted = UNKNOWN_SECONDS if seconds is None else min(max(MIN_SECONDS, seconds), MAX_SECONDS)
    run, task, _ = island.id
    return Piece(
        order,
        run,
        (run, task),
        work=round(1000 * counted),
        is_known=seconds is not None,
        is_begun=island.is_begun,
        is_movable=not island.stays and (seconds is None or seconds >= HAND_OVER_SECONDS),
        is_resting=island.is_resting,
    )
