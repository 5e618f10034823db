"""The links of one member: greetings, whose each link is, and which of two is kept. `link` has the table of states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping

from distevo.alarms import Alarms, Clock
from distevo.contact import Contact
from distevo.dialling import Dialler
from distevo.events import DialFailed, LinkClosed, LinkOpened, Malformed
from distevo.instructions import HangUp, Send
from distevo.link import CROSSING_SECONDS, GREETING_SECONDS, STRANGER_SECONDS, Link, LinkEvent, LinkState
from distevo.messages import MAX_TEXT_BYTES, Code, Command, ErrorReport, Head, Hello, Welcome
from distevo.outbox import Outbox

MAX_WAITING = 1024
"""Most links that are not open at a time; with more, whoever dials is hung up on."""
MAX_RETIRED = 1024
"""Boots that the plan has replaced, remembered so that a late one is not taken for a new one."""
SURPLUS_SECONDS = 120.0
"""A link that we dialled and need no longer stays so long: what was needed once often is again."""

_GREETINGS = (Command.HELLO, Command.WELCOME)
_OPEN, _MESSAGE = LinkState.OPEN, LinkEvent.MESSAGE  # bound once: looking them up costs as much as a step

Fault = tuple[Code, str]


class Links:
    """All links of one member. A link that was hung up is forgotten: whatever still comes over it is dropped."""

    def __init__(
        self,
        me: str,
        key: str,
        is_dialable: bool,
        outbox: Outbox,
        counts: Counter[str],
        hello: Callable[[], Hello],
        welcome: Callable[[int], Welcome],
        *,
        on_open: Callable[[Link, float], None],
        on_close: Callable[[Link, bool, float], None],
        on_message: Callable[[Link, Head, bytes, float], None],
        on_stranger: Callable[[str, str, float], None],
    ) -> None:
        """`on_open` tells of the first open link with a member and `on_close` of the last, and whether the other end
        or the network ended it; `on_stranger` tells of a key, or a boot, that the plan does not show."""
        self._me, self._key, self._outbox, self._counts = me, key, outbox, counts
        self._hello, self._welcome = hello, welcome
        self._on_open, self._on_close, self._on_message, self._on_stranger = on_open, on_close, on_message, on_stranger
        self.open: dict[str, Link] = {}
        """The one link in use with each member."""
        self.changes = 0
        """How often `open` has changed."""
        self._links: dict[int, Link] = {}
        self._dialler = Dialler(me, is_dialable, outbox, self.open.__contains__)
        self._alarms: Alarms[int] = Alarms()
        """When each link, by its number, is hung up unless something happens before."""
        self.clocks: tuple[Clock, ...] = (self._alarms.next_deadline, self._dialler.clock)
        """When `tick` has something to do: at the earliest of these."""
        self._contacts: Mapping[str, Contact] = {}
        self._wished: Mapping[str, Contact] = {}
        self._owners: dict[str, str] = {}
        """Key -> id of the contacts."""
        self._denied: frozenset[str] = frozenset()
        self._cluster = ""
        self._retired: dict[tuple[str, str], None] = {}
        """(id, boot), the oldest first."""

    # --- the plan --------------------------------------------------------------------------------

    def follow(
        self, contacts: Mapping[str, Contact], denied: Collection[str], cluster: str, now: float, is_known: bool
    ) -> None:
        """Take over what the plan says: hang up where it no longer bears a link out, open where it does now."""
        self._dialler.is_known = is_known
        for member, old in self._contacts.items():
            new = contacts.get(member)
            if new is not None and new.boot != old.boot:
                self._retired[member, old.boot] = None
        while len(self._retired) > MAX_RETIRED:
            del self._retired[next(iter(self._retired))]
        self._contacts, self._denied, self._cluster = contacts, frozenset(denied), cluster
        self._owners = {contact.key: member for member, contact in contacts.items()}
        for link in list(self._links.values()):
            self._review(link, now)

    def wish(self, wished: Mapping[str, Contact], now: float) -> None:
        """Be linked with these; links that we dialled to others end after a while."""
        self._wished = wished
        self._dialler.aim(wished, now)
        for link in self.open.values():
            self._mark(link, now)

    def hang_up(self, member: str, now: float) -> None:
        """Its owner counts as dead: end the open link with it, so that nothing more is sent into it."""
        link = self.open.get(member)
        if link is not None:
            self._close(link, LinkEvent.SILENT, now)

    def _review(self, link: Link, now: float) -> None:
        contact = self._contacts.get(link.member)
        if link.state is LinkState.CLOSED:
            return  # another link of its owner was kept, a moment ago
        if link.key in self._denied:
            self._close(link, LinkEvent.REVOKED, now, (Code.DENIED, "the key was revoked"))
        elif link.state is LinkState.ACCEPTED:
            return
        elif link.state is not LinkState.STRANGE and (contact is None or contact.key != link.key):
            self._close(link, LinkEvent.GONE, now)
        elif link.state is _OPEN:
            if contact is not None and contact.boot != link.boot:
                self._close(link, LinkEvent.GONE, now)
        elif link.state is not LinkState.DIALLED:
            fault = self._mistaken(link)
            if fault is None:
                link.step(LinkEvent.KNOWN_NOW)
                self._opened(link, now)
            elif fault[0] is not Code.NOT_YET_KNOWN:
                self._close(link, LinkEvent.BAD_GREETING, now, fault)

    def _mark(self, link: Link, now: float) -> None:
        """Set or lift the time at which an open link ends as surplus. Only whoever dialled ends it so: the other end
        may need it, and would be told that the link was cut."""
        if not link.is_ours or link.member in self._wished:
            self._alarms.cancel(link.number)
        elif link.number not in self._alarms:
            self._alarms.set(link.number, now + SURPLUS_SECONDS)

    # --- events ----------------------------------------------------------------------------------

    def connected(self, event: LinkOpened, now: float) -> None:
        """A connection is there."""
        link = Link(event.link, event.key, now, event.dialled is not None, member=event.dialled or "")
        # However many strangers wait: a member is let in.
        is_unwanted = link.key not in self._owners and len(self._links) - len(self.open) >= MAX_WAITING
        if link.is_ours:
            contact = self._contacts.get(link.member)
            is_unwanted = contact is None or contact.key != link.key or link.member in self.open
        self._links[link.number] = link
        if link.key in self._denied:
            self._close(link, LinkEvent.REVOKED, now, (Code.DENIED, "the key was revoked"))
        elif is_unwanted:
            self._counts["links_unwanted"] += 1
            self._close(link, LinkEvent.UNWANTED, now)
        else:
            link.step(LinkEvent.WE_DIALLED if link.is_ours else LinkEvent.THEY_DIALLED)
            self._alarms.set(link.number, now + GREETING_SECONDS)
            if link.is_ours:
                self._say(link, self._hello())

    def dial_failed(self, event: DialFailed, now: float) -> None:
        """A dial came to nothing."""
        self._counts["dials_failed"] += 1
        self._dialler.failed(event.member, now)

    def closed(self, event: LinkClosed, now: float) -> None:
        """A connection is gone."""
        link = self._links.get(event.link)
        if link is not None:
            self._close(link, LinkEvent.LOST, now)

    def malformed(self, event: Malformed, now: float) -> None:
        """A frame was no message."""
        link = self._links.get(event.link)
        if link is not None:
            self._counts["malformed"] += 1
            self._fault(link, LinkEvent.MALFORMED, (Code(event.code), event.reason), 0, now)

    def unreadable(self, link: Link, head: Head, fault: Fault, now: float) -> None:
        """Complain of a message of which only its reader could see that its payload is none."""
        self._counts["malformed"] += 1
        self._fault(link, LinkEvent.MALFORMED, fault, head.command, now)

    def unexpected(self, link: Link, head: Head, reason: str, now: float) -> None:
        """Complain of a message that the state of things does not allow."""
        self._counts["unexpected"] += 1
        self._fault(link, LinkEvent.UNEXPECTED, (Code.UNEXPECTED, reason), head.command, now)

    def received(self, number: int, head: Head, payload: bytes, now: float) -> None:
        """A message came."""
        link = self._links.get(number)
        if link is None:
            self._counts["late"] += 1
        elif link.state is not _OPEN:
            self._before_open(link, head, now)
        elif head.command in _GREETINGS:
            link.step(LinkEvent.REPEATED)
        else:
            link.step(_MESSAGE)
            self._on_message(link, head, payload, now)

    def tick(self, now: float) -> None:
        """Hang up on who took too long, and dial who is due."""
        while (number := self._alarms.due(now)) is not None:
            link = self._links[number]
            if link.state is _OPEN:
                self._close(link, LinkEvent.SURPLUS, now)
            else:
                self._counts["greetings_timed_out"] += 1
                self._close(link, LinkEvent.TIME_OUT, now)
        self._dialler.tick(now)

    # --- greetings -------------------------------------------------------------------------------

    def _before_open(self, link: Link, head: Head, now: float) -> None:
        self._counts[f"received_{head.command.name.lower()}"] += 1
        if link.state is LinkState.WELCOMED:
            self._counts["early"] += 1
            link.step(LinkEvent.EARLY)
        elif isinstance(head, ErrorReport):
            self._complaint(link, head, now)
        elif (isinstance(head, Hello) and link.state is LinkState.ACCEPTED) or (
            isinstance(head, Welcome) and link.state is LinkState.DIALLED
        ):
            self._greeted(link, head, now)
        elif isinstance(head, Hello) and link.state is LinkState.STRANGE:
            link.step(LinkEvent.REPEATED)
        else:
            self.unexpected(link, head, "the link is not open", now)

    def _greeted(self, link: Link, greeting: Hello | Welcome, now: float) -> None:
        fault = self._mismatch(link, greeting)
        if not link.is_ours:
            link.member = greeting.member
        link.boot, link.greeting = greeting.boot, greeting
        fault = fault or self._mistaken(link)
        if fault is None:
            link.step(LinkEvent.WELCOME if link.is_ours else LinkEvent.HELLO)
            self._opened(link, now)
        elif fault[0] is not Code.NOT_YET_KNOWN:
            self._close(link, LinkEvent.BAD_GREETING, now, fault)
        else:
            self._alarms.set(link.number, link.made_at + STRANGER_SECONDS)
            self._wait(link, fault, now)

    def _wait(self, link: Link, fault: Fault, now: float) -> None:
        self._counts["strangers"] += 1
        if link.is_ours:
            link.step(LinkEvent.UNKNOWN_WELCOME)
        else:
            for other in list(self._links.values()):
                if other.state is LinkState.STRANGE and other.key == link.key:
                    self._close(other, LinkEvent.REPLACED, now)
            link.step(LinkEvent.UNKNOWN_HELLO)
            self._tell(link, fault, Command.HELLO)
        self._on_stranger(link.key, link.boot, now)

    def _complaint(self, link: Link, report: ErrorReport, now: float) -> None:
        if link.state is not LinkState.DIALLED:
            link.step(LinkEvent.COMPLAINT)
        elif report.code == Code.NOT_YET_KNOWN:
            # Counted from the beginning: saying it again and again holds no link for ever.
            self._alarms.set(link.number, link.made_at + STRANGER_SECONDS)
            link.step(LinkEvent.NOT_YET_KNOWN)
        else:
            self._counts["refused_by_others"] += 1
            self._outbox.log(
                "warning", "another member refuses us", member=link.member, code=report.code, reason=report.reason
            )
            self._close(link, LinkEvent.REFUSED, now)

    def _mismatch(self, link: Link, greeting: Hello | Welcome) -> Fault | None:
        """What is wrong with the greeting, whoever said it."""
        ours = self._hello().versions
        theirs = greeting.versions if isinstance(greeting, Hello) else [greeting.version]
        if not set(ours).intersection(theirs):
            return Code.VERSION, f"no protocol version in common: {ours} here, {theirs} there"
        if self._cluster and greeting.cluster and greeting.cluster != self._cluster:
            return Code.CLUSTER, f"this is cluster {self._cluster}, not {greeting.cluster}"
        if link.is_ours and greeting.member != link.member:
            return Code.IDENTITY, f"{link.member} was dialled, and {greeting.member} answers"
        return None

    def _mistaken(self, link: Link) -> Fault | None:
        """What speaks against the link being the member's and boot's that it claims to be."""
        contact = self._contacts.get(link.member)
        if link.key == self._key or link.member == self._me:
            return Code.IDENTITY, f"{self._me} is here"
        owner = self._owners.get(link.key)
        is_owners = contact is not None and contact.key == link.key
        if not is_owners and owner is not None and self._contacts[owner].is_alive:
            return Code.IDENTITY, f"this key belongs to {owner}"
        # A notebook begins each session with new keys, and may have lost its last one without a goodbye.
        if contact is not None and contact.key != link.key and (contact.is_alive or contact.boot == link.boot):
            return Code.IDENTITY, f"{link.member} has another key"
        if contact is not None and (contact.key, contact.boot) == (link.key, link.boot):
            return None
        if (link.member, link.boot) in self._retired:
            return Code.IDENTITY, f"{link.member} has been started again since"
        return Code.NOT_YET_KNOWN, "the plan does not show this key, or this boot of it, yet"

    def _opened(self, link: Link, now: float) -> None:
        """The link has become open: say so, and keep one of two."""
        self._alarms.cancel(link.number)
        link.opened_at = now
        rival = self.open.get(link.member)
        if link.is_ours:
            self._dialler.settled(link.member)
        if rival is not None and self._is_kept(rival, link, now):
            self._close(link, LinkEvent.REPLACED, now)
            return
        self.open[link.member] = link
        self.changes += 1
        if isinstance(link.greeting, Hello):
            version = max(set(self._hello().versions).intersection(link.greeting.versions))
            self._say(link, self._welcome(version))
        self._mark(link, now)
        if rival is not None:
            self._close(rival, LinkEvent.REPLACED, now)
        else:
            self._counts["links_opened"] += 1
            self._on_open(link, now)

    def _is_kept(self, old: Link, new: Link, now: float) -> bool:
        """Whether the older of two links stays.

        If both sides have dialled at once, both keep what the lower id dialled. Else nobody dials whom it has a link
        with: the other end has lost the old one.
        """
        if old.is_ours == new.is_ours or now > old.opened_at + CROSSING_SECONDS:
            return False
        return old.is_ours == (self._me < old.member)

    # --- helpers ---------------------------------------------------------------------------------

    def _close(self, link: Link, event: LinkEvent, now: float, fault: Fault | None = None) -> None:
        was_open = link.state is _OPEN
        link.step(event)
        del self._links[link.number]
        self._alarms.cancel(link.number)
        if fault is not None:
            self._counts[f"refused_{fault[0].name.lower()}"] += 1
            self._tell(link, fault, 0 if link.greeting is None else link.greeting.command)
        if event is not LinkEvent.LOST:
            self._outbox.emit(HangUp(link.number))
        if self.open.get(link.member) is link:
            del self.open[link.member]
            self.changes += 1
            self._counts["links_closed"] += 1
            self._dialler.lost(link.member, now, now - link.opened_at)
            self._on_close(link, event is LinkEvent.LOST, now)
        elif link.is_ours and not was_open:
            if link.member in self.open:
                self._dialler.settled(link.member)
            else:
                is_refused = event in {LinkEvent.REFUSED, LinkEvent.BAD_GREETING, LinkEvent.REVOKED, LinkEvent.UNWANTED}
                self._dialler.failed(link.member, now, is_refused)

    def _fault(self, link: Link, event: LinkEvent, fault: Fault, about: int, now: float) -> None:
        link.step(event)
        if link.fault(now):
            self._counts["links_with_too_many_faults"] += 1
            self._close(link, LinkEvent.TOO_MANY_FAULTS, now)
        else:
            self._tell(link, fault, about)

    def _tell(self, link: Link, fault: Fault, about: int) -> None:
        code, reason = fault
        if link.key not in self._owners:
            reason = "no member of this cluster is known by this key"
        self._say(link, ErrorReport(code=code, reason=reason[:MAX_TEXT_BYTES], about=about))

    def _say(self, link: Link, head: Head) -> None:
        self._counts[f"sent_{head.command.name.lower()}"] += 1
        self._outbox.emit(Send(link.number, head))
