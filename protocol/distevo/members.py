"""Membership: who lives, judged by one node from what it hears itself.

- Only hearing counts. What peers say about a third member changes nothing here, so no gossip can kill anybody;
  the coordinator alone acts on its own judgement. Any credited traffic of a member's boot clears a suspicion of it,
  whatever incarnation it carries. SWIM (Das et al., DSN 2002) asks for a higher one, because there others carry the
  suspicion on; here it lives and dies with whoever holds it. Whoever is told that it is suspected rises above the
  incarnation named and speaks at once, which tells its answer from what it said before.
- Suspect before dead. Silence for the timeout, or a closed link that is not made again within `REDIAL_SECONDS`, makes
  a suspect; `SUSPECT_SECONDS` later comes the verdict.
- Whoever hears nobody is the suspect itself (Lifeguard, Dadgar et al. 2017). A verdict needs a sign that this node is
  not the one cut off: a peer heard or an answer of the store *since the suspicion began*. An older sign proves
  nothing, since all links close at once when our own network goes; and a node whose store is away could not publish
  a plan without the dead member either. The caller asks for it: reads the store when somebody becomes suspect.
- A boot is one life. Traffic of another boot than the one followed is no sign of life, and one that said goodbye
  stays away, however late its last words arrive.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from distevo.alarms import NEVER
from distevo.machine import Table

REDIAL_SECONDS = 1.0
"""A closed link that is not made again for so long is evidence of death."""
SUSPECT_SECONDS = 1.0
"""From suspicion to verdict: a second closed link to death, within the 3 s in which a cluster has planned anew."""
TIMEOUT_INTERVALS = 3
"""A path's timeout is at least so many of its intervals: two lost signs of life in a row kill nobody."""
LONGEST_INTERVAL = 600.0
"""Seconds that a path's interval counts for at most: members state their own, and none may ask to be immortal."""
LAG_SECONDS = 1.0
"""A loop that was late by more than this may have missed what it was told."""
LAG_TIMEOUTS = 2
"""Whoever was silent for so many timeouts, without the time by which we were late, is not excused by that any more: a
loop that is late again and again would find nobody dead."""
MAX_INCARNATION = 2**53
"""The largest that a message can carry."""


class State(StrEnum):
    """What this node holds a member to be."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"


class MemberEvent(StrEnum):
    """What can happen to a member, as this node sees it."""

    HEARD = "heard"
    """Traffic of the boot that is followed."""
    INCARNATION = "incarnation"
    """The same, with a higher incarnation than any before."""
    OTHER_BOOT = "other_boot"
    """Traffic, or a goodbye, of a boot that is not the one followed."""
    LINK_CLOSED = "link_closed"
    LINK_MADE = "link_made"
    LINK_LOST = "link_lost"
    """`REDIAL_SECONDS` after it closed: not made again, and nothing heard through any other path."""
    SILENCE = "silence"
    """Nothing heard for the timeout."""
    VERDICT = "verdict"
    """`SUSPECT_SECONDS` of suspicion, in which this node did hear others or the store."""
    UNSURE = "unsure"
    """`SUSPECT_SECONDS` of suspicion, in which it heard nothing at all."""
    RUMOUR = "rumour"
    """A peer suspects the member."""
    GOODBYE = "goodbye"
    NEW_BOOT = "new_boot"
    """The plan names another boot."""
    GRACE = "grace"
    """What was not heard may not have been the member's fault."""


_A, _S, _D, _L = State.ALIVE, State.SUSPECT, State.DEAD, State.LEFT
_E = MemberEvent
_HEARD, _HIGHER = MemberEvent.HEARD, MemberEvent.INCARNATION  # bound once: looking them up costs as much as a step

