"""Whatever happens on the links: no fault of ours, nothing delivered but its owner's, no word after a hang-up."""

from __future__ import annotations

from random import Random

import pytest

from distevo.codec import encode
from distevo.contact import Contact
from distevo.events import DialFailed, Event, LinkClosed, LinkOpened, Malformed, Received
from distevo.instructions import Dial, HangUp, Instruction, Send
from distevo.messages import VERSION, Code, Command, ErrorReport, Forward, Goodbye, Head, Hello, Welcome
from distevo.path import PathKind
from tests.protocol.network import CLUSTER, Member, heartbeat

IDS = ["a", "b", "c", "d"]
KEYS = ["key of a", "key of b", "key of c", "key of d", "key of nobody"]
BOOTS = ["b1", "b2"]


class Chaos:
    """A router among members that do and say anything, and the rules that hold for it all the same."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.now = rng, 0.0
        self.a = Member("a", is_dialable=rng.random() < 0.5, boot="b1")
        self.contacts: dict[str, Contact] = {}
        self.keys: dict[int, str] = {}
        """Of the links that are there."""
        self.dials: list[str] = []
        self.count = 0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.now += self.rng.choice([0.0, 0.0, 0.0, 0.1, 3.0, 20.0])
            what = self.rng.random()
            if what < 0.12:
                self.follow()
            elif what < 0.2:
                self.send()
            else:
                self.happens(self.event())

    def follow(self) -> None:
        rng = self.rng
        shown = [member for member in IDS[1:] if rng.random() < 0.8]
        self.contacts = {
            member: Contact(
                "b1" if rng.random() < 0.8 else "b2",
                f"key of {member}" if rng.random() < 0.9 else "key of nobody",
                ("tcp://x",) if rng.random() < 0.6 else (),
            )
            for member in shown
        }
        denied = [rng.choice(KEYS)] if rng.random() < 0.1 else []
        self.a.router.follow(self.contacts, denied, CLUSTER, self.now)
        self.check(self.a.step(self.now))

    def send(self) -> None:
        to = self.rng.choice(["b", "c", "d", "nobody"])
        path = self.a.router.send(to, Goodbye(), b"", self.now)
        assert (path.kind is PathKind.NONE) == (to not in self.contacts)
        self.check(self.a.step(self.now))

    def event(self) -> Event:
        rng = self.rng
        kind = rng.random()
        if kind < 0.2 or not self.keys:
            self.count += 1
            dialled = self.dials.pop() if self.dials and rng.random() < 0.7 else None
            key = f"key of {dialled}" if dialled and rng.random() < 0.9 else rng.choice(KEYS)
            self.keys[self.count] = key
            return LinkOpened(self.count, key, dialled)
        if kind < 0.25 and self.dials:
            return DialFailed(self.dials.pop(), "no")
        link = rng.choice(list(self.keys))
        if kind < 0.3:
            del self.keys[link]
            return LinkClosed(link)
        if kind < 0.35:
            return Malformed(link, Code.MALFORMED, "?")
        if kind < 0.37:
            # One that the router has hung up, with a message on its way.
            return Received(rng.randint(1, self.count), heartbeat())
        return Received(link, *self.message(self.keys[link]))

    def message(self, key: str) -> tuple[Head, bytes]:
        rng = self.rng
        owner = key.removeprefix("key of ")
        member = owner if rng.random() < 0.8 else rng.choice(IDS)
        boot = "b1" if rng.random() < 0.8 else "b2"
        cluster = CLUSTER if rng.random() < 0.9 else "c2"
        version = VERSION if rng.random() < 0.95 else VERSION + 1
        match rng.randrange(7):
            case 0 | 1:
                return Hello(
                    versions=[version],
                    cluster=cluster,
                    member=member,
                    boot=boot,
                    incarnation=0,
                    heartbeat_interval=1,
                ), b""
            case 2:
                return Welcome(
                    version=version, cluster=cluster, member=member, boot=boot, incarnation=0, heartbeat_interval=1
                ), b""
            case 3:
                origin = rng.choice([None, None, *IDS])
                inner = (
                    Goodbye()
                    if rng.random() < 0.8
                    else Hello(versions=[1], cluster="", member="b", boot="b1", incarnation=0, heartbeat_interval=1)
                )
                frame = encode(inner)[: None if rng.random() < 0.9 else -1]
                return Forward(to=rng.choice([*IDS, "nobody"]), origin=origin, boot=boot if origin else None), frame
            case 4:
                code = rng.choice([Code.UNREACHABLE, Code.NOT_YET_KNOWN, Code.DENIED])
                return ErrorReport(code=code, reason="", target=rng.choice([None, *IDS])), b""
        return heartbeat(), b""

    def happens(self, event: Event) -> None:
        came = len(self.a.came)
        key = self.keys.get(getattr(event, "link", 0))
        out = self.a.step(self.now, event)
        self.check(out)
        said = [i.head for i in out if isinstance(i, Send)]
        if isinstance(event, Received):
            if isinstance(event.head, ErrorReport):
                assert not any(isinstance(head, ErrorReport) for head in said), "an ERROR is never answered"
            if isinstance(event.head, Forward):
                relayed = [head for head in said if isinstance(head, Forward) and head.origin is not None]
                assert len(relayed) <= (event.head.origin is None)
        for delivery in self.a.came[came:]:
            assert isinstance(event, Received)
            contact = self.contacts[delivery.sender]
            assert delivery.boot == contact.boot
            assert delivery.head.command not in {Command.HELLO, Command.WELCOME, Command.FORWARD}
            bearer = delivery.sender if delivery.path.kind is PathKind.DIRECT else delivery.path.via
            assert bearer is not None
            assert self.contacts[bearer].key == key
            assert (delivery.path.kind is PathKind.VIA) == isinstance(event.head, Forward)

    def check(self, out: list[Instruction]) -> None:
        for instruction in out:
            if isinstance(instruction, Dial):
                contact = self.contacts[instruction.member]
                assert (contact.endpoints, contact.key) == (instruction.endpoints, instruction.key)
                self.dials.append(instruction.member)
            elif isinstance(instruction, HangUp):
                del self.keys[instruction.link]
            elif isinstance(instruction, Send):
                assert instruction.link in self.keys, "a word after the hang-up"
                encode(instruction.head, instruction.payload)
        assert set(self.a.all_links()) == set(self.keys)
        linked: set[str] = set()
        for what, member in self.a.told():
            assert (member in linked) == (what == "unlinked")
            linked ^= {member}
        assert linked == set(self.a.router._open) <= set(self.contacts)
        for member, link in self.a.router._open.items():
            assert self.contacts[member].key == self.keys[link.number]
            assert self.contacts[member].boot == link.boot
        assert self.a.next_deadline() > self.now, "nothing that is due is left undone"


@pytest.mark.parametrize("seed", range(60))
def test_the_rules_hold_whatever_happens(seed: int) -> None:
    Chaos(Random(seed)).run(300)
