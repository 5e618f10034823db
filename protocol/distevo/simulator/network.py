"""The network of a simulation: connections between boots, and what can happen to them.

A connection carries frames in order, as TCP does: one that is lost and sent again holds up those behind it. What a
cut swallows is gone. A side that closes, and a process that dies, is noticed by the other side when word of it, or
the refusal of its next frame, gets through; a machine that loses power says nothing.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Protocol

from distevo.codec import decode, encode
from distevo.errors import RemoteProtocolError
from distevo.events import DialFailed, Event, LinkClosed, LinkOpened, Malformed, Received
from distevo.instructions import Dial, Send
from distevo.messages import Command, Head
from distevo.simulator import config
from distevo.simulator.agenda import Agenda
from distevo.simulator.faults import Cut, Lossy, Partition, Undialable

COMMAND_AT = 5
"""Where a frame has the number of its command, in every version."""
RESENT = (0.2, 1.5)
"""Least and most seconds until a lost frame is sent again."""
OVERTAKEN = 2.0
"""Seconds that a frame which others overtake takes longer, at most."""


class Endpoint(Protocol):
    """A boot, as the network knows it."""

    host: str
    """Name of its machine, which is the member's, unless somebody copied the machine."""
    key: str
    latency: float
    denied: frozenset[str] | None
    """Keys that it does not let in; None: it lets nobody in yet."""
    links: dict[int, End]

    @property
    def is_suspended(self) -> bool: ...
    def next_link(self) -> int: ...
    def feed(self, event: Event) -> None: ...


class End:
    """One side of a connection."""

    __slots__ = ("arrival", "boot", "is_announced", "is_open", "number", "peer")

    def __init__(self, boot: Endpoint, number: int) -> None:
        self.boot, self.number = boot, number
        self.peer: End = self
        self.is_open = True
        self.is_announced = False
        """Whether this side's node knows of it."""
        self.arrival = 0.0
        """When the last frame on its way here arrives."""


def endpoint_of(host: str) -> str:
    """Where a machine can be dialled."""
    return f"sim://{host}"


