"""What the router tells the node: messages with their senders, signs of life, links made and lost."""

from __future__ import annotations

from typing import Protocol

import msgspec

from distevo.messages import Head, Hello, Welcome
from distevo.path import Path


class Delivery(msgspec.Struct, frozen=True):
    """A message that came, and whose it is."""

    sender: str
    boot: str
    """The sender's; always the one that the plan shows."""
    head: Head
    payload: bytes
    path: Path
    """How it came."""
    is_fresh: bool = True
    """A sign of life now. False for mail that may have lain there for minutes."""


class Listener(Protocol):
    """What the node learns from the router. Each of these may send, and `delivered` may `follow` too."""

    def delivered(self, delivery: Delivery, now: float) -> None:
        """A message came."""

    def alive(self, member: str, boot: str, path: Path, now: float) -> None:
        """A sign of life that was no message for us: something to be relayed, or a box with nothing in it for us."""

    def linked(self, greeting: Hello | Welcome, now: float) -> None:
        """A link with `greeting.member` is open, and there was none."""

    def unlinked(self, member: str, boot: str, is_evidence: bool, behind: list[str], now: float) -> None:
        """The link with the member is gone.

        `is_evidence`: of its death, since we wished for the link and did not hang up. `behind`: who was heard through
        the member last, and has to be given time to be heard in another way.
        """

    def stranger(self, key: str, boot: str, now: float) -> None:
        """Somebody whom the plan does not show (or not with that boot) waits to be taken in: look at the inbox."""
