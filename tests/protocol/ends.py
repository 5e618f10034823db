"""One router under test, and its links in the hands of the test, which says on them whatever it likes."""

from __future__ import annotations

from typing import Any

from distevo.contact import Contact
from distevo.events import DialFailed, LinkClosed, LinkOpened, Malformed, Received
from distevo.instructions import HangUp, Instruction, Send
from distevo.link import LinkState
from distevo.messages import VERSION, Code, Command, ErrorReport, Head, Hello, Welcome
from tests.protocol.network import CLUSTER, HEARTBEAT, Member, boot_of, contact, key_of

A, B, C = "a", "b", "c"
OTHER_BOOT = "beef"


class End:
    """The router of `a`, and us at the other end of its links, saying whatever we like."""

    def __init__(self, *members: str, plan: bool = True) -> None:
        self.a = Member(A)
        self.now = 0.0
        self.out: list[Instruction] = []
        self.contacts = {member: contact(member, is_dialable=False) for member in members or (B,)}
        if plan:
            self.follow()

    def follow(self, *without: str, boot: str | None = None, key: str | None = None, denied: str = "") -> None:
        """The plan shows all members but these; and of `b` another boot or key, if they are given."""
        shown = {member: entry for member, entry in self.contacts.items() if member not in without}
        if boot or key:
            shown[B] = Contact(boot or boot_of(B), key or key_of(B), shown[B].endpoints if B in shown else ())
        self.contacts = shown
        self.a.router.follow(shown, [denied] if denied else [], CLUSTER, self.now)
        self.out += self.a.step(self.now)

    def dials(self, member: str = B) -> None:
        """From now on `a` can dial the member."""
        self.contacts = self.contacts | {member: contact(member)}
        self.follow()

    def event(self, event: LinkOpened | LinkClosed | DialFailed | Received | Malformed) -> list[Instruction]:
        self.out += (out := self.a.step(self.now, event))
        return out

    def opened(
        self, link: int, member: str = B, *, is_dialled: bool = False, key: str | None = None
    ) -> list[Instruction]:
        return self.event(LinkOpened(link, key or key_of(member), member if is_dialled else None))

    def says(self, link: int, head: Head, payload: bytes = b"") -> list[Instruction]:
        return self.event(Received(link, head, payload))

    def hello(self, link: int, member: str = B, boot: str | None = None, **changes: object) -> list[Instruction]:
        fields: dict[str, Any] = {
            "versions": [VERSION],
            "cluster": CLUSTER,
            "member": member,
            "boot": boot or boot_of(member),
            "incarnation": 0,
            "heartbeat_interval": HEARTBEAT,
        }
        return self.says(link, Hello(**(fields | changes)))

    def welcome(self, link: int, member: str = B, boot: str | None = None, **changes: object) -> list[Instruction]:
        fields: dict[str, Any] = {
            "version": VERSION,
            "cluster": CLUSTER,
            "member": member,
            "boot": boot or boot_of(member),
            "incarnation": 0,
            "heartbeat_interval": HEARTBEAT,
        }
        return self.says(link, Welcome(**(fields | changes)))

    def accepted(self, link: int, member: str = B) -> None:
        """An open link that the member dialled."""
        self.opened(link, member)
        self.hello(link, member)
        assert self.state(link) is LinkState.OPEN

    def wait(self, seconds: float) -> list[Instruction]:
        self.now += seconds
        self.out += (out := self.a.step(self.now))
        return out

    def state(self, link: int) -> LinkState | None:
        """None once it is forgotten."""
        known = self.a.all_links().get(link)
        return known.state if known else None


def hung_up(out: list[Instruction]) -> list[int]:
    return [instruction.link for instruction in out if isinstance(instruction, HangUp)]


def errors(out: list[Instruction]) -> list[Code]:
    reports = [i.head for i in out if isinstance(i, Send) and isinstance(i.head, ErrorReport)]
    return [Code(report.code) for report in reports]


def heads(out: list[Instruction]) -> list[Command]:
    return [i.head.command for i in out if isinstance(i, Send)]
