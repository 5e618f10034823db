"""Routing: everything between what the node says to a member and the links and the store.

The node names whom a message is for; the router takes the direct link, else one relay, else mail. What comes in it
hands over with the sender that the path vouches for: the owner of the link, whom a relay stamped from its own link,
or the owner of the mailbox. It relays for others, by one hop and never two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import partial

from distevo.alarms import Clock
from distevo.beats import Beats
from distevo.codec import decode_inner, encode
from distevo.contact import FAR, Contact, wished
from distevo.errors import LocalProtocolError, RemoteProtocolError
from distevo.events import DialFailed, LinkClosed, LinkOpened, Malformed, Received
from distevo.instructions import Send
from distevo.link import Link
from distevo.links import Links
from distevo.listener import Delivery, Listener
from distevo.mail import GATHER_SECONDS, Mail
from distevo.mailboxes import Mailboxes
from distevo.messages import MAX_TEXT_BYTES, Code, Command, ErrorReport, Forward, Head, Hello, Welcome
from distevo.outbox import Outbox
from distevo.path import DIRECT, MAIL, NONE, Path, PathKind
from distevo.routes import Routes

MAIL_PATIENCE_SECONDS = 5.0
"""Two members have so long to make a link; then they send heartbeats on other paths and look for each other's mail."""
LOOK_SECONDS = MAIL_PATIENCE_SECONDS + 1.0
"""The look comes after the heartbeats: where they pass through a relay there is none."""
FRESH_INTERVALS = 3
"""Who was heard through a relay within so many heartbeat intervals needs no look into the mailbox."""

NetworkEvent = LinkOpened | DialFailed | LinkClosed | Received | Malformed

_NOT_INSIDE = {Command.HELLO, Command.WELCOME}


