"""The desk: takes what lies in the inbox into the plan, once."""

from __future__ import annotations

from functools import partial

from distevo.alarms import NEVER
from distevo.command import decode_command
from distevo.errors import ObjectError, ObjectVersionError
from distevo.events import Outcome, StoreAnswer
from distevo.ledger import Ledger
from distevo.member import decode_announcement
from distevo.messages import MAX_TEXT_BYTES
from distevo.names import INBOX, INBOX_COMMANDS, INBOX_MEMBERS, INBOX_RUNS
from distevo.orders import ACCEPTED, Orders
from distevo.outbox import Outbox, Publish
from distevo.run import decode_run

LIST_SECONDS = 10.0
"""How often the inbox is listed when nobody says that it has changed."""
FIRST_SECONDS = (1.0, 3.0)
"""When a new coordinator lists it: others that were started with it have announced themselves by then, and where nobody
can be dialled yet, nobody can say so."""
READ_SECONDS = 10.0
"""How long objects that were read wait for others of the same listing, so that all are taken in in order. What cannot
be read for longer holds up nothing else."""
ASKED_SECONDS = 1.0
"""The least time from one listing to the next that a member asks for."""
UNREADABLE = "unreadable"
ANSWER_SECONDS = 60.0
"""How long the plan keeps what came of an object that is gone: members that only read the store see it, too, and a try
to write it that comes late does not have it taken in once more."""


_KINDS = (INBOX_MEMBERS, INBOX_RUNS, INBOX_COMMANDS)
"""In the order in which they are taken in."""


def is_kind(name: str) -> bool:
    """Whether an object of this name can be taken in. Nothing else is read: it would be at every listing."""
    return name.startswith(_KINDS)


def in_order(name: str) -> tuple[int, str]:
    """In which order inbox objects are taken in: members, runs, and commands, by their nonces."""
    return next((rank for rank, kind in enumerate(_KINDS) if name.startswith(kind)), len(_KINDS)), name