class Network:
    """All connections."""

    def __init__(self, settings: config.Network, agenda: Agenda, rng: random.Random) -> None:
        self._settings, self._agenda, self._rng = settings, agenda, rng
        self._up: dict[str, Endpoint] = {}
        self._powered: set[str] = set()
        """Machines that answer, if only that nothing runs there."""
        self._walls: list[tuple[Partition, dict[str, int]]] = []
        self._cuts: list[Cut] = []
        self._undialable: list[Undialable] = []
        self._lossy: list[Lossy] = []
        self.sent: defaultdict[Command, int] = defaultdict(int)
        """Frames by command."""
        self.acknowledged = 0
        """Batches of migrants that were acknowledged over a connection."""
        self.lost = 0
        """Frames that never arrived."""

    # --- boots come and go -----------------------------------------------------------------------

    def join(self, boot: Endpoint) -> None:
        """A boot can be dialled from now on."""
        self._up[boot.host] = boot
        self._powered.add(boot.host)

    def leave(self, boot: Endpoint, is_silent: bool) -> None:
        """A boot is gone. Unless its machine is too, its connections close."""
        del self._up[boot.host]
        if is_silent:
            self._powered.discard(boot.host)
        for end in list(boot.links.values()):
            end.is_open = False
            if not is_silent:
                self._tell_closed(end)
        boot.links.clear()

    # --- what boots do ---------------------------------------------------------------------------

    def dial(self, boot: Endpoint, order: Dial) -> None:
        """Try to connect."""
        hosts = [endpoint.removeprefix("sim://") for endpoint in order.endpoints]
        target = hosts[0] if hosts else ""
        latency = self._latency(boot, self._up.get(target))
        if not hosts:
            self._agenda.after(latency, boot.feed, DialFailed(order.member, "it has no endpoint"))
        elif self._is_lost_between(boot.host, target) or any(fault.member == target for fault in self._undialable):
            self._fail_late(boot, order)
        else:
            self._agenda.after(3 * latency, self._connect, (boot, target, order))

    def hang_up(self, boot: Endpoint, link: int) -> None:
        """Close a connection after what was sent on it."""
        end = boot.links.pop(link, None)
        if end is not None:
            end.is_open = False
            self._tell_closed(end)

    def send(self, boot: Endpoint, order: Send) -> None:
        """Send a frame; on a connection that is closed by now it is lost."""
        end = boot.links.get(order.link)
        command = order.head.command
        self.sent[command] += 1
        # A relayed frame says what it is in the same place as any.
        if command is Command.MIGRANTS_ACK or (
            command is Command.FORWARD and order.payload[COMMAND_AT] == Command.MIGRANTS_ACK
        ):
            self.acknowledged += 1
        if end is None:
            self.lost += 1
            return
        peer = end.peer
        if (self._walls or self._cuts) and self._is_cut(boot.host, peer.boot.host):
            self.lost += 1
            return
        moment = self._agenda.now + boot.latency + peer.boot.latency + self._settings.jitter * self._rng.random()
        if self._lossy:
            worse = self._worsen(end, moment)
            if worse is None:
                return
            moment = worse
        if moment < peer.arrival:
            moment = peer.arrival
        peer.arrival = moment
        content = encode(order.head, order.payload) if self._settings.has_codec else (order.head, order.payload)
        self._agenda.at(moment, self._arrive, (peer, content))
        if self._lossy:
            self._disorder(peer, content, moment)

    # --- what becomes of it ----------------------------------------------------------------------

    def _connect(self, attempt: tuple[Endpoint, str, Dial]) -> None:
        boot, target, order = attempt
        if self._up.get(boot.host) is not boot:
            return
        other = self._up.get(target)
        if other is None and target in self._powered:
            boot.feed(DialFailed(order.member, "refused"))
        elif other is None or other.is_suspended or self._is_lost_between(boot.host, target):
            self._fail_late(boot, order)
        elif other.key != order.key:
            boot.feed(DialFailed(order.member, "it has another key"))
        elif other.denied is None or boot.key in other.denied:
            boot.feed(DialFailed(order.member, "it lets nobody in yet" if other.denied is None else "not let in"))
        else:
            near, far = End(boot, boot.next_link()), End(other, other.next_link())
            near.peer, far.peer = far, near
            boot.links[near.number], other.links[far.number] = near, far
            near.arrival = self._agenda.now + self._latency(boot, other)
            self._agenda.at(near.arrival, self._opened, (near, order.member))
            far.is_announced = True
            other.feed(LinkOpened(far.number, boot.key))

    def _opened(self, dialled: tuple[End, str]) -> None:
        end, member = dialled
        if end.is_open:
            end.is_announced = True
            end.boot.feed(LinkOpened(end.number, end.peer.boot.key, member))
        else:
            end.boot.feed(DialFailed(member, "closed at once"))

    def _fail_late(self, boot: Endpoint, order: Dial) -> None:
        self._agenda.after(self._settings.dial_timeout, boot.feed, DialFailed(order.member, "no answer"))

    def _arrive(self, frame: tuple[End, tuple[Head, bytes] | bytes]) -> None:
        end, content = frame
        if not end.is_open:
            self.lost += 1
            # Whoever runs there now knows of no such connection.
            if end.boot.host in self._powered:
                self._tell_closed(end)
        elif isinstance(content, tuple):
            end.boot.feed(Received(end.number, *content))
        else:
            try:
                event: Event = Received(end.number, *decode(content))
            except RemoteProtocolError as error:
                event = Malformed(end.number, error.code, str(error))
            end.boot.feed(event)

    def _tell_closed(self, end: End) -> None:
        """Word of a closed side goes to the other one, behind what was sent before."""
        peer = end.peer
        if peer.is_open and not self._is_cut(end.boot.host, peer.boot.host):
            moment = max(self._agenda.now + self._latency(end.boot, peer.boot), peer.arrival)
            self._agenda.at(moment, self._close, (peer, "closed by the other side"))

    def _close(self, closing: tuple[End, str]) -> None:
        end, reason = closing
        if end.is_open:
            end.is_open = False
            del end.boot.links[end.number]
            if end.is_announced:
                end.boot.feed(LinkClosed(end.number, reason))

    def _worsen(self, end: End, moment: float) -> float | None:
        lossy, rng = self._lossy[-1], self._rng
        if rng.random() >= lossy.loss:
            return moment
        if rng.random() < lossy.breaks:
            self.lost += 1
            for side in (end, end.peer):
                self._agenda.after(rng.uniform(*RESENT), self._close, (side, "broken"))
            return None
        return moment + rng.uniform(*RESENT)

    def _disorder(self, peer: End, content: tuple[Head, bytes] | bytes, moment: float) -> None:
        lossy, rng = self._lossy[-1], self._rng
        if lossy.duplicates and rng.random() < lossy.duplicates:
            self._agenda.at(moment + OVERTAKEN * rng.random(), self._arrive, (peer, content))
        if lossy.reorders and rng.random() < lossy.reorders:
            # This frame holds its place; those that follow are free to overtake it.
            peer.arrival = self._agenda.now

    def _latency(self, boot: Endpoint, other: Endpoint | None) -> float:
        return boot.latency + (other.latency if other is not None else boot.latency) + self._settings.jitter / 2

    def links(self) -> set[tuple[str, str]]:
        """(machine, machine) of each connection that is open at both ends, each end's node knowing of it."""
        return {
            (end.boot.host, end.peer.boot.host)
            for boot in self._up.values()
            for end in boot.links.values()
            if end.is_announced and end.peer.is_open and end.peer.is_announced
        }

    # --- faults ----------------------------------------------------------------------------------

    def begin(self, fault: Partition | Cut | Undialable | Lossy) -> None:
        """Let the network fail from now on."""
        match fault:
            case Partition():
                sides = {member: side for side, members in enumerate(fault.sides) for member in members}
                self._walls.append((fault, sides))
            case Cut():
                self._cuts.append(fault)
            case Undialable():
                self._undialable.append(fault)
            case Lossy():
                self._lossy.append(fault)
        if isinstance(fault, Partition | Cut) and fault.closes_after is not None:
            self._agenda.after(min(fault.closes_after, fault.seconds), self._notice)

    def end(self, fault: Partition | Cut | Undialable | Lossy) -> None:
        """That fault is over."""
        match fault:
            case Partition():
                self._walls = [wall for wall in self._walls if wall[0] is not fault]
            case Cut():
                self._cuts.remove(fault)
            case Undialable():
                self._undialable.remove(fault)
            case Lossy():
                self._lossy.remove(fault)

    def reset(self, host: str) -> None:
        """Close all connections of a machine."""
        boot = self._up.get(host)
        for end in list(boot.links.values()) if boot is not None else ():
            self._close((end, "reset"))
            self._close((end.peer, "reset"))

    def _notice(self, _: object) -> None:
        """Both ends of each connection across a cut give it up."""
        for boot in list(self._up.values()):
            for end in list(boot.links.values()):
                if self._is_lost_between(boot.host, end.peer.boot.host):
                    self._close((end, "timed out"))
                    self._close((end.peer, "timed out"))

    def _is_cut(self, source: str, target: str) -> bool:
        for _, sides in self._walls:
            near, far = sides.get(source), sides.get(target)
            if near is not None and far is not None and near != far:
                return True
        return any(cut.source == source and cut.target == target for cut in self._cuts)

    def _is_lost_between(self, one: str, other: str) -> bool:
        return self._is_cut(one, other) or self._is_cut(other, one)