class Router:
    """Sends and receives for one boot of one member.

    Whoever drives it calls `tick` after every event, `due_heartbeats` before, and again at `next_deadline`.
    """

    def __init__(
        self,
        me: str,
        boot: str,
        key: str,
        outbox: Outbox,
        heartbeat_interval: float,
        mail_interval: float,
        hello: Callable[[], Hello],
        welcome: Callable[[int], Welcome],
        listener: Listener,
        *,
        is_dialable: bool,
    ) -> None:
        """`hello()` and `welcome(version)` make our greetings. `is_dialable`: whether we publish endpoints."""
        self._me, self._outbox, self._listener = me, outbox, listener
        self._heartbeat_interval = heartbeat_interval
        self._now = 0.0
        self._contacts: dict[str, Contact] = {}
        self._denied: frozenset[str] = frozenset()
        self._cluster, self._rank, self._is_known = "", FAR, True
        self._wanted: frozenset[str] = frozenset()
        self._wished: dict[str, Contact] = {}
        self._held: list[Callable[[], None]] | None = None
        """What the node is told when all links are judged by the new plan."""
        self._counts: Counter[str] = Counter()
        self._sent = [0] * (max(Command) + 1)
        self._received = [0] * (max(Command) + 1)
        self._links = Links(
            me,
            key,
            is_dialable,
            outbox,
            self._counts,
            hello,
            welcome,
            on_open=self._opened,
            on_close=self._closed,
            on_message=self._message,
            on_stranger=listener.stranger,
        )
        self._open = self._links.open
        self._routes = Routes(self._links)
        # Early enough for a heartbeat to lie in the next box.
        self._mail_beat = max(mail_interval - GATHER_SECONDS, mail_interval / 2)
        self._beats = Beats(self._beat_interval, min(heartbeat_interval, self._mail_beat))
        self._mail = Mail(me, boot, mail_interval, outbox, self._counts)
        self._mailboxes = Mailboxes(
            me,
            boot,
            mail_interval,
            outbox,
            self._counts,
            heard_by=self._heard_by,
            on_box=lambda member, boot, now: listener.alive(member, boot, MAIL, now),
            on_letter=self._letter,
        )
        self.clocks: tuple[Clock, ...] = (
            *self._links.clocks,
            self._beats.next_deadline,
            self._mail.next_deadline,
            self._mailboxes.clock,
        )
        """When `tick` or `due_heartbeats` has something to do: at the earliest of these."""

    # --- what the node says ----------------------------------------------------------------------

    def follow(
        self,
        contacts: Mapping[str, Contact],
        denied: Collection[str],
        cluster: str,
        now: float,
        rank: int = FAR,
        is_known: bool = True,
    ) -> None:
        """Take over what the plan says of the others; `rank` is our own, `is_known` whether the plan shows us."""
        self._now = now
        denied = frozenset(denied)
        new, known = (denied, cluster, rank, is_known), (self._denied, self._cluster, self._rank, self._is_known)
        if contacts == self._contacts and new == known:
            return
        old, self._contacts = self._contacts, dict(contacts)
        self._denied, self._cluster, self._rank, self._is_known = new
        for member, contact in old.items():
            if member not in contacts or contacts[member].boot != contact.boot:
                self._mail.take(member)
                self._beats.drop(member)
        self._routes.follow(self._contacts)
        held: list[Callable[[], None]] = []
        self._held = held
        self._links.follow(self._contacts, denied, cluster, now, is_known)
        self._held = None
        self._aim(now)
        for tell in held:
            tell()

    def want(self, members: Collection[str], now: float) -> None:
        """Be linked with these members too, however large the cluster is: with whom our islands exchange programs.

        In a large cluster both ends have to want each other to find each other's mail.
        """
        self._now = now
        if (wanted := frozenset(members)) != self._wanted:
            self._wanted = wanted
            self._aim(now)

    def send(self, to: str, head: Head, payload: bytes, now: float) -> Path:
        """Send a message on the best path; returns which. It may be lost on any of them.

        Raises LocalProtocolError for a message to ourselves and, where it has to be encoded, as `codec.encode` does.
        """
        self._now = now
        link = self._open.get(to)
        if link is not None:
            self._outbox.emit(Send(link.number, head, payload))
            path = DIRECT
        elif to in self._contacts:
            path = self._send_round(to, head, payload, now)
        elif to == self._me:
            raise LocalProtocolError(f"a {head.command.name} for ourselves")
        else:
            self._counts["unroutable"] += 1
            return NONE
        self._sent[head.command] += 1
        if head.command is Command.HEARTBEAT:
            self._beats.sent[to] = now
        return path

    def path(self, to: str) -> Path:
        """How a message would travel now."""
        if to in self._open:
            return DIRECT
        return self._routes.path(to, self._now) if to in self._contacts else NONE

    def is_linked(self, to: str) -> bool:
        """Whether there is a direct link."""
        return to in self._open

    def links(self) -> dict[str, int]:
        """The number of the open link with each member that has one."""
        return {member: link.number for member, link in self._open.items()}

    def finish(self) -> None:
        """Write the last box of mail, without waiting for the interval."""
        self._mail.finish()

    @property
    def is_finished(self) -> bool:
        """Whether no mail waits any more."""
        return self._mail.is_finished

    def hang_up(self, member: str, now: float) -> None:
        """A member counts as dead. A link with it may be half open: who was reached through it needs another path."""
        self._now = now
        self._links.hang_up(member, now)

    def refuse(self, delivery: Delivery, code: int, reason: str, now: float) -> None:
        """A message that came cannot be used, as only its reader could see: tell its sender. Over a link of its own it
        is a fault like any other, of which only so many are answered; what a newer distevo has written is none."""
        self._now = now
        sender, head = delivery.sender, delivery.head
        link = self._open.get(sender)
        if delivery.path.kind is PathKind.DIRECT and link is not None and code != Code.VERSION:
            self._links.unreadable(link, head, (Code(code), reason), now)
        else:
            self._counts["newer" if code == Code.VERSION else "malformed"] += 1
            self.send(sender, ErrorReport(code=code, reason=reason[:MAX_TEXT_BYTES], about=head.command), b"", now)

    def relay(self, member: str) -> str | None:
        """Through whom a member without a link was heard, as long as that is the path to it."""
        return None if member in self._open else self._routes.proven(member)

    def give_up(self, relay: str, now: float) -> list[str]:
        """A relay seems lost, though its link is open: find other paths. Whom it was the path to and from."""
        self._now = now
        behind = self._routes.give_up(relay, now)
        self._expect(behind, now)
        return behind

    def peers(self) -> list[str]:
        """Who is owed heartbeats: those whom we want links with, and those who have one with us."""
        return list(dict.fromkeys([*self._wished, *self._open]))

    def due_heartbeats(self, now: float) -> list[str]:
        """Which of them were sent no heartbeat for as long as their path allows. Each is named once an interval."""
        self._now = now
        return self._beats.due(now)

    def has_unsent_beat(self, to: str) -> bool:
        """Whether a heartbeat to it waits for the next box of mail."""
        return self._mail.has(to, Command.HEARTBEAT)

    def counts(self) -> dict[str, int]:
        """What happened so far, for metrics."""
        counts = self._counts.copy()
        for command in Command:
            counts[f"sent_{command.name.lower()}"] += self._sent[command]
            counts[f"received_{command.name.lower()}"] += self._received[command]
        return counts

    # --- what happens ----------------------------------------------------------------------------

    def handle(self, event: NetworkEvent, now: float) -> None:
        """Take an event in."""
        self._now = now
        match event:
            case Received():
                self._links.received(event.link, event.head, event.payload, now)
            case LinkOpened():
                self._links.connected(event, now)
            case LinkClosed():
                self._links.closed(event, now)
            case DialFailed():
                self._links.dial_failed(event, now)
            case Malformed():
                self._links.malformed(event, now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._now = now
        self._links.tick(now)
        self._mailboxes.tick(now)
        if self._mail.is_due(now):
            for to in self._mail.receivers():
                # Not through a relay that was never tried: what has waited so long should not be lost there.
                if to in self._open or (self.path(to).kind is PathKind.VIA and self._routes.proven(to) is not None):
                    self._send_waiting(to)
        self._mail.tick(now)

    def next_deadline(self) -> float:
        """When `tick` or `due_heartbeats` has something to do."""
        return min(ask() for ask in self.clocks)

    # --- sending ---------------------------------------------------------------------------------

    def _send_round(self, to: str, head: Head, payload: bytes, now: float) -> Path:
        path = self._routes.path(to, now)
        if path.via is not None:
            self._forward(path.via, to, encode(head, payload))
        else:
            self._mail.put(to, self._contacts[to].boot, head, payload, now)
        return path

    def _forward(self, via: str, to: str, frame: bytes) -> None:
        self._sent[Command.FORWARD] += 1
        self._outbox.emit(Send(self._open[via].number, Forward(to=to), frame))

    def _send_waiting(self, to: str) -> None:
        """Send what waits for the next box of mail on the better path that there is now."""
        for frame in self._mail.take(to):
            link = self._open.get(to)
            if link is not None:
                self._outbox.emit(Send(link.number, *decode_inner(frame)))
            elif (via := self.path(to).via) is not None:
                self._forward(via, to, frame)

    # --- receiving -------------------------------------------------------------------------------

    def _message(self, link: Link, head: Head, payload: bytes, now: float) -> None:
        self._received[head.command] += 1
        if isinstance(head, Forward):
            self._forwarded(link, head, payload, now)
        elif isinstance(head, ErrorReport) and head.code == Code.UNREACHABLE:
            self._listener.alive(link.member, link.boot, DIRECT, now)
            if head.target is not None and self._routes.refused(head.target, link.member, now):
                self._counts["forwards_refused"] += 1
                self._expect([head.target], now)
        else:
            self._listener.delivered(Delivery(link.member, link.boot, head, payload, DIRECT), now)

    def _forwarded(self, link: Link, head: Forward, frame: bytes, now: float) -> None:
        if head.to == self._me:
            self._unpack(link, head, frame, now)
            return
        if head.origin is not None or head.to == link.member:
            self._links.unexpected(link, head, "a FORWARD travels by one relay, and not back", now)
            return
        self._listener.alive(link.member, link.boot, DIRECT, now)
        target = self._open.get(head.to)
        if target is not None:
            self._counts["forwards_relayed"] += 1
            self._outbox.emit(Send(target.number, Forward(to=head.to, origin=link.member, boot=link.boot), frame))
            return
        self._counts["forwards_unreachable"] += 1
        self._outbox.emit(
            Send(
                link.number,
                ErrorReport(
                    code=Code.UNREACHABLE, reason="no link with it here", about=Command.FORWARD, target=head.to
                ),
            )
        )

    def _unpack(self, link: Link, head: Forward, frame: bytes, now: float) -> None:
        """Deliver what was relayed to us, as from whom the relay stamped. That is no sign of life of the relay."""
        origin = head.origin
        if origin is None or origin in {link.member, self._me}:
            self._links.unexpected(link, head, "a FORWARD that its relay has not stamped, or with itself", now)
            return
        contact = self._contacts.get(origin)
        if contact is None or contact.boot != head.boot:
            self._counts["forwards_of_strangers"] += 1
            return
        self._routes.heard(origin, link.member, now)
        try:
            inner, payload = decode_inner(frame)
        except RemoteProtocolError as error:
            # The sender's fault, and not the relay's.
            self._counts["malformed"] += 1
            self.send(origin, ErrorReport(code=error.code, reason=str(error)[:MAX_TEXT_BYTES]), b"", now)
            return
        if inner.command in _NOT_INSIDE:
            self._counts["unexpected"] += 1
            return
        self._received[inner.command] += 1
        path = Path(PathKind.VIA, link.member)
        self._listener.delivered(Delivery(origin, contact.boot, inner, payload, path), now)

    def _letter(self, member: str, boot: str, head: Head, payload: bytes, is_fresh: bool, now: float) -> None:
        self._received[head.command] += 1
        self._listener.delivered(Delivery(member, boot, head, payload, MAIL, is_fresh), now)

    # --- links -----------------------------------------------------------------------------------

    def _opened(self, link: Link, now: float) -> None:
        greeting = link.greeting
        assert greeting is not None, "a link opens with a greeting"
        self._beats.watch(link.member, now)
        self._send_waiting(link.member)
        self._tell(partial(self._listener.linked, greeting, now))

    def _closed(self, link: Link, was_cut: bool, now: float) -> None:
        member = link.member
        is_wished = member in self._wished
        if is_wished:
            # At once, through another: who has only lost this link should not be suspected of more.
            self._beats.expect(member, now)
            self._mailboxes.watch(member, link.boot, now + LOOK_SECONDS)
        else:
            self._beats.drop(member)
        behind = self._routes.behind(member)
        self._expect(behind, now)
        self._tell(partial(self._listener.unlinked, member, link.boot, was_cut and is_wished, behind, now))

    def _tell(self, news: Callable[[], None]) -> None:
        if self._held is None:
            news()
        else:
            self._held.append(news)

    def _aim(self, now: float) -> None:
        old, self._wished = self._wished, wished(self._me, self._rank, self._contacts, self._wanted)
        self._links.wish(self._wished, now)
        for member in old:
            if member not in self._wished:
                self._mailboxes.forget(member)
                if member not in self._open:
                    self._beats.drop(member)
        for member, contact in self._wished.items():
            if member not in old or old[member].boot != contact.boot:
                self._mailboxes.watch(member, contact.boot, now + LOOK_SECONDS)
                if member not in self._open:
                    self._beats.expect(member, now + MAIL_PATIENCE_SECONDS)

    def _expect(self, members: list[str], now: float) -> None:
        """Their relay is lost, and what was sent through it. Beats find the path that holds, before much else is lost
        too; and if they find no other relay either, mail is to be looked for before such a member is suspected."""
        for member in members:
            if member in self._wished:
                self._beats.expect(member, now)
                self._mailboxes.watch(member, self._contacts[member].boot, now + LOOK_SECONDS)

    def _heard_by(self, member: str, now: float) -> PathKind:
        if member in self._open:
            return PathKind.DIRECT
        is_heard = self._routes.is_heard(member, now - FRESH_INTERVALS * self._heartbeat_interval)
        return PathKind.VIA if is_heard else PathKind.MAIL

    def _beat_interval(self, member: str) -> float:
        return self._mail_beat if self.path(member).kind is PathKind.MAIL else self._heartbeat_interval
