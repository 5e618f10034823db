"""Placement: which member owns which island, in proportion to what it can do and with as few moves as possible.

An island stays where it is for as long as its owner lives. What has no owner goes where there is room for it, and
no host gets more ahead than its workers can do in about `QUEUE_SECONDS`, so that the order of the tasks holds and
little moves when a member vanishes. Once hosts run dry, islands that wait elsewhere are levelled out to them.

A function of its arguments alone: hosts may come in any order, and whoever places again what was placed moves
nothing, since levelling ends only where no rule has anything left to move.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite
from operator import attrgetter
from typing import NamedTuple

from distevo.events import IslandId

QUEUE_SECONDS = 30
"""A host whose islands are worth this many seconds of its workers' time gets no more of those that nobody began."""
UNKNOWN_SECONDS = 10
"""What an island without an estimate counts for when hosts are compared: the default budget of a task."""
MIN_SECONDS = 0.05
"""What an island counts for at least: being started and reported costs about that much."""
MAX_SECONDS = 1e9
HAND_OVER_SECONDS = 2.0
"""A begun island that has less left than this is never levelled away: handing it over costs about as much."""
LEAST_SHARE = 0.75
"""A host that has less than this part of its fair share is levelled up; in between nothing moves to and fro."""


@dataclass(frozen=True, slots=True)
class Host:
    """A member that can own islands."""

    owner: str
    """`<id>-<boot>`."""
    weight: float
    """Its capability; what it gets is in proportion."""
    workers: int
    limit: int
    """Most islands that it may have live at a time; more wait in its queue."""
    refuses: Collection[str] = ()
    """Runs that it cannot work on."""

    @property
    def is_able(self) -> bool:
        """Whether it can own islands at all: with no workers, no limit or no weight it gets none."""
        return self.workers > 0 and self.limit > 0 and self.weight > 0 and isfinite(self.weight)


@dataclass(frozen=True, slots=True)
class OpenIsland:
    """An island of an open task."""

    id: IslandId
    owner: str
    """Empty while it waits for a place."""
    seconds: float | None
    """CPU seconds of work left, as far as anybody can tell; None: unknown."""
    is_begun: bool
    """Whether anybody holds a state of it, so that a new owner has to take that over."""
    is_resting: bool = False
    """Whether its own work is over and only its task is not: it needs an owner and no worker."""


def place(hosts: Iterable[Host], islands: Sequence[OpenIsland]) -> dict[IslandId, str]:
    """The new owner of each island whose owner changes; empty where it now waits for a place.

    `islands` in the order of the plan. The rules, the earlier ones first:

    - An island whose host lives and does not refuse its run stays, unless it is levelled away.
    - Begun islands that lost their host go to another at once, whatever waits there. So do resting ones, which from
      then on stay and count for nothing.
    - The rest goes, in the plan's order, to hosts with room in their queues: first where a worker is idle, then where
      it could be live, then where the task has less than its share of islands, then to the least loaded host for its
      weight.
    - A host with an idle worker gets an island that waits elsewhere, from the end of the queue that takes longest. A
      begun one is taken only from a host with more begun islands than workers.
    - When nothing that can be placed is left, a host that has less than `LEAST_SHARE` of its fair share is levelled up
      from the most loaded hosts, as long as the giver stays at least as loaded, both for its weight and for its
      workers. Begun islands are taken only from a host with more of them than it may have live, and no island leaves
      a host where it could be live for one where it has to wait.
    """
    placing = _Placing(hosts, islands)
    # Each rule may open a way for another. It ends, since every move brings an order of the whole down: fewer islands
    # without a place, then fewer idle workers, then less unevenness.
    while placing.place() | placing.feed() | placing.level():
        pass
    return {island.id: owner for island, owner in zip(islands, placing.owners, strict=True) if owner != island.owner}


class _Piece(NamedTuple):
    """An island as the rules see it. Pieces compare by their place in the plan's order."""

    order: int
    run: str
    task: tuple[str, str]
    work: int
    """Whole milliseconds, so that sums are exact."""
    is_known: bool
    is_begun: bool
    is_movable: bool
    is_resting: bool