class Desk:
    """Reads new inbox objects, applies them to the plan through the orders, and clears them away.

    A run's object stays, since the run needs it; everything else is deleted, and the plan remembers what came of it
    (`accepted`, or why not) until listings no longer show it, so that nothing is applied twice and whoever asked can
    read the answer.
    """

    def __init__(self, ledger: Ledger, orders: Orders, outbox: Outbox, publish: Publish) -> None:
        self._ledger, self._orders, self._outbox, self._publish = ledger, orders, outbox, publish
        self._gone_at: dict[str, float] = {}
        """When a listing first lacked each object that the plan has as handled."""
        self._is_listing = False
        self._again = False
        self._next_listing = 0.0
        self._looked_at = -NEVER
        self._reading: dict[str, float] = {}
        """Since when each object is being read."""
        self._cleared: set[str] = set()
        """Handled objects of which that is durable."""
        self._read: dict[str, tuple[float, bytes]] = {}
        """What was read while others of the same listing are still being read, and when that listing came."""
        self._left_alone: set[str] = set()
        """Objects of a newer distevo, and what somebody else has put there."""
        self.is_open = False
        """Whether anything is taken in: only by a coordinator that is not leaving."""

    def next_deadline(self) -> float:
        """When the inbox is listed next."""
        return self._next_listing

    def begin(self, now: float) -> None:
        """The plan was just loaded, and the inbox read with it. Deletes that were lost are made again."""
        self.is_open, self._is_listing = True, False
        self._next_listing = now + LIST_SECONDS
        for wait in FIRST_SECONDS:
            self._outbox.later(now + wait, self.look)
        for name in self._ledger.plan.handled:
            self._clear_away(name)

    def look(self, now: float) -> None:
        """List the inbox now; if a listing is on its way already, once more after it."""
        if not self.is_open:
            return
        self._looked_at, self._next_listing = now, now + LIST_SECONDS
        if self._is_listing:
            self._again = True
            return
        self._is_listing = True
        self._outbox.list(INBOX, self._listed)

    def look_soon(self, now: float) -> None:
        """A member says that there is something new: list, but not without end, however often it is said."""
        self._next_listing = min(self._next_listing, max(now, self._looked_at + ASKED_SECONDS))

    def tick(self, now: float) -> None:
        """List the inbox when it is time."""
        if now >= self._next_listing:
            self.look(now)

    def _listed(self, answer: StoreAnswer, now: float) -> None:
        self._is_listing = False
        if not self.is_open:
            return
        plan = self._ledger.plan
        known = {run.object for run in plan.runs.values()} | plan.handled.keys() | self._left_alone
        unknown = [name for name in answer.names if name not in known and name not in self._reading]
        for name in unknown:
            if not is_kind(name):
                self._left_alone.add(name)
                self._outbox.log("warning", "an inbox object is left alone", name=name, reason="its name says no kind")
        new = [name for name in unknown if is_kind(name)]
        for name in new:
            self._reading[name] = now
            self._outbox.read(name, lambda read, now, name=name: self._arrived(name, read, now))  # type: ignore[misc]
        if new:
            self._outbox.later(now + READ_SECONDS, self._take_in_read)
        there = set(answer.names)
        self._cleared &= plan.handled.keys()
        for name in answer.names:
            if name in self._cleared:
                self._clear_away(name)  # The delete was lost, or a try to write it came late.
        self._gone_at = {name: self._gone_at.get(name, now) for name in plan.handled if name not in there}
        old = [name for name, since in self._gone_at.items() if now >= since + ANSWER_SECONDS]
        for name in old:
            del plan.handled[name]
        if old:
            self._publish()
        if self._again:
            self._again = False
            self.look(now)

    def _arrived(self, name: str, answer: StoreAnswer, now: float) -> None:
        since = self._reading.pop(name)
        if answer.outcome is Outcome.DONE:
            self._read[name] = since, answer.data
        self._take_in_read(now)

    def _take_in_read(self, now: float) -> None:
        """Take in what was read, unless more of the same listing, or of one before it, may be read soon."""
        awaited = min((since for since in self._reading.values() if now < since + READ_SECONDS), default=NEVER)
        # Nothing waits for what was listed later: where something always comes, it would wait for ever.
        read = {name: data for name, (since, data) in self._read.items() if since < awaited}
        self._read = {name: found for name, found in self._read.items() if name not in read}
        for known in sorted(read, key=in_order):
            handled = self._ledger.plan.handled
            if self.is_open and known not in handled and self.take_in(known, read[known], now):
                # A run that was taken in is not handled: that plan clears nothing away, though a later one, which may
                # have been decided by the time that it is in force, has the run deleted.
                self._publish(partial(self._settled, known) if known in handled else None)

    def _settled(self, name: str, _now: float) -> None:
        self.settle(name)

    def take_in(self, name: str, data: bytes, now: float) -> bool:
        """Apply one object to the plan; if True, whoever calls publishes the plan and then calls `settle`."""
        try:
            if name.startswith(INBOX_RUNS):
                run = decode_run(data)
                outcome = self._orders.adopt(run, name)
                if outcome == ACCEPTED:
                    self._outbox.log("info", "run taken in", run=run.name, tasks=len(run.tasks))
                    return True
            elif name.startswith(INBOX_COMMANDS):
                outcome = self._orders.carry_out(decode_command(data), now)
            elif name.startswith(INBOX_MEMBERS):
                outcome = self._orders.join(decode_announcement(data))
            else:
                return False
        except ObjectVersionError as error:
            # Not damage: whoever reads that version may still take it.
            self._left_alone.add(name)
            self._outbox.log("error", "an inbox object is left alone", name=name, reason=str(error))
            return False
        except ObjectError as error:
            outcome = f"{UNREADABLE}: {error}"
        # It stands in all plans from now on, and may quote from the object.
        outcome = outcome[:MAX_TEXT_BYTES]
        if outcome != ACCEPTED:
            self._outbox.log("warning", "an inbox object is refused", name=name, reason=outcome)
        self._ledger.plan.handled[name] = outcome
        return True

    def settle(self, name: str) -> None:
        """What was decided about this object is durable: clear it away."""
        if name in self._ledger.plan.handled:
            self._clear_away(name)

    def _clear_away(self, name: str) -> None:
        self._cleared.add(name)
        # What cannot be read stays for a person to look at.
        if not self._ledger.plan.handled[name].startswith(UNREADABLE):
            self._outbox.delete(name)
