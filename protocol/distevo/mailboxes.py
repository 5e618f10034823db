"""Mail that comes in: reading the boxes of members who can be heard in no other way.

A reader asks for the next number of each such mailbox once in an interval. Where to begin, a list of the mailbox tells
first; and again whenever no box was found for so long that the next may have come and gone. So a mailbox that stays
silent costs one listing in RELIST_SECONDS beside the reads, and one in which boxes are found costs none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from distevo.alarms import Alarms, Clock
from distevo.box import decode_box
from distevo.codec import decode_inner
from distevo.errors import ObjectError, ObjectVersionError, RemoteProtocolError
from distevo.events import Outcome, StoreAnswer
from distevo.mail import MAIL_KEEP_SECONDS
from distevo.messages import Command, Head
from distevo.names import mail_name, mailbox
from distevo.outbox import Outbox
from distevo.path import PathKind

RELIST_SECONDS = MAIL_KEEP_SECONDS / 2
"""A reader that found no box for longer lists again: a box that it missed may be gone, and the next number with it."""
LONGEST_MAIL_INTERVAL = 120.0
"""Seconds, on every platform: that a look in vain is followed by another, and not by a listing. What a listing shows is
no sign of life."""

_LONGEST_NUMBER = 16
_NOT_BY_MAIL = {Command.HELLO, Command.WELCOME}


OnBox = Callable[[str, str, float], None]
OnLetter = Callable[[str, str, Head, bytes, bool, float], None]


class _Mailbox(msgspec.Struct):
    boot: str
    next: int = 0
    """Number of the next box; 0 until the mailbox was listed."""
    fresh_from: int = 0
    """Lower ones were there when the mailbox was listed, nobody knows for how long."""
    known_at: float = 0.0
    """When a box was found or the mailbox was listed last. A box that is missing may also be one that is gone already,
    after a pause or while the store was away, so that its absence does not show that `next` is right."""
    is_busy: bool = False


class Mailboxes:
    """Reads others' boxes for one boot of one member."""

    def __init__(
        self,
        me: str,
        boot: str,
        mail_interval: float,
        outbox: Outbox,
        counts: Counter[str],
        *,
        heard_by: Callable[[str, float], PathKind],
        on_box: OnBox,
        on_letter: OnLetter,
    ) -> None:
        """`heard_by` tells how a member is heard, as far as links go; only if MAIL its mailbox is looked at.

        `on_box(member, boot, now)` tells of a fresh box, whatever it holds: a sign of life of its owner.
        `on_letter(member, boot, head, payload, is_fresh, now)` brings a message for us.

        Raises ValueError for an interval that keeps nobody alive.
        """
        if not 0 < mail_interval <= LONGEST_MAIL_INTERVAL:
            raise ValueError(f"mail every {mail_interval:g} s: at most {LONGEST_MAIL_INTERVAL:g} s keep members alive")
        self._me, self._boot, self._interval, self._outbox, self._counts = me, boot, mail_interval, outbox, counts
        self._heard_by, self._on_box, self._on_letter = heard_by, on_box, on_letter
        self._boxes: dict[str, _Mailbox] = {}
        self._alarms: Alarms[str] = Alarms()
        """When each mailbox is looked at next."""
        self.clock: Clock = self._alarms.next_deadline
        """When `tick` has something to do."""

    def watch(self, member: str, boot: str, at: float) -> None:
        """Look at this mailbox from `at` on, or sooner, whenever its owner is heard in no other way."""
        box = self._boxes.get(member)
        if box is None or box.boot != boot:
            self._boxes[member] = box = _Mailbox(boot)
            self._alarms.cancel(member)
        if not box.is_busy:
            self._alarms.bring(member, at)

    def forget(self, member: str) -> None:
        """Look no more."""
        self._boxes.pop(member, None)
        self._alarms.cancel(member)

    def tick(self, now: float) -> None:
        """Look where it is time to."""
        while (member := self._alarms.due(now)) is not None:
            box = self._boxes[member]
            kind = self._heard_by(member, now)
            if kind is PathKind.VIA:
                self._alarms.set(member, now + self._interval)
            elif kind is PathKind.MAIL or box.next:
                # If there was mail before the link, what it wrote last is fetched too.
                self._look(member, box, now)

    def _look(self, member: str, box: _Mailbox, now: float) -> None:
        box.is_busy = True
        if box.next == 0 or now - box.known_at > RELIST_SECONDS:
            self._counts["mail_lists"] += 1
            self._outbox.list(mailbox(member, box.boot), partial(self._listed, member, box))
        else:
            self._counts["mail_reads"] += 1
            self._outbox.read(mail_name(member, box.boot, box.next), partial(self._answered, member, box))

    def _listed(self, member: str, box: _Mailbox, answer: StoreAnswer, now: float) -> None:
        if self._boxes.get(member) is not box:
            return
        numbers = _numbers(mailbox(member, box.boot), answer.names)
        unread = [number for number in numbers if number >= box.next]
        # The newest is never deleted: where there is none, none was ever written.
        box.next = min(unread, default=max(box.next, 1))
        box.fresh_from = max(unread, default=0) + 1
        box.known_at = now
        if unread:
            self._look(member, box, now)
        else:
            self._rest(member, box, now)

    def _answered(self, member: str, box: _Mailbox, answer: StoreAnswer, now: float) -> None:
        if self._boxes.get(member) is not box:
            return
        if answer.outcome is Outcome.MISSING:
            self._rest(member, box, now)
            return
        box.known_at = now
        box.next += 1
        self._open(member, box, answer.data, now)
        if self._boxes.get(member) is box:
            self._look(member, box, now)

    def _rest(self, member: str, box: _Mailbox, now: float) -> None:
        box.is_busy = False
        if self._heard_by(member, now) is not PathKind.DIRECT:
            self._alarms.set(member, now + self._interval)

    def _open(self, member: str, box: _Mailbox, data: bytes, now: float) -> None:
        number = box.next - 1
        try:
            letters = decode_box(member, box.boot, number, data)
        except ObjectError as error:
            self._counts["mail_newer" if isinstance(error, ObjectVersionError) else "mail_damaged"] += 1
            self._outbox.log("warning", "a box of mail is skipped", member=member, number=number, reason=str(error))
            return
        self._counts["boxes_read"] += 1
        is_fresh = number >= box.fresh_from
        if is_fresh:
            self._on_box(member, box.boot, now)
        for letter in letters:
            if (letter.to, letter.boot) != (self._me, self._boot):
                continue
            try:
                head, payload = decode_inner(letter.frame)
            except RemoteProtocolError:
                self._counts["malformed"] += 1
                continue
            if head.command in _NOT_BY_MAIL:
                self._counts["unexpected"] += 1
            elif is_fresh or head.command is not Command.HEARTBEAT:
                # An old heartbeat says nothing; other messages of old are still worth having.
                self._on_letter(member, box.boot, head, payload, is_fresh, now)
            if self._boxes.get(member) is not box:
                return  # what the letter said has made us forget its sender


def _numbers(prefix: str, names: Iterable[str]) -> list[int]:
    """Numbers of boxes among the names of a mailbox, where something foreign may lie too."""
    texts = [name.removeprefix(prefix) for name in names]
    return [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER]