class _Load:
    """A host with the islands that it owns so far."""

    __slots__ = (
        "begun", "fresh", "hands", "known", "limit", "most_known", "most_unknown", "movable", "owned", "owner",
        "refuses", "unknown", "weight", "work",
    )  # fmt: skip

    def __init__(self, host: Host) -> None:
        self.owner, self.weight, self.limit, self.refuses = host.owner, host.weight, host.limit, host.refuses
        self.hands = min(host.workers, host.limit)
        """Workers that can be busy at a time."""
        self.most_known, self.most_unknown = 1000 * QUEUE_SECONDS * self.hands, self.limit + 2 * self.hands
        """What fills its queue: milliseconds of islands with an estimate, or so many without one."""
        self.owned = self.begun = self.unknown = 0
        """Islands: all of them, those that are begun, and those without an estimate."""
        self.work = self.known = 0
        """Milliseconds: of all islands, and of those with an estimate."""
        self.fresh: dict[str, list[_Piece]] = {}
        self.movable: dict[str, list[_Piece]] = {}
        """By run, in the plan's order, what may be levelled away: islands that nobody began, and begun ones."""

    @property
    def share(self) -> float:
        """Work for its weight: what is to be alike everywhere."""
        return self.work / self.weight

    @property
    def time(self) -> float:
        """Work for each worker."""
        return self.work / self.hands

    @property
    def crowding(self) -> int:
        """0: one island more has a worker at once; 1: it can be live; 2: it has to wait."""
        return (self.owned >= self.hands) + (self.owned >= self.limit)

    @property
    def has_room(self) -> bool:
        """Whether its queue takes more. Islands with an estimate and without one fill it in proportion."""
        return self.owned < self.hands or (
            self.known * self.most_unknown + self.unknown * self.most_known < self.most_known * self.most_unknown
        )

    def add(self, piece: _Piece) -> None:
        """Own this island."""
        if piece.is_resting:
            return
        self._count(piece, 1)
        lines = self._lines(piece)
        if lines is not None:
            insort(lines.setdefault(piece.run, []), piece)

    def remove_last(self, piece: _Piece) -> None:
        """No longer own this island, the last of its run."""
        self._count(piece, -1)
        lines = self._lines(piece)
        if lines is not None:
            lines[piece.run].pop()
            if not lines[piece.run]:
                del lines[piece.run]

    def last(self, refuses: Collection[str], most_begun: int) -> _Piece | None:
        """The last island in the queue that may go to a host that refuses these runs, begun ones after all others.

        Begun ones go only while there are more than `most_begun` of them.
        """
        fresh = max((line[-1] for run, line in self.fresh.items() if run not in refuses), default=None)
        if fresh is not None or self.begun <= most_begun:
            return fresh
        return max((line[-1] for run, line in self.movable.items() if run not in refuses), default=None)

    def _lines(self, piece: _Piece) -> dict[str, list[_Piece]] | None:
        if not piece.is_begun:
            return self.fresh
        return self.movable if piece.is_movable else None

    def _count(self, piece: _Piece, sign: int) -> None:
        self.owned += sign
        self.begun += sign * piece.is_begun
        self.work += sign * piece.work
        if piece.is_known:
            self.known += sign * piece.work
        else:
            self.unknown += sign


_Entry = tuple[int, bool, float, float, str, _Load]


class _Queue:
    """The hosts that take islands of one run, in the order in which they get the next one."""

    def __init__(self, loads: list[_Load], is_bounded: bool, counts: dict[tuple[str, str], dict[str, int]]) -> None:
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

    def give(self, piece: _Piece) -> str | None:
        """Give an island to the next host and return its name; None if no host takes anything more."""
        if not self._valid:
            return None
        if piece.task != self._task:
            self._begin(piece.task)
        entry = heapq.heappop(self._heap)
        while self._valid.get(entry[4]) is not entry:
            entry = heapq.heappop(self._heap)
        load = entry[5]
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

    def _push(self, load: _Load) -> None:
        owner = load.owner
        if self._is_bounded and not load.has_room:
            self._valid.pop(owner, None)
            return
        count = self._count.get(owner, 0)
        # A little less than its part, which in floats may come out a little above a whole number.
        has_its_part = count > 0 and count >= self._size * self._parts[owner][1] - 1e-9
        entry = (load.crowding, has_its_part, load.share, -load.weight, owner, load)
        self._valid[owner] = entry
        heapq.heappush(self._heap, entry)


