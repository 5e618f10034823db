"""Migration between platforms: emigrants on their way out until they are acknowledged, and immigrants, each taken once.

An edge leads from an island of this platform to another island of its task. It keeps one batch of emigrants at most:
a newer one takes the place of one that nobody acknowledged. No island waits for another anywhere.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from distevo.alarms import NEVER
from distevo.events import IslandId
from distevo.machine import Table
from distevo.messages import Migrants, MigrantsAck

RESEND_SECONDS = 5.0
"""How long a batch waits for its acknowledgement before it is sent again; doubled with each time."""
MAX_RESEND_SECONDS = 30.0
MAX_EDGES = 4096
"""Most edges that a platform keeps, of either direction. Above it the oldest acknowledged is forgotten first."""


class EdgeState(StrEnum):
    """Whether an edge has a batch."""

    IDLE = "idle"
    WAITING = "waiting"
    """A batch is not acknowledged yet."""


class EdgeEvent(StrEnum):
    """What happens to an edge."""

    BATCH = "batch"
    """The source's emigrants."""
    ACKED = "acked"
    """From the target's owner, about the waiting batch: it was merged there."""
    REFUSED = "refused"
    """From the target's owner, about the waiting batch: it was not."""
    STALE_ACK = "stale ack"
    """About an older batch, or from another member than the target's owner."""
    RESEND = "resend"
    """The time to wait for an acknowledgement is over."""
    MOVED = "moved"
    """The target has another owner."""
    CLOSED = "closed"
    """The task is closed, or there are too many edges."""


EDGE: Table[EdgeState, EdgeEvent] = Table(
    "edge",
    EdgeState.IDLE,
    {
        (EdgeState.IDLE, EdgeEvent.BATCH): (EdgeState.WAITING, "number the batch, send it"),
        (EdgeState.IDLE, EdgeEvent.STALE_ACK): (EdgeState.IDLE, "count what was merged, once"),
        (EdgeState.IDLE, EdgeEvent.MOVED): (EdgeState.IDLE, "remember the new owner"),
        (EdgeState.IDLE, EdgeEvent.CLOSED): (EdgeState.IDLE, "forget the edge"),
        (EdgeState.WAITING, EdgeEvent.BATCH): (EdgeState.WAITING, "drop the older batch; number the new one, send it"),
        (EdgeState.WAITING, EdgeEvent.ACKED): (EdgeState.IDLE, "count what was merged; drop the batch"),
        (EdgeState.WAITING, EdgeEvent.REFUSED): (EdgeState.IDLE, "drop the batch"),
        (EdgeState.WAITING, EdgeEvent.STALE_ACK): (EdgeState.WAITING, "count what was merged, once"),
        (EdgeState.WAITING, EdgeEvent.RESEND): (EdgeState.WAITING, "send the batch again; wait twice as long"),
        (EdgeState.WAITING, EdgeEvent.MOVED): (EdgeState.WAITING, "send the batch to the new owner"),
        (EdgeState.WAITING, EdgeEvent.CLOSED): (EdgeState.IDLE, "drop the batch; forget the edge"),
    },
)


class Edge(NamedTuple):
    """From one island of a task to another."""

    run: str
    task: str
    source: int
    target: int


class EdgeStatus(NamedTuple):
    """How an edge is, for people."""

    edge: Edge
    owner: str
    """Who owns the target, as `<id>-<boot>`; empty while nobody does."""
    is_waiting: bool
    """Whether a batch is not acknowledged yet."""
    sent: int
    """Batches that left the source, each counted once."""
    accepted: int
    """Programs that the target took."""
    known: int
    """Programs that the target had already."""
    last_at: float | None
    """When something was last acknowledged."""


class _EdgeOut(msgspec.Struct):
    owner: str
    state: EdgeState = EDGE.initial
    head: Migrants | None = None
    """Of the newest batch."""
    block: bytes = b""
    due: float | None = None
    """When the batch is sent again; None while there is none, or nobody owns the target."""
    delay: float = RESEND_SECONDS
    counted: int = 0
    """Number of the newest batch whose acknowledgement is counted."""
    sent: int = 0
    accepted: int = 0
    known: int = 0
    last_at: float | None = None


