"""A network of routers for tests: links, a store and a clock, all within one process and without faults of its own."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection
from random import Random
from typing import Any

from distevo.codec import decode, encode
from distevo.contact import FAR, Contact
from distevo.events import DialFailed, Event, LinkClosed, LinkOpened, Outcome, Received, StoreAnswer
from distevo.instructions import (
    CreateObject,
    DeleteObject,
    Dial,
    HangUp,
    Instruction,
    ListObjects,
    Log,
    ReadObject,
    Send,
)
from distevo.link import Link
from distevo.listener import Delivery
from distevo.messages import VERSION, Forward, Head, Heartbeat, Hello, Welcome
from distevo.outbox import Outbox
from distevo.path import Path
from distevo.routing import Router

CLUSTER = "c1"
HEARTBEAT, MAIL = 10.0, 15.0


def key_of(member: str) -> str:
    return f"key of {member}"


def boot_of(member: str) -> str:
    return member.encode().hex()[-16:]


def contact(member: str, is_dialable: bool = True, rank: int = FAR, boot: str | None = None) -> Contact:
    return Contact(boot or boot_of(member), key_of(member), (f"tcp://{member}",) if is_dialable else (), rank)


class Member:
    """A router, what it was told to do, and what it told."""

    def __init__(
        self,
        member: str,
        is_dialable: bool = True,
        *,
        boot: str | None = None,
        key: str | None = None,
        cluster: str = CLUSTER,
        versions: Collection[int] = (VERSION,),
    ) -> None:
        self.id, self.is_dialable, self.boot = member, is_dialable, boot or boot_of(member)
        self.key, self.cluster, self.versions = key or key_of(member), cluster, list(versions)
        self.outbox = Outbox()
        self.router = Router(
            member,
            self.boot,
            self.key,
            self.outbox,
            HEARTBEAT,
            MAIL,
            self.hello,
            self.welcome,
            self,
            is_dialable=is_dialable,
        )
        self.beats = False
        """Whether it sends the heartbeats that are due."""
        self.came: list[Delivery] = []
        self.signs: list[tuple[str, Path, float]] = []
        self.links: list[tuple[str, str, float]] = []
        """("linked" or "unlinked", member, when)."""
        self.evidence: list[tuple[str, bool, list[str]]] = []
        self.strangers: list[str] = []
        self.logs: list[Log] = []

    def hello(self) -> Hello:
        return Hello(
            versions=self.versions,
            cluster=self.cluster,
            member=self.id,
            boot=self.boot,
            incarnation=0,
            heartbeat_interval=HEARTBEAT,
        )

    def welcome(self, version: int) -> Welcome:
        return Welcome(
            version=version,
            cluster=self.cluster,
            member=self.id,
            boot=self.boot,
            incarnation=0,
            heartbeat_interval=HEARTBEAT,
        )

    # --- what the router tells ---

    def delivered(self, delivery: Delivery, now: float) -> None:
        self.came.append(delivery)

    def alive(self, member: str, boot: str, path: Path, now: float) -> None:
        self.signs.append((member, path, now))

    def linked(self, greeting: Hello | Welcome, now: float) -> None:
        self.links.append(("linked", greeting.member, now))

    def unlinked(self, member: str, boot: str, is_evidence: bool, behind: list[str], now: float) -> None:
        self.links.append(("unlinked", member, now))
        self.evidence.append((member, is_evidence, behind))

    def stranger(self, key: str, boot: str, now: float) -> None:
        self.strangers.append(key)

    # --- for tests ---

    def step(self, now: float, event: Event | None = None) -> list[Instruction]:
        if isinstance(event, StoreAnswer):
            self.outbox.answered(event, now)
        elif event is not None:
            self.router.handle(event, now)  # type: ignore[arg-type]
        # A heartbeat that a relay has refused is due again at once.
        for to in self.router.due_heartbeats(now):
            if self.beats:
                self.router.send(to, heartbeat(), b"", now)
        self.outbox.tick(now)
        self.router.tick(now)
        return self.outbox.take()

    def next_deadline(self) -> float:
        return min(self.router.next_deadline(), self.outbox.next_deadline())

    def all_links(self) -> dict[int, Link]:
        return self.router._links._links

    @property
    def counts(self) -> dict[str, int]:
        return Counter(self.router.counts())

    def told(self) -> list[tuple[str, str]]:
        return [(what, member) for what, member, _ in self.links]

    def heads(self) -> list[tuple[str, Head]]:
        return [(delivery.sender, delivery.head) for delivery in self.came]


def heartbeat(progress: int = 0) -> Heartbeat:
    return Heartbeat(incarnation=0, progress=progress, interval=HEARTBEAT)


class Net:
    """Runs members against each other; every message passes through the codec."""

    def __init__(self, *members: Member, rng: Random | None = None) -> None:
        """With `rng`, what happens at one moment happens in any order that keeps that of each link's messages."""
        self.now, self.rng = 0.0, rng
        self.members: dict[str, Member] = {}
        self.queue: deque[tuple[str, Event]] = deque()
        self.ends: dict[int, tuple[str, int]] = {}
        """Link -> (whose other end, that end's number)."""
        self.cuts: set[frozenset[str]] = set()
        """Pairs between which no link can be made."""
        self.store: dict[str, bytes] = {}
        self.is_store_away = False
        self.operations: list[tuple[float, str, Instruction]] = []
        self.sent: list[tuple[str, str, Head, bytes]] = []
        """(from, to, head, payload) of every message on a link."""
        self.dials: list[tuple[float, str, str]] = []
        self._links = 0
        for member in members:
            self.add(member)

    def add(self, member: Member) -> None:
        self.members[member.id] = member

    def plan(self, *without: str, ranks: dict[str, int] | None = None, denied: Collection[str] = ()) -> None:
        """All follow a plan that shows all but `without`."""
        shown = {
            member.id: contact(member.id, member.is_dialable, (ranks or {}).get(member.id, FAR), member.boot)
            for member in self.members.values()
            if member.id not in without
        }
        for member in self.members.values():
            self.follow(member.id, shown, denied, (ranks or {}).get(member.id, FAR))

    def follow(self, who: str, shown: dict[str, Contact], denied: Collection[str] = (), rank: int = FAR) -> None:
        member = self.members[who]
        contacts = {other: entry for other, entry in shown.items() if other != who}
        member.router.follow(contacts, denied, member.cluster, self.now, rank)
        self._do(member, member.step(self.now))

    def send(self, who: str, to: str, head: Head, payload: bytes = b"") -> Path:
        member = self.members[who]
        path = member.router.send(to, head, payload, self.now)
        self._do(member, member.step(self.now))
        return path

    def run(self, seconds: float = 0.0) -> None:
        """Let time pass. What happens at one moment happens in order, until nothing is left to do."""
        until = self.now + seconds
        while True:
            steps = 0
            while self.queue:
                steps += 1
                assert steps < 200_000, "messages beget messages without end"
                to, event = self._pick()
                if to in self.members:
                    member = self.members[to]
                    self._do(member, member.step(self.now, event))
            deadlines = [(member.next_deadline(), member.id) for member in self.members.values()]
            at, who = min(deadlines, default=(until + 1, ""))
            if at > until:
                self.now = until
                return
            before = (self.now, self.members[who].next_deadline())
            self.now = max(self.now, at)
            self._do(self.members[who], self.members[who].step(self.now))
            assert self.queue or (self.now, self.members[who].next_deadline()) != before, "a deadline that stays"

    def _pick(self) -> tuple[str, Event]:
        if self.rng is None:
            return self.queue.popleft()
        firsts: dict[tuple[str, int], int] = {}
        for index, (to, event) in enumerate(self.queue):
            firsts.setdefault((to, getattr(event, "link", 0)), index)
        index = self.rng.choice(list(firsts.values()))
        event = self.queue[index]
        del self.queue[index]
        return event

    def cut(self, one: str, other: str) -> None:
        """No link between the two any more."""
        self.cuts.add(frozenset((one, other)))
        for number, (far, far_number) in list(self.ends.items()):
            if far_number in self.ends and {self.ends[far_number][0], far} == {one, other}:
                self.drop(number)

    def heal(self, one: str, other: str) -> None:
        self.cuts.discard(frozenset((one, other)))

    def kill(self, who: str) -> None:
        """The member is gone without a word; its links close."""
        del self.members[who]
        for number, (far, _) in list(self.ends.items()):
            if far == who:
                self.drop(number)

    def drop(self, number: int) -> None:
        """The connection breaks: both ends see it."""
        if number in self.ends:
            far, far_number = self.ends.pop(number)
            near, _ = self.ends.pop(far_number)
            self.queue.append((far, LinkClosed(far_number, "broken")))
            self.queue.append((near, LinkClosed(number, "broken")))

    def connect(self, who: str, to: str) -> int:
        """Make a connection; the number of its end at `who`."""
        self._links += 2
        number, far_number = self._links, self._links + 1
        self.ends[number], self.ends[far_number] = (to, far_number), (who, number)
        self.queue.append((who, LinkOpened(number, self.members[to].key, to)))
        self.queue.append((to, LinkOpened(far_number, self.members[who].key)))
        return number

    def _do(self, member: Member, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            self._carry_out(member, instruction)

    def _carry_out(self, member: Member, instruction: Any) -> None:
        match instruction:
            case Dial(to, endpoints, key):
                assert endpoints, "nowhere to dial"
                self.dials.append((self.now, member.id, to))
                target = self.members.get(to)
                if target is None or target.key != key or frozenset((member.id, to)) in self.cuts:
                    self.queue.append((member.id, DialFailed(to, "nobody answers")))
                else:
                    self.connect(member.id, to)
            case HangUp(number):
                if number in self.ends:
                    far, far_number = self.ends.pop(number)
                    del self.ends[far_number]
                    self.queue.append((far, LinkClosed(far_number, "hung up")))
            case Send(number, head, payload):
                if number in self.ends:
                    far, far_number = self.ends[number]
                    self.sent.append((member.id, far, head, payload))
                    self.queue.append((far, Received(far_number, *decode(encode(head, payload)))))
            case Log():
                member.logs.append(instruction)
            case _:
                self.operations.append((self.now, member.id, instruction))
                self.queue.append((member.id, self._operate(instruction)))

    def _operate(self, instruction: Any) -> StoreAnswer:
        op = instruction.op
        if self.is_store_away:
            return StoreAnswer(op, Outcome.UNAVAILABLE, reason="away")
        match instruction:
            case ReadObject(_, name):
                if name not in self.store:
                    return StoreAnswer(op, Outcome.MISSING)
                return StoreAnswer(op, Outcome.DONE, self.store[name])
            case CreateObject(_, name, data):
                if name in self.store:
                    return StoreAnswer(op, Outcome.CONFLICT)
                self.store[name] = data
                return StoreAnswer(op, Outcome.DONE)
            case ListObjects(_, prefix):
                return StoreAnswer(op, Outcome.DONE, names=tuple(sorted(n for n in self.store if n.startswith(prefix))))
            case DeleteObject(_, name):
                self.store.pop(name, None)
                return StoreAnswer(op, Outcome.DONE)
        raise AssertionError(instruction)

    def linked(self) -> set[tuple[str, str]]:
        """Who holds an open link with whom, as each end sees it."""
        return {(member.id, other) for member in self.members.values() for other in member.router._open}

    def forwards(self) -> list[tuple[str, str, Forward]]:
        return [(near, far, head) for near, far, head, _ in self.sent if isinstance(head, Forward)]