class _Placing:
    """The work of one call of `place`."""

    def __init__(self, hosts: Iterable[Host], islands: Sequence[OpenIsland]) -> None:
        # In one order, since sums of floats depend on it.
        self._loads = [_Load(host) for host in sorted(hosts, key=lambda host: host.owner) if host.is_able]
        self._pieces = [_piece(order, island) for order, island in enumerate(islands)]
        self._waiting: list[_Piece] = []
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
        at_once = [piece for piece in self._waiting if piece.is_begun or piece.is_resting]
        others = [piece for piece in self._waiting if not (piece.is_begun or piece.is_resting)]
        self._waiting = self._assign(at_once, is_bounded=False) + self._assign(others, is_bounded=True)
        return len(self._waiting) < before

    def feed(self) -> bool:
        """Give idle workers what waits elsewhere; whether anything moved."""

        def gives(giver: _Load) -> bool:
            return giver.owned > giver.hands and giver.last((), giver.hands) is not None

        def pick(giver: _Load, taker: _Load) -> _Piece | None:
            return giver.last(taker.refuses, giver.hands) if taker.owned < taker.hands else None

        idle = [load for load in self._loads if load.owned < load.hands]
        return self._move(self._loads, idle, lambda load: load.time, gives, pick)

    def level(self) -> bool:
        """Bring hosts that have too little for their weight up to the others; whether anything moved."""
        if self._is_anything_placeable():
            return False
        weight = sum(load.weight for load in self._loads)
        least = LEAST_SHARE * sum(load.work for load in self._loads) / weight if weight else 0.0

        def gives(giver: _Load) -> bool:
            return giver.owned > giver.hands and giver.last((), giver.limit) is not None

        def pick(giver: _Load, taker: _Load) -> _Piece | None:
            if taker.owned >= taker.limit and giver.owned <= giver.limit:
                return None
            piece = giver.last(taker.refuses, giver.limit)
            if piece is None:
                return None
            left, got = giver.work - piece.work, taker.work + piece.work
            is_even = left / giver.weight >= got / taker.weight
            # No island is better off where it would wait longer, whatever the weights say.
            return piece if is_even and left * taker.hands >= got * giver.hands else None

        rich = [load for load in self._loads if load.share >= least]
        poor = [load for load in self._loads if load.share < least]
        return self._move(rich, poor, lambda load: load.share, gives, pick)

    def _move(
        self,
        givers: list[_Load],
        takers: list[_Load],
        pressure: Callable[[_Load], float],
        gives: Callable[[_Load], bool],
        pick: Callable[[_Load, _Load], _Piece | None],
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

    def _assign(self, pieces: list[_Piece], is_bounded: bool) -> list[_Piece]:
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

    def _count_tasks(self) -> dict[tuple[str, str], dict[str, int]]:
        """Of each task, how many of its islands each host has; those without a host stand under ""."""
        counts: dict[tuple[str, str], dict[str, int]] = {}
        for piece, owner in zip(self._pieces, self.owners, strict=True):
            count = counts.setdefault(piece.task, {})
            count[owner] = count.get(owner, 0) + 1
        return counts


def _piece(order: int, island: OpenIsland) -> _Piece:
    seconds = island.seconds
    counted = UNKNOWN_SECONDS if seconds is None else min(max(MIN_SECONDS, seconds), MAX_SECONDS)
    run, task, _ = island.id
    return _Piece(
        order,
        run,
        (run, task),
        work=round(1000 * counted),
        is_known=seconds is not None,
        is_begun=island.is_begun,
        is_movable=seconds is None or seconds >= HAND_OVER_SECONDS,
        is_resting=island.is_resting,
    )
