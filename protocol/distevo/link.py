"""One link: a connection between two members, from the first word on it to the last.

Whoever dialled says HELLO, the other answers WELCOME, and then the link is open in both directions. Whose link it is
says the key that the transport authenticated; what HELLO and WELCOME claim has to agree with the plan's entry for
that key. A boot that the plan here does not show yet may be right all the same: the plan reaches members at different
times. Its link waits.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from distevo.machine import Table
from distevo.messages import Hello, Welcome

GREETING_SECONDS = 5.0
"""How long the first word may take, on either side."""
STRANGER_SECONDS = 60.0
"""How long a link waits for the plan to show its owner: the inbox is listed every 10 s, and a plan takes a second."""
MAX_FAULTS = 8
"""Faults on one link within `FAULT_SECONDS` that are answered; with one more it is hung up."""
FAULT_SECONDS = 60.0
CROSSING_SECONDS = 10.0
"""Two links that open within so long may have crossed, both sides having dialled; later, the older one is half open."""


class LinkState(StrEnum):
    """What both ends know of each other."""

    CONNECTED = "connected"
    """Nothing was said yet."""
    DIALLED = "dialled"
    """We said HELLO."""
    ACCEPTED = "accepted"
    """We wait for HELLO."""
    STRANGE = "strange"
    """Their HELLO came, and the plan here does not show them yet."""
    WELCOMED = "welcomed"
    """Their WELCOME came, and the plan here does not show that boot yet: open for them and not for us."""
    OPEN = "open"
    CLOSED = "closed"


class LinkEvent(StrEnum):
    """What can happen to a link."""

    WE_DIALLED = "we_dialled"
    THEY_DIALLED = "they_dialled"
    UNWANTED = "unwanted"
    """Another key answered than was dialled, the plan no longer holds whom we dialled or a link with it is open
    already, or too many links wait."""
    HELLO = "hello"
    UNKNOWN_HELLO = "unknown_hello"
    """Right, as far as it goes; the plan here does not show the key, or that boot of it."""
    WELCOME = "welcome"
    UNKNOWN_WELCOME = "unknown_welcome"
    BAD_GREETING = "bad_greeting"
    """HELLO or WELCOME with no common version, of another cluster, or of who is somebody else by key or boot."""
    KNOWN_NOW = "known_now"
    """The plan shows the owner now."""
    REPEATED = "repeated"
    """HELLO or WELCOME once more."""
    NOT_YET_KNOWN = "not_yet_known"
    """The ERROR of that code."""
    REFUSED = "refused"
    """Any other ERROR in answer to HELLO."""
    COMPLAINT = "complaint"
    """An ERROR before anything was said that it could be about."""
    MESSAGE = "message"
    EARLY = "early"
    """A message for which the link is not open here, though it is there."""
    UNEXPECTED = "unexpected"
    """A message that the state does not allow."""
    MALFORMED = "malformed"
    TOO_MANY_FAULTS = "too_many_faults"
    TIME_OUT = "time_out"
    REPLACED = "replaced"
    """Another link with the same member is kept."""
    SURPLUS = "surplus"
    """Dialled once, and no longer needed."""
    SILENT = "silent"
    """Its owner counts as dead: the connection may be half open."""
    GONE = "gone"
    """The plan no longer shows its owner, or another boot of it."""
    REVOKED = "revoked"
    """The key is on the plan's deny list."""
    LOST = "lost"
    """The connection is gone."""


_C, _D, _A, _S = LinkState.CONNECTED, LinkState.DIALLED, LinkState.ACCEPTED, LinkState.STRANGE
_W, _O, _X = LinkState.WELCOMED, LinkState.OPEN, LinkState.CLOSED
_E = LinkEvent