class Migration:
    """The outgoing side: what leaves this platform's islands for islands elsewhere.

    `send(owner, head, payload)` sends a message to the member of that name. It may be lost, and the name may be this
    platform's own when the target has come to live here: whoever gives `send` then delivers it.
    """

    def __init__(self, send: Callable[[str, Migrants, bytes], None]) -> None:
        self._send_message = send
        self._number = 0
        self._idle: dict[Edge, _EdgeOut] = {}
        """The longest idle first."""
        self._waiting: dict[Edge, _EdgeOut] = {}
        """The oldest batch first."""
        self._due: list[tuple[float, Edge]] = []
        """May hold times that no longer count."""

    def emigrate(self, source: IslandId, grant: int, target: int, owner: str, block: bytes, now: float) -> None:
        """Send `block`, emigrants of `source`, to the island `target` of its task, which `owner` has.

        `grant` is the source's. An empty owner: the batch waits until `moved` names one.
        """
        edge = Edge(source.run, source.task, source.island, target)
        out = self._waiting.pop(edge, None) or self._idle.pop(edge, None) or _EdgeOut(owner)
        self._make_room()
        out.state = EDGE.step(out.state, EdgeEvent.BATCH)
        self._waiting[edge] = out
        # One count for all edges: an edge that was forgotten and comes back must not begin again with low numbers.
        self._number += 1
        out.head = Migrants(
            run=edge.run, task=edge.task, source=edge.source, target=target, number=self._number, grant=grant
        )
        out.block, out.owner = block, owner
        out.sent += 1
        self._send_anew(edge, out, now)

    def acked(self, ack: MigrantsAck, sender: str, now: float) -> None:
        """`sender`, an owner by its name in the plan, says what became of a batch."""
        edge = Edge(ack.run, ack.task, ack.source, ack.target)
        out = self._waiting.get(edge) or self._idle.get(edge)
        if out is None or out.head is None:
            # Closed or forgotten in the meantime.
            return
        is_owners = sender == out.owner and ack.grant == out.head.grant
        is_about_newest = is_owners and ack.number == out.head.number
        event = EdgeEvent.STALE_ACK
        if is_about_newest and out.state is EdgeState.WAITING:
            event = EdgeEvent.ACKED if ack.refused is None else EdgeEvent.REFUSED
        out.state = EDGE.step(out.state, event)
        if is_owners and ack.refused is None and out.counted < ack.number <= out.head.number:
            # A late answer still says truly what was merged; a repeated one says it again.
            out.counted, out.last_at = ack.number, now
            out.accepted += ack.accepted
            out.known += ack.known
        if event is not EdgeEvent.STALE_ACK:
            del self._waiting[edge]
            self._idle[edge] = out
            # Idle edges outnumber waiting ones by far, and a block may be large.
            out.block = b""

    def moved(self, owner_of: Callable[[str, str, int], str | None], now: float) -> None:
        """A plan is in force. `owner_of(run, task, island)` is empty for none at present, None for a closed task."""
        for edge, out in [*self._idle.items(), *self._waiting.items()]:
            owner = owner_of(edge.run, edge.task, edge.target)
            if owner is None:
                self._forget(edge)
            elif owner != out.owner:
                out.state = EDGE.step(out.state, EdgeEvent.MOVED)
                out.owner = owner
                if out.state is EdgeState.WAITING:
                    self._send_anew(edge, out, now)

    def tick(self, now: float) -> None:
        """Send again what was not acknowledged in time."""
        while self._due and self._due[0][0] <= now:
            due, edge = heapq.heappop(self._due)
            out = self._waiting.get(edge)
            if out is not None and out.due == due:
                out.state = EDGE.step(out.state, EdgeEvent.RESEND)
                out.delay = min(2 * out.delay, MAX_RESEND_SECONDS)
                self._send(edge, out, now)

    def next_deadline(self) -> float:
        """When `tick` has something to do."""
        while self._due and not self._is_valid(*self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else NEVER

    def status(self) -> list[EdgeStatus]:
        """All edges, in their order."""
        return [
            EdgeStatus(edge, out.owner, out.state is EdgeState.WAITING, out.sent, out.accepted, out.known, out.last_at)
            for edge, out in sorted({**self._idle, **self._waiting}.items())
        ]

    def _send_anew(self, edge: Edge, out: _EdgeOut, now: float) -> None:
        out.delay = RESEND_SECONDS
        self._send(edge, out, now)

    def _send(self, edge: Edge, out: _EdgeOut, now: float) -> None:
        if not out.owner or out.head is None:
            # Nobody owns the target; `moved` will name who does.
            out.due = None
            return
        out.due = now + out.delay
        heapq.heappush(self._due, (out.due, edge))
        if len(self._due) > 2 * MAX_EDGES:
            self._due = [(out.due, edge) for edge, out in self._waiting.items() if out.due is not None]
            heapq.heapify(self._due)
        self._send_message(out.owner, out.head, out.block)

    def _is_valid(self, due: float, edge: Edge) -> bool:
        out = self._waiting.get(edge)
        return out is not None and out.due == due

    def _make_room(self) -> None:
        while len(self._idle) + len(self._waiting) >= MAX_EDGES:
            self._forget(next(iter(self._idle or self._waiting)))

    def _forget(self, edge: Edge) -> None:
        out = self._idle.pop(edge, None) or self._waiting.pop(edge)
        out.state = EDGE.step(out.state, EdgeEvent.CLOSED)


class Arrivals:
    """The incoming side: which batches were taken, so that one that comes twice is acknowledged twice and merged once.

    Forgetting an edge costs nothing but that: programs merge like sets.
    """

    def __init__(self) -> None:
        self._acks: dict[Edge, MigrantsAck] = {}
        """The last one of each edge; the edge that was silent for the longest first."""

    def is_new(self, head: Migrants) -> bool:
        """Whether the batch is newer than all that were taken from its edge."""
        last = self._acks.get(_edge_of(head))
        return last is None or (head.grant, head.number) > (last.grant, last.number)

    def known(self, head: Migrants) -> MigrantsAck | None:
        """The answer to a batch that need not be taken, None if it is new.

        The last batch gets the answer that it got before. An older one is answered too, with nothing taken, so that
        a former owner of the source ends sending it.
        """
        if self.is_new(head):
            return None
        last = self._acks[_edge_of(head)]
        return last if (head.grant, head.number) == (last.grant, last.number) else _ack(head)

    def took(self, head: Migrants, accepted: int, known: int, refused: str | None = None) -> MigrantsAck:
        """The answer to a new batch of which so many programs were accepted and known, or that was refused.

        A refusal is not remembered: the island may be here when the batch comes again.
        """
        ack = _ack(head, accepted, known, refused)
        if refused is None:
            edge = _edge_of(head)
            self._acks.pop(edge, None)
            self._acks[edge] = ack
            if len(self._acks) > MAX_EDGES:
                del self._acks[next(iter(self._acks))]
        return ack

    def prune(self, is_open: Callable[[str, str], bool]) -> None:
        """A plan is in force: forget the edges of tasks (run, task) that are no longer open."""
        self._acks = {edge: ack for edge, ack in self._acks.items() if is_open(edge.run, edge.task)}


def _edge_of(head: Migrants) -> Edge:
    return Edge(head.run, head.task, head.source, head.target)


def _ack(head: Migrants, accepted: int = 0, known: int = 0, refused: str | None = None) -> MigrantsAck:
    return MigrantsAck(
        run=head.run,
        task=head.task,
        source=head.source,
        target=head.target,
        number=head.number,
        grant=head.grant,
        accepted=accepted,
        known=known,
        refused=refused,
    )
