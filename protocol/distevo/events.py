"""Events: all that the node ever hears. Together with the time they determine everything that it does."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import msgspec

from distevo.checkpoint import IslandSnapshot
from distevo.messages import Head


class IslandId(NamedTuple):
    """One island of one task of one run."""

    run: str
    task: str
    island: int

    def __str__(self) -> str:
        return f"{self.run}/{self.task}/{self.island}"


TaskId = tuple[str, str]
"""(run, task)."""


class Outcome(Enum):
    """What became of a store instruction."""

    DONE = "done"
    MISSING = "missing"
    """There is no such object: a definite answer."""
    CONFLICT = "conflict"
    """The object exists already, or its token has moved. It may have been our own write that moved it."""
    UNKNOWN = "unknown"
    """It may have happened and it may not."""
    UNAVAILABLE = "unavailable"
    """The store cannot do it for now (full, read-only, away)."""

    @property
    def is_definite(self) -> bool:
        """Whether the store has answered."""
        return self not in _INDEFINITE


_INDEFINITE = {Outcome.UNKNOWN, Outcome.UNAVAILABLE}


class StoreAnswer(msgspec.Struct, frozen=True):
    """The answer to the store instruction numbered `op`."""

    op: int
    outcome: Outcome
    data: bytes = b""
    token: int = 0
    names: tuple[str, ...] = ()
    reason: str = ""


class Tick(msgspec.Struct, frozen=True):
    """Nothing happened but time: `next_deadline()` has come."""


class InboxChanged(msgspec.Struct, frozen=True):
    """Somebody says that the inbox holds something new: list it now rather than at the next interval."""


class OwnSubmission(msgspec.Struct, frozen=True):
    """A run with this nonce was submitted through this very daemon."""

    nonce: str


class WorkerReady(msgspec.Struct, frozen=True):
    """The worker in `slot` can take islands."""

    slot: int
    yardstick: float = 1.0
    """How many times the reference's CPU time it took for a fixed piece of work."""


class Death(Enum):
    """Why a worker died, as far as its platform can tell."""

    KILLED = "killed"
    TIME_OUT = "time-out"
    """Its platform ended it, since one evaluation took longer than the limit."""
    MEMORY = "memory"
    CRASHED = "crashed"

    @property
    def convicts(self) -> bool:
        """Whether the program under evaluation is invalid at once; else the second death decides."""
        return self in {Death.TIME_OUT, Death.MEMORY}


class WorkerDied(msgspec.Struct, frozen=True):
    """The worker in `slot` is gone, and with it whatever it had not reported."""

    slot: int
    cause: Death
    island: IslandId | None
    """The island that it was working on, or the one whose best it was verifying."""
    culprit: bytes | None
    """The genome under evaluation, if there was one."""


class IslandReported(msgspec.Struct, frozen=True):
    """One generation of an island is done. `snapshot` is the whole state: work goes on from it after any death."""

    slot: int
    island: IslandId
    snapshot: IslandSnapshot
    fit: bool
    """Whether a fit program is in the population; the island then rests."""
    is_spent: bool
    """Whether the island's budget is used up; it then rests until the budget is raised."""
    warning: str | None = None
    """The first complaint about the problem's code in this generation, if any."""
    taken: int = 0
    """Number of the last `TakeMigrants` whose programs are in `snapshot`."""
    evaluated: bytes = b""
    """First 16 bytes of the key of each program evaluated in this generation that is not fit, one after another."""


class IslandFailed(msgspec.Struct, frozen=True):
    """The problem's code broke its contract so that the island cannot go on."""

    slot: int
    island: IslandId
    error: str


class ProblemMissing(msgspec.Struct, frozen=True):
    """This platform does not have the island's problem, or has another version of it."""

    slot: int
    island: IslandId
    error: str


class Verified(msgspec.Struct, frozen=True):
    """The best program of a task was evaluated again and, if fit, verified on what evolution never saw."""

    run: str
    task: str
    genome: bytes
    """The program that was looked at."""
    fitness: tuple[float, ...] | None
    """None: it is invalid now, as one that cannot be decoded or evaluated; or, with an error, nobody knows."""
    fit: bool
    solved: bool | None
    error: str | None = None
    """Why it could not be looked at; or, beside a fitness, what `verify` raised."""
    is_missing: bool = False
    """Nobody has looked: this platform does not have the problem, or has another version of it."""


class CheckpointSaved(msgspec.Struct, frozen=True):
    """The checkpoint is durable."""

    sequence: int
    resource_usage: dict[str, float] = {}
    """What the platform has used so far; it goes into the next checkpoint."""


class CheckpointFailed(msgspec.Struct, frozen=True):
    """The checkpoint could not be written, or nobody knows whether it was."""

    sequence: int
    reason: str


class ResultEncoded(msgspec.Struct, frozen=True):
    """What `EncodeResult` asked for is made."""

    number: int
    data: bytes
    digest: str
    """As in the object's name."""


class ResultUnencodable(msgspec.Struct, frozen=True):
    """These states make no object, however often that is tried: they are too large, say."""

    number: int
    reason: str


class CheckpointWanted(msgspec.Struct, frozen=True):
    """The platform is in trouble: what is in hand should be durable soon."""

    reason: str


class LinkOpened(msgspec.Struct, frozen=True):
    """A connection is there, its key authenticated; nothing was said on it yet."""

    link: int
    """Chosen by the shell, never used twice."""
    key: str
    """Public key of the other side."""
    dialled: str | None = None
    """Whom `Dial` named, when this side dialled."""


class DialFailed(msgspec.Struct, frozen=True):
    """`Dial` came to nothing."""

    member: str
    reason: str


class LinkClosed(msgspec.Struct, frozen=True):
    """A connection is gone."""

    link: int
    reason: str = ""


class Received(msgspec.Struct, frozen=True):
    """A message came over a link."""

    link: int
    head: Head
    payload: bytes = b""


class Malformed(msgspec.Struct, frozen=True):
    """A frame came over a link that is no message; `code` as in `messages.Code`."""

    link: int
    code: int
    reason: str


class StopRequested(msgspec.Struct, frozen=True):
    """The platform is to end cleanly."""


class WorkersFinished(msgspec.Struct, frozen=True):
    """All workers have reported for the last time and are gone."""


Event = (
    StoreAnswer
    | Tick
    | InboxChanged
    | OwnSubmission
    | WorkerReady
    | WorkerDied
    | IslandReported
    | IslandFailed
    | ProblemMissing
    | Verified
    | CheckpointSaved
    | CheckpointFailed
    | ResultEncoded
    | ResultUnencodable
    | CheckpointWanted
    | LinkOpened
    | DialFailed
    | LinkClosed
    | Received
    | Malformed
    | StopRequested
    | WorkersFinished
)
