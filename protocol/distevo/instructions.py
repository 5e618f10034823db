"""Instructions: all that the node ever does. The shell around it carries them out and decides nothing.

A store instruction is answered by a `StoreAnswer` with its `op`; `SaveCheckpoint` by `CheckpointSaved` or
`CheckpointFailed`; `StartWorker` by `WorkerReady` or `WorkerDied`; `VerifyProgram` by `Verified` or `WorkerDied`;
`Dial` by `LinkOpened` or `DialFailed`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from distevo.checkpoint import Checkpoint, IslandSnapshot
from distevo.events import IslandId
from distevo.messages import Head
from distevo.run import Budget, ProblemUse


@dataclass(frozen=True, slots=True)
class ReadObject:
    """Read one object."""

    op: int
    name: str


@dataclass(frozen=True, slots=True)
class CreateObject:
    """Write an object that must not exist yet."""

    op: int
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ReplaceObject:
    """Compare-and-swap: write only if the object still has this token."""

    op: int
    name: str
    data: bytes
    token: int


@dataclass(frozen=True, slots=True)
class ListObjects:
    """The names that begin with `prefix`."""

    op: int
    prefix: str


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """Delete an object; one that is gone already is fine."""

    op: int
    name: str


StoreInstruction = ReadObject | CreateObject | ReplaceObject | ListObjects | DeleteObject


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start a worker process for `slot`."""

    slot: int


@dataclass(frozen=True, slots=True)
class StartIsland:
    """Let the worker in `slot` evolve an island from `snapshot` on."""

    slot: int
    island: IslandId
    problem: ProblemUse
    task: bytes
    """The task's data as JSON."""
    islands: int
    """How many islands share the task, for the division of its exhaustive sweep."""
    population_size: int
    budget: Budget
    """The island's own share."""
    snapshot: IslandSnapshot
    attempt: int
    """How many workers have died in this very generation with no program to blame."""
    restart_after: int = 0
    """Generations that get nowhere after which the island begins anew; 0: never."""
    seeds: bytes = b""
    """A block of programs that it evaluates before all else, unless that is behind `snapshot`."""


@dataclass(frozen=True, slots=True)
class LimitIsland:
    """Change the budget of a running island."""

    slot: int
    island: IslandId
    budget: Budget


@dataclass(frozen=True, slots=True)
class StopIsland:
    """Let go of an island at the end of its generation, without a report."""

    slot: int
    island: IslandId


@dataclass(frozen=True, slots=True)
class TakeMigrants:
    """Offer these programs to a running island before its next generation; its reports then carry `number`."""

    slot: int
    island: IslandId
    number: int
    block: bytes


@dataclass(frozen=True, slots=True)
class SkipKeys:
    """Keys (16 bytes of each) evaluated by other islands of the task: a running island need not evaluate them."""

    slot: int
    island: IslandId
    keys: bytes


@dataclass(frozen=True, slots=True)
class VerifyProgram:
    """Evaluate this program again and, if it is fit, verify it."""

    slot: int
    run: str
    task: str
    problem: ProblemUse
    data: bytes
    """The task's data as JSON."""
    genome: bytes


@dataclass(frozen=True, slots=True)
class FinishWorkers:
    """Let each worker end its generation and go; those that have not after `grace` seconds are killed."""

    grace: float


@dataclass(frozen=True, slots=True)
class SaveCheckpoint:
    """Write this checkpoint, off the evolving path."""

    sequence: int
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Admit:
    """Let any key connect but these, which are revoked. Until this is first said, nobody may connect."""

    denied: frozenset[str]


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to a member at one of these endpoints, if it proves to have this key."""

    member: str
    endpoints: tuple[str, ...]
    key: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close a link after what was sent on it; no `LinkClosed` follows."""

    link: int


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message over a link. It may be lost: whoever needs to know waits for an answer."""

    link: int
    head: Head
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Log:
    """Tell the platform's user."""

    level: str
    """`info`, `warning` or `error`."""
    message: str
    fields: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exit:
    """The daemon has nothing left to do. An empty reason is a clean stop; else `kind` is as in `errors.kind_of`."""

    reason: str = ""
    kind: str = ""


Instruction = (
    StoreInstruction
    | StartWorker
    | StartIsland
    | LimitIsland
    | StopIsland
    | TakeMigrants
    | SkipKeys
    | VerifyProgram
    | FinishWorkers
    | SaveCheckpoint
    | Admit
    | Dial
    | HangUp
    | Send
    | Log
    | Exit
)
