"""Instructions: all that the node ever does. The shell around it carries them out and decides nothing.

A store instruction is answered by a `StoreAnswer` with its `op`; `SaveCheckpoint` by `CheckpointSaved` or
`CheckpointFailed`; `EncodeResult` by `ResultEncoded` or `ResultUnencodable`; `StartWorker` by `WorkerReady` or
`WorkerDied`; `VerifyProgram` by `Verified` or `WorkerDied`; `Dial` by `LinkOpened` or `DialFailed`.
"""

from __future__ import annotations

import msgspec

from distevo.checkpoint import Checkpoint, IslandSnapshot
from distevo.events import IslandId
from distevo.messages import Head
from distevo.result import Result
from distevo.run import Budget, ProblemUse


class ReadObject(msgspec.Struct, frozen=True):
    """Read one object."""

    op: int
    name: str


class CreateObject(msgspec.Struct, frozen=True):
    """Write an object that must not exist yet."""

    op: int
    name: str
    data: bytes


class ReplaceObject(msgspec.Struct, frozen=True):
    """Compare-and-swap: write only if the object still has this token."""

    op: int
    name: str
    data: bytes
    token: int


class ListObjects(msgspec.Struct, frozen=True):
    """The names that begin with `prefix`."""

    op: int
    prefix: str


class DeleteObject(msgspec.Struct, frozen=True):
    """Delete an object; one that is gone already is fine."""

    op: int
    name: str


StoreInstruction = ReadObject | CreateObject | ReplaceObject | ListObjects | DeleteObject


class StartWorker(msgspec.Struct, frozen=True):
    """Start a worker process for `slot`."""

    slot: int


class StartIsland(msgspec.Struct, frozen=True):
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


class LimitIsland(msgspec.Struct, frozen=True):
    """Change the budget of a running island."""

    slot: int
    island: IslandId
    budget: Budget


class StopIsland(msgspec.Struct, frozen=True):
    """Let go of an island at the end of its generation, without a report."""

    slot: int
    island: IslandId


class TakeMigrants(msgspec.Struct, frozen=True):
    """Offer these programs to a running island before its next generation; its reports then carry `number`."""

    slot: int
    island: IslandId
    number: int
    block: bytes


class SkipKeys(msgspec.Struct, frozen=True):
    """Keys (16 bytes of each) evaluated by other islands of the task: a running island need not evaluate them."""

    slot: int
    island: IslandId
    keys: bytes


class VerifyProgram(msgspec.Struct, frozen=True):
    """Evaluate this program again and, if it is fit, verify it."""

    slot: int
    run: str
    task: str
    problem: ProblemUse
    data: bytes
    """The task's data as JSON."""
    genome: bytes


class FinishWorkers(msgspec.Struct, frozen=True):
    """Let each worker end its generation and go; those that have not after `grace` seconds are killed."""

    grace: float


class SaveCheckpoint(msgspec.Struct, frozen=True):
    """Write this checkpoint, off the evolving path."""

    sequence: int
    checkpoint: Checkpoint


class EncodeResult(msgspec.Struct, frozen=True):
    """Make a task's result the bytes of an object, off the evolving path; it is written when its name is known."""

    number: int
    result: Result
    states: Checkpoint


class Admit(msgspec.Struct, frozen=True):
    """Let any key connect but these, which are revoked. Until this is first said, nobody may connect."""

    denied: frozenset[str]


class Dial(msgspec.Struct, frozen=True):
    """Connect to a member at one of these endpoints, if it proves to have this key."""

    member: str
    endpoints: tuple[str, ...]
    key: str


class HangUp(msgspec.Struct, frozen=True):
    """Close a link after what was sent on it; no `LinkClosed` follows."""

    link: int


class Send(msgspec.Struct, frozen=True):
    """Send a message over a link. It may be lost: whoever needs to know waits for an answer."""

    link: int
    head: Head
    payload: bytes = b""


class Log(msgspec.Struct, frozen=True):
    """Tell the platform's user."""

    level: str
    """`info`, `warning` or `error`."""
    message: str
    fields: dict[str, object] = {}


class Exit(msgspec.Struct, frozen=True):
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
    | EncodeResult
    | Admit
    | Dial
    | HangUp
    | Send
    | Log
    | Exit
)