MEMBER_TABLE: Table[State, MemberEvent] = Table(
    "member",
    State.ALIVE,
    {
        (_A, _E.HEARD): (_A, "a full timeout anew; a closed link is no evidence any more"),
        (_S, _E.HEARD): (_A, "refuted; a full timeout anew"),
        (_D, _E.HEARD): (_A, "welcomed back; a full timeout anew"),
        (_L, _E.HEARD): (_L, "ignored: sent before its goodbye"),
        (_A, _E.INCARNATION): (_A, "as heard; the incarnation is remembered"),
        (_S, _E.INCARNATION): (_A, "as heard; the incarnation is remembered"),
        (_D, _E.INCARNATION): (_A, "as heard; the incarnation is remembered"),
        (_L, _E.INCARNATION): (_L, "ignored: sent before its goodbye"),
        (_A, _E.LINK_CLOSED): (_A, "the wait for a new link begins; one that has begun goes on"),
        (_S, _E.LINK_CLOSED): (_S, "remembered; the suspicion goes on"),
        (_D, _E.LINK_CLOSED): (_D, "nothing"),
        (_L, _E.LINK_CLOSED): (_L, "nothing: who leaves closes its links"),
        (_A, _E.LINK_MADE): (_A, "the wait for a new link ends"),
        (_S, _E.LINK_MADE): (_S, "no sign of life by itself: a hung process's sockets still shake hands"),
        (_D, _E.LINK_MADE): (_D, "no sign of life by itself"),
        (_L, _E.LINK_MADE): (_L, "nothing"),
        (_A, _E.LINK_LOST): (_S, "the verdict is due in SUSPECT_SECONDS"),
        (_A, _E.SILENCE): (_S, "the verdict is due in SUSPECT_SECONDS"),
        (_S, _E.VERDICT): (_D, "reported: its islands need another owner"),
        (_S, _E.UNSURE): (_S, "the verdict waits for a sign of our own health, and SUSPECT_SECONDS from there"),
        (_A, _E.GOODBYE): (_L, "reported: whatever it held is durable"),
        (_S, _E.GOODBYE): (_L, "reported: whatever it held is durable"),
        (_D, _E.GOODBYE): (_L, "reported: it will not come back"),
        (_L, _E.GOODBYE): (_L, "a duplicate"),
        (_A, _E.GRACE): (_A, "a full timeout anew; a wait for a new link begins anew"),
        (_S, _E.GRACE): (_A, "withdrawn; a full timeout anew; if its link is closed, a whole wait for a new one"),
        (_D, _E.GRACE): (_D, "nothing: it has to be heard"),
        (_L, _E.GRACE): (_L, "nothing"),
        **{(state, _E.OTHER_BOOT): (state, "ignored") for state in State},
        **{(state, _E.RUMOUR): (state, "nothing: each judges by what it hears itself") for state in State},
        **{(state, _E.NEW_BOOT): (_A, "a new life: incarnation 0, a full timeout") for state in State},
    },
)


class _Member(msgspec.Struct):
    id: str
    boot: str = ""
    state: State = _A
    incarnation: int = 0
    heard_at: float | None = None
    followed_at: float = 0.0
    timeout: float = 0.0
    """Of the path through which it was heard last."""
    heard_until: float = -NEVER
    """The latest of all (heard + the path's timeout): a word through a quick path takes nothing from a slow one."""
    graced_until: float = -NEVER
    """Until then silence does not count, whatever was heard."""
    late: float = 0.0
    """Seconds by which our loop was late since the member was heard."""
    redial_at: float = NEVER
    """When a closed link counts as lost; never, if the link is open or the member was heard since it closed."""
    suspected_at: float = 0.0
    verdict_at: float = NEVER
    """Of a suspect: when the verdict is due; never, while it waits for a sign of our own health."""
    queued_at: float = NEVER
    """Time of its entry in the heap, never after `due`."""

    def begin(self, boot: str, now: float, timeout: float) -> None:
        """Forget the life of the boot before, if there was one."""
        self.boot, self.incarnation, self.heard_at, self.followed_at, self.timeout = boot, 0, None, now, timeout
        self.heard_until, self.graced_until, self.redial_at, self.late = -NEVER, now + timeout, NEVER, 0.0

    def due(self) -> float:
        """When time alone changes its state."""
        if self.state is _A:
            # The lesser of `redial_at` and the later of the two others; asked after every event.
            until = self.heard_until if self.heard_until > self.graced_until else self.graced_until
            return until if until < self.redial_at else self.redial_at
        return self.verdict_at if self.state is _S else NEVER