LINK_TABLE: Table[LinkState, LinkEvent] = Table(
    "link",
    LinkState.CONNECTED,
    {
        (_C, _E.WE_DIALLED): (_D, "HELLO"),
        (_C, _E.THEY_DIALLED): (_A, "wait for HELLO"),
        (_C, _E.UNWANTED): (_X, "hang up"),
        (_C, _E.REVOKED): (_X, "ERROR DENIED, hang up"),
        (_D, _E.WELCOME): (_O, "messages may pass"),
        (_D, _E.UNKNOWN_WELCOME): (_W, "tell the node; wait for the plan"),
        (_D, _E.BAD_GREETING): (_X, "ERROR, hang up; dial again after the longest wait"),
        (_D, _E.NOT_YET_KNOWN): (_D, "wait for WELCOME as long as for a plan"),
        (_D, _E.REFUSED): (_X, "hang up; dial again after the longest wait"),
        (_D, _E.GONE): (_X, "hang up"),
        (_A, _E.HELLO): (_O, "WELCOME; messages may pass"),
        (_A, _E.UNKNOWN_HELLO): (_S, "ERROR NOT_YET_KNOWN; tell the node; wait for the plan"),
        (_A, _E.BAD_GREETING): (_X, "ERROR, hang up"),
        (_A, _E.COMPLAINT): (_A, "nothing: an ERROR is never answered"),
        (_S, _E.KNOWN_NOW): (_O, "WELCOME; messages may pass"),
        (_S, _E.BAD_GREETING): (_X, "ERROR, hang up"),
        (_S, _E.REPEATED): (_S, "nothing"),
        (_S, _E.COMPLAINT): (_S, "nothing: an ERROR is never answered"),
        (_S, _E.REPLACED): (_X, "hang up"),
        (_W, _E.KNOWN_NOW): (_O, "messages may pass"),
        (_W, _E.EARLY): (_W, "drop it; no fault of theirs"),
        (_W, _E.GONE): (_X, "hang up"),
        (_O, _E.MESSAGE): (_O, "deliver or relay it, as from the link's owner"),
        (_O, _E.REPEATED): (_O, "nothing"),
        (_O, _E.REPLACED): (_X, "hang up"),
        (_O, _E.SURPLUS): (_X, "hang up"),
        (_O, _E.SILENT): (_X, "hang up; dial again, if a link is wanted"),
        (_O, _E.GONE): (_X, "hang up"),
        **{(state, _E.UNEXPECTED): (state, "ERROR UNEXPECTED; counted") for state in (_D, _A, _S, _O)},
        **{(state, _E.TIME_OUT): (_X, "hang up") for state in (_D, _A, _S, _W)},
        **{(state, _E.MALFORMED): (state, "ERROR with the fault's code; counted") for state in (_D, _A, _S, _W, _O)},
        **{(state, _E.TOO_MANY_FAULTS): (_X, "hang up") for state in (_D, _A, _S, _W, _O)},
        **{(state, _E.REVOKED): (_X, "ERROR DENIED, hang up") for state in (_D, _A, _S, _W, _O)},
        **{(state, _E.LOST): (_X, "dial again, if a link is wanted") for state in (_D, _A, _S, _W, _O)},
    },
)


class Link(msgspec.Struct):
    """A connection and what is known of whoever is at its other end."""

    number: int
    key: str
    """The other end's, authenticated by the transport."""
    made_at: float
    is_ours: bool
    """Whether we dialled."""
    member: str = ""
    """Whom we dialled or who said HELLO; the link's owner once it is open."""
    boot: str = ""
    greeting: Hello | Welcome | None = None
    """What the other end said."""
    state: LinkState = LINK_TABLE.initial
    opened_at: float = 0.0
    faults: int = 0
    faults_since: float = 0.0

    def step(self, event: LinkEvent) -> None:
        """Take the table's row."""
        self.state = LINK_TABLE.step(self.state, event)

    def fault(self, now: float) -> bool:
        """Count a fault of the other end; whether it was one too many."""
        if now > self.faults_since + FAULT_SECONDS:
            self.faults, self.faults_since = 0, now
        self.faults += 1
        return self.faults > MAX_FAULTS
