"""Loads: hosts, and the islands that each of them owns while `placement` moves them about."""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection
from math import isfinite
from typing import NamedTuple

import msgspec

FEED_SECONDS = 10
"""Whatever the weights say, each host gets so much of its workers' time before any gets more: until a plan is written
and followed some seconds pass, over mail more of them."""
HUNGRY_SECONDS = 2.5
"""A host that has less than this left is fed up to `FEED_SECONDS` from the queues of others."""
QUEUE_SECONDS = 30
"""A host whose islands are worth this many seconds of its workers' time gets no more of those that nobody began."""


class Host(msgspec.Struct, frozen=True):
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
    slowness: float = 1.0
    """How many times as long as usual it takes for the same work."""
    keep: int | None = None
    """Begun islands that it keeps while others could have them live; None: as many as it may have live itself."""

    @property
    def is_able(self) -> bool:
        """Whether it can own islands at all: with no workers, no limit or no weight it gets none."""
        is_able = self.workers > 0 and self.limit > 0 and self.weight > 0 and self.slowness > 0
        return is_able and isfinite(self.weight) and isfinite(self.slowness)


class Piece(NamedTuple):
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


class Load:
    """A host with the islands that it owns so far."""

    __slots__ = (
        "begun", "fresh", "hands", "held", "keep", "known", "limit", "most_known", "most_unknown", "movable", "owned",
        "owner", "refuses", "slowness", "unknown", "weight", "work",
    )  # fmt: skip

    def __init__(self, host: Host) -> None:
        self.owner, self.weight, self.limit, self.refuses = host.owner, host.weight, host.limit, host.refuses
        self.hands = min(host.workers, host.limit)
        """Workers that can be busy at a time."""
        self.slowness, self.keep = host.slowness, self.limit if host.keep is None else min(host.keep, self.limit)
        self.most_known = round(1000 * QUEUE_SECONDS * self.hands / self.slowness)
        self.most_unknown = self.keep + 2 * self.hands
        """What fills its queue: milliseconds of islands with an estimate, or so many without one."""
        self.owned = self.begun = self.unknown = 0
        """Islands: all of them, those that are begun, and those without an estimate."""
        self.held = 0
        """Islands that rest here, and count for nothing else."""
        self.work = self.known = 0
        """Milliseconds: of all islands, and of those with an estimate."""
        self.fresh: dict[str, list[Piece]] = {}
        self.movable: dict[str, list[Piece]] = {}
        """By run, in the plan's order, what may be levelled away: islands that nobody began, and begun ones."""

    @property
    def share(self) -> float:
        """Work for its weight: what is to be alike everywhere."""
        return self.work / self.weight

    @property
    def time(self) -> float:
        """How long its workers have to do."""
        return self.work * self.slowness / self.hands

    @property
    def is_fed(self) -> bool:
        """Whether its workers have enough to do until a later plan."""
        return self.time >= 1000 * FEED_SECONDS

    @property
    def is_hungry(self) -> bool:
        """Whether its workers may have nothing to do before a later plan."""
        return self.time < 1000 * HUNGRY_SECONDS

    @property
    def has_room(self) -> bool:
        """Whether it takes more: what may be live at a time, and beyond that what does not fill its queue. Islands with
        an estimate and without one fill it in proportion."""
        return self.owned < max(self.hands, self.keep) or (
            self.known * self.most_unknown + self.unknown * self.most_known < self.most_known * self.most_unknown
        )

    def add(self, piece: Piece) -> None:
        """Own this island."""
        if piece.is_resting:
            self.held += 1
            return
        self._count(piece, 1)
        lines = self._lines(piece)
        if lines is not None:
            insort(lines.setdefault(piece.run, []), piece)

    def remove_last(self, piece: Piece) -> None:
        """No longer own this island, the last of its run."""
        self._count(piece, -1)
        lines = self._lines(piece)
        if lines is not None:
            lines[piece.run].pop()
            if not lines[piece.run]:
                del lines[piece.run]

    def last(self, refuses: Collection[str], most_begun: int) -> Piece | None:
        """The last island in the queue that may go to a host that refuses these runs, begun ones after all others.

        Begun ones go only while there are more than `most_begun` of them.
        """
        fresh = self.last_fresh(refuses)
        if fresh is not None or self.begun <= most_begun:
            return fresh
        return self.last_begun(refuses)

    def last_fresh(self, refuses: Collection[str]) -> Piece | None:
        """The last that nobody began, and that may go to a host that refuses these runs."""
        return max((line[-1] for run, line in self.fresh.items() if run not in refuses), default=None)

    def last_begun(self, refuses: Collection[str]) -> Piece | None:
        """The last of its begun islands that may go to a host that refuses these runs."""
        return max((line[-1] for run, line in self.movable.items() if run not in refuses), default=None)

    def _lines(self, piece: Piece) -> dict[str, list[Piece]] | None:
        if not piece.is_begun:
            return self.fresh
        return self.movable if piece.is_movable else None

    def _count(self, piece: Piece, sign: int) -> None:
        self.owned += sign
        self.begun += sign * piece.is_begun
        self.work += sign * piece.work
        if piece.is_known:
            self.known += sign * piece.work
        else:
            self.unknown += sign
