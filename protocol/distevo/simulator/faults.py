"""What may go wrong in a simulation: each kind of fault as a struct that a scenario lists.

Times are in seconds of virtual time from the start. A fault that lasts is healed `seconds` after `at`. Members are
named as the scenario names them (`server-1`). In a scenario's file each fault says which it is by `fault:`, with
the name of the struct here in lower case (`fault: store_away`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Moment = Annotated[float, Meta(ge=0)]
Span = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


MIDWAY_SECONDS = 5.0
"""How long a crash waits for something to be in the middle of."""


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


class Fault(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="fault",
    tag=_snake,
):
    """What all kinds share."""

    at: Moment


class Crash(Fault, frozen=True, kw_only=True):
    """A member's machine is gone with its memory. It comes back as a new boot of the same id and key, or never."""

    member: str
    back_after: Span | None = None
    is_silent: bool = False
    """Nobody is told, as when a machine loses power; else the others see its connections close."""
    is_midway: bool = False
    """It dies in the middle of the next thing that it does, at the latest after `MIDWAY_SECONDS`."""


class Stop(Fault, frozen=True, kw_only=True):
    """A member is asked to end cleanly (SIGTERM), and may be started again later."""

    member: str
    back_after: Span | None = None


class Suspend(Fault, frozen=True, kw_only=True):
    """A member stands still, workers and all, while time goes on; then it hears everything at once."""

    member: str
    seconds: Span


class Pause(Fault, frozen=True, kw_only=True):
    """What a member decides next it carries out only so much later, and hears nothing meanwhile."""

    member: str
    seconds: Span


class Freeze(Fault, frozen=True, kw_only=True):
    """Whoever takes the lease next is suspended as soon as the store has its write, before it hears so."""

    seconds: Span


class Partition(Fault, frozen=True, kw_only=True):
    """Members on different sides reach each other no more; whoever is on no side reaches all."""

    seconds: Span
    sides: list[list[str]]
    closes_after: Span | None = None
    """When both ends of a connection that leads across notice; None: never, it stays open and silent."""


class Cut(Fault, frozen=True, kw_only=True):
    """Nothing that `source` sends reaches `target`; the other way all is well."""

    source: str
    target: str
    seconds: Span
    closes_after: Span | None = None


class Reset(Fault, frozen=True, kw_only=True):
    """All connections of a member close, and may be made again at once."""

    member: str


class Undialable(Fault, frozen=True, kw_only=True):
    """Whoever dials this member fails."""

    member: str
    seconds: Span


class Lossy(Fault, frozen=True, kw_only=True):
    """The network loses frames: connections stall, and some break."""

    seconds: Span
    loss: Share = 0.05
    breaks: Share = 0.1
    """Of lost frames, those that cost the connection."""
    duplicates: Share = 0.0
    """Frames that arrive twice. A connection never does this; the protocol stands it all the same."""
    reorders: Share = 0.0
    """Frames that others overtake, likewise."""


class StoreAway(Fault, frozen=True, kw_only=True):
    """The store answers these members with an error; all of them when none is named."""

    seconds: Span
    members: list[str] = []


class StoreFlaky(Fault, frozen=True, kw_only=True):
    """The store answers late, loses answers, and carries writes out after it was given up."""

    seconds: Span
    slowness: Annotated[float, Meta(ge=1)] = 1.0
    """How many times as long as usual a request takes."""
    lost: Share = 0.0
    """Writes that are carried out and whose answer is lost."""
    late: Share = 0.0
    """Writes that time out and are carried out later."""
    late_seconds: Span = 20.0
    """How much later at most."""
    dropped: Share = 0.0
    """Requests that time out and never arrive."""
    retried: Share = 0.0
    """Writes that the store's client sends twice without a word, so that the second try meets the first."""
    damaged: Share = 0.0
    """Reads whose bytes arrive with one of them flipped, or with the end missing."""


class WorkerDeath(Fault, frozen=True, kw_only=True):
    """A worker of a member is killed."""

    member: str
    slot: Annotated[int, Meta(ge=0)] = 0


class Slow(Fault, frozen=True, kw_only=True):
    """A member's machine takes so many times as long for its workers' work: it is throttled, or shared with others."""

    member: str
    seconds: Span
    times: Annotated[float, Meta(gt=1)] = 5.0


class Twin(Fault, frozen=True, kw_only=True):
    """A second machine starts with a copy of a member's configuration, and stays for so long."""

    member: str
    seconds: Span
    has_own_key: bool = True
    """Else the key was copied too: the older boot has to give way, and is started anew when the twin is gone."""


AnyFault = (
    Twin
    | Crash
    | Stop
    | Suspend
    | Pause
    | Freeze
    | Partition
    | Cut
    | Reset
    | Undialable
    | Lossy
    | StoreAway
    | StoreFlaky
    | WorkerDeath
    | Slow
)


def members_of(fault: Fault) -> list[str]:
    """The members that a fault names."""
    match fault:
        case Partition(sides=sides):
            return [member for side in sides for member in side]
        case Cut(source=source, target=target):
            return [source, target]
        case StoreAway(members=members):
            return members
        case _:
            member: str | None = getattr(fault, "member", None)
            return [] if member is None else [member]


def end_of(fault: Fault) -> float:
    """When nothing of the fault is left, seconds; a crashed member that does not come back is no fault any more."""
    lasts: float = getattr(fault, "seconds", None) or getattr(fault, "back_after", None) or 0.0
    if isinstance(fault, Crash) and fault.is_midway and fault.back_after is not None:
        lasts += MIDWAY_SECONDS
    if isinstance(fault, StoreFlaky) and fault.late:
        lasts += fault.late_seconds
    return fault.at + lasts