class MemberTable:
    """All members but this one. Unknown ids are ignored by whatever reports about them: the plan may have moved on."""

    def __init__(self, me: str, boot: str, heartbeat_interval: float, heartbeat_timeout: float) -> None:
        """Times in seconds. Raises ValueError unless the timeout is longer than the interval."""
        if not 0 < heartbeat_interval < heartbeat_timeout:
            raise ValueError(
                f"a heartbeat every {heartbeat_interval:g} s cannot keep a member alive for which the timeout is "
                f"{heartbeat_timeout:g} s: set a longer one, three intervals are usual"
            )
        self.me, self.boot = me, boot
        """Whose table it is."""
        self._timeout = heartbeat_timeout
        self.incarnation = 0
        """Our own."""
        self.members: dict[str, _Member] = {}
        self._suspects: dict[str, _Member] = {}
        self._has_unsure = False
        """Whether some suspect's verdict waits for a sign of our own health."""
        self._healthy_at = -NEVER
        self._changed: dict[str, State] = {}
        """What `tick` reported last of those whose state has changed since."""
        self._heap: list[tuple[float, str]] = []
        """(not after `due`, member). Hearing puts `due` off; the entry is corrected only when it comes up."""

    def follow(self, members: Mapping[str, str], now: float) -> None:
        """Follow these members (id -> boot) and no others; our own id is skipped.

        New ids start alive with a full timeout, and so does another boot of a known id. Those that are not named are
        forgotten. Neither is a change that `tick` reports, except a new boot of one that was not alive.
        """
        followed: dict[str, _Member] = {}
        for member, boot in members.items():
            if member == self.me:
                continue
            entry = self.members.get(member)
            if entry is None:
                entry = _Member(member)
            elif entry.boot != boot:
                self._step(entry, MemberEvent.NEW_BOOT)
            if entry.boot != boot:
                entry.begin(boot, now, self._timeout)
            followed[member] = entry
        for member in self.members:
            if member not in followed:
                self._suspects.pop(member, None)
                self._changed.pop(member, None)
        self.members = followed
        for entry in followed.values():
            self._schedule(entry)

    def heard(self, member: str, boot: str, now: float, interval: float = 0.0, incarnation: int | None = None) -> bool:
        """Credit the member with a sign of life; whether it counted.

        The caller vouches for whose it is: the owner of the link, whom a relay stamped, or the mailbox whose counter
        rose. `interval` is the path's, in seconds, where it is longer than a link's (mail). False for unknown ids,
        for another boot than the one followed, and for one that has left.
        """
        entry = self.members.get(member)
        if entry is None:
            return False
        if entry.boot != boot:
            self._step(entry, MemberEvent.OTHER_BOOT)
            return False
        is_higher = incarnation is not None and incarnation > entry.incarnation
        self._step(entry, _HIGHER if is_higher else _HEARD)
        if entry.state is _L:
            return False
        if incarnation is not None and is_higher:
            entry.incarnation = incarnation
        timeout = self._timeout if interval == 0.0 else self._path_timeout(interval)
        entry.heard_at, entry.timeout, entry.redial_at, entry.late = now, timeout, NEVER, 0.0
        if now + timeout > entry.heard_until:
            entry.heard_until = now + timeout
        if entry.heard_until < entry.queued_at:  # it was dead, or its timeout is shorter than a suspicion
            self._schedule(entry)
        self.healthy(now)
        return True

    def link_made(self, member: str, now: float) -> None:
        """A link to the boot that is followed is open. What came over it is for `heard`."""
        entry = self.members.get(member)
        if entry is not None:
            self._step(entry, MemberEvent.LINK_MADE)
            entry.redial_at = NEVER

    def link_lost(self, member: str, now: float) -> None:
        """The last link to it has closed."""
        entry = self.members.get(member)
        if entry is not None:
            self._step(entry, MemberEvent.LINK_CLOSED)
            entry.redial_at = min(entry.redial_at, now + REDIAL_SECONDS)
            self._schedule(entry)

    def left(self, member: str, boot: str) -> None:
        """It said goodbye."""
        entry = self.members.get(member)
        if entry is not None:
            self._step(entry, MemberEvent.GOODBYE if entry.boot == boot else MemberEvent.OTHER_BOOT)

    def suspected(self, member: str, incarnation: int, now: float) -> bool:
        """A peer says that it suspects the member; whether to send that peer a heartbeat at once.

        If it is us: our incarnation rises above the one named. Old news is answered too: it comes from somebody who
        has not heard our last refutation. If it is another, nothing happens: the peer's path to it may be broken.
        """
        if member != self.me:
            entry = self.members.get(member)
            if entry is not None:
                self._step(entry, MemberEvent.RUMOUR)
            return False
        self.incarnation = min(max(self.incarnation, incarnation + 1), MAX_INCARNATION)
        return True

    def suspects(self) -> dict[str, int]:
        """Who is suspect here, the longest first, with the incarnation that a refutation has to exceed."""
        return {member: entry.incarnation for member, entry in self._suspects.items()}

    def grace(self, members: Iterable[str], now: float, interval: float = 0.0) -> None:
        """Give these members a full timeout anew: after a takeover, or when the relay to them is lost.

        `interval` is that of the path by which they will be heard, where it is longer than a link's. A link that is
        closed stays closed: of such a member a whole `REDIAL_SECONDS` is waited again, and not the timeout.
        """
        timeout = self._path_timeout(interval)
        for member in members:
            entry = self.members.get(member)
            if entry is None:
                continue
            self._step(entry, MemberEvent.GRACE)
            if entry.state is not _A:
                continue
            entry.graced_until = max(entry.graced_until, now + max(timeout, entry.timeout))
            if entry.redial_at < NEVER:
                entry.redial_at = now + REDIAL_SECONDS
            self._schedule(entry)

    def lagged(self, seconds: float, now: float) -> None:
        """Our loop was late by so much: beyond `LAG_SECONDS` all have grace, but for those who were silent for long.

        To be called before `tick`.
        """
        if seconds > LAG_SECONDS:
            for entry in self.members.values():
                entry.late += seconds
            self.grace([member for member in self.members if self._is_excused(member, now)], now)

    def _is_excused(self, member: str, now: float) -> bool:
        entry = self.members[member]
        silence = self.silence(member, now)
        # The longest timeout of its paths counts: a word over a quick one takes nothing from a slow one.
        timeout = max(entry.timeout, entry.heard_until - (now - silence))
        return silence - entry.late < LAG_TIMEOUTS * timeout

    def healthy(self, now: float) -> None:
        """This node is not cut off: a peer spoke, or the store answered. `heard` implies it."""
        self._healthy_at = now
        if self._has_unsure:
            self._has_unsure = False
            for entry in self._suspects.values():
                if entry.verdict_at == NEVER:
                    entry.verdict_at = now + SUSPECT_SECONDS
                    self._schedule(entry)

    def tick(self, now: float) -> list[tuple[str, State]]:
        """Let time pass. Returns whose state is another than the last call said, in the order of the changes.

        At one moment that is the order of the ids. To be called after every event, since hearing too makes changes.
        """
        # No entry is due before the time in the heap says so, and often that is all there is to see.
        while self._heap and self._heap[0][0] <= now and (entry := self._next()) is not None and entry.queued_at <= now:
            if entry.state is _A:
                self._step(entry, MemberEvent.LINK_LOST if entry.redial_at <= now else MemberEvent.SILENCE)
                # From now and not from when it was due: a refutation has its time even if we are late.
                entry.suspected_at, entry.verdict_at = now, now + SUSPECT_SECONDS
            elif self._healthy_at >= entry.suspected_at:
                self._step(entry, MemberEvent.VERDICT)
            else:
                self._step(entry, MemberEvent.UNSURE)
                entry.verdict_at, self._has_unsure = NEVER, True
        if not self._changed:
            return []
        changed, self._changed = self._changed, {}
        states = ((member, before, self.members[member].state) for member, before in changed.items())
        return [(member, state) for member, before, state in states if state is not before]

    def next_deadline(self) -> float:
        """When `tick` has something to do, as long as nobody else is heard."""
        entry = self._next()
        return NEVER if entry is None else entry.queued_at

    def boot_of(self, member: str) -> str | None:
        """The boot that is followed, and that all else said here is about; None for an id that is not followed."""
        entry = self.members.get(member)
        return entry.boot if entry is not None else None

    def state(self, member: str) -> State | None:
        """Its state; None for an id that is not followed."""
        entry = self.members.get(member)
        return entry.state if entry is not None else None

    def alive(self) -> list[str]:
        """Who is alive or suspect, in the order of `follow`."""
        return [member for member, entry in self.members.items() if entry.state is _A or entry.state is _S]

    def heard_at(self, member: str) -> float | None:
        """When it was last heard, if ever, in this boot."""
        entry = self.members.get(member)
        return entry.heard_at if entry is not None else None

    def silence(self, member: str, now: float) -> float:
        """Seconds since it was last heard or, if it never was, since it is followed."""
        entry = self.members[member]
        return now - (entry.followed_at if entry.heard_at is None else entry.heard_at)

    def hears(self, member: str, boot: str, now: float) -> bool:
        """The answer to a pre-vote: whether this node still hears that boot.

        It does if the member is alive and was heard within the timeout (grace is no hearing), and if its link, once
        there, has not closed with nothing heard since. Whether we hold the lease ourselves is not asked here.
        """
        entry = self.members.get(member)
        if entry is None or entry.boot != boot or entry.state is not _A:
            return False
        return now < entry.heard_until and entry.redial_at == NEVER

    def _path_timeout(self, interval: float) -> float:
        return max(self._timeout, TIMEOUT_INTERVALS * min(interval, LONGEST_INTERVAL))

    def _step(self, entry: _Member, event: MemberEvent) -> None:
        """Take the table's row, and keep the books if it leads to another state."""
        before, state = entry.state, MEMBER_TABLE.step(entry.state, event)
        if state is before:
            return
        entry.state = state
        self._changed.setdefault(entry.id, before)
        if before is _S:
            del self._suspects[entry.id]
        elif state is _S:
            self._suspects[entry.id] = entry

    def _schedule(self, entry: _Member) -> None:
        """See to it that the heap knows the entry no later than it is due."""
        due = entry.due()
        if due >= entry.queued_at:
            return
        entry.queued_at = due
        if len(self._heap) < 2 * len(self.members) + 16:
            heapq.heappush(self._heap, (due, entry.id))
            return
        # Each link that closes leaves an entry behind that is dropped only when its time comes: begin afresh.
        self._heap = [(e.queued_at, e.id) for e in self.members.values() if e.queued_at < NEVER]
        heapq.heapify(self._heap)

    def _next(self) -> _Member | None:
        """Who is due first, with `queued_at` saying when."""
        heap = self._heap
        while heap:
            at, member = heap[0]
            entry = self.members.get(member)
            if entry is None or entry.queued_at != at:
                heapq.heappop(heap)
                continue
            due = entry.due()
            if due <= at:
                return entry
            entry.queued_at = due
            if due == NEVER:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (due, member))
        return None
