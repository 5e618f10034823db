"""The messages: all that members say to each other.

A message is a head, one of the structs below, and a payload of bytes whose meaning the head's type gives. On the
wire it is one frame (`codec`). Numbers of commands and of error codes are append-only: a number once given keeps
its meaning for ever. No message says who sent it: that is the authenticated owner of the link it came over, the
member whom a relay stamped on a FORWARD from its own link, or the owner of the mailbox it lay in.
"""

from enum import IntEnum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from distevo.names import MAX_ID_BYTES

VERSION = 1
"""The protocol version that this distevo speaks; HELLO offers all that the sender does."""

MAX_TASK_BYTES = 1024
MAX_TEXT_BYTES = 1024
MAX_MEMBERS = 4096
MAX_ISLANDS = 4096
"""Most islands that one message speaks of."""
MAX_WISHES = 64
"""In one heartbeat; what is left is wished for in the next."""
MAX_WISH_KEYS = 256
"""In one wish, the best first: of what is not named, some may come again."""
SEEN_KEY_BYTES = 16
"""Of each key: two programs of a task that agree in so many bytes are not to be expected in any lifetime."""

MAX_COUNT, MAX_SECONDS = 2**53, 1e9
"""Largest numbers that a head holds. A checkpoint may hold larger ones: of a state that came from elsewhere no more is
told than these."""

Id = Annotated[str, Meta(min_length=1, max_length=2 * MAX_ID_BYTES)]
Boot = Annotated[str, Meta(pattern=r"^[0-9a-f]{1,16}\Z")]
Cluster = Annotated[str, Meta(pattern=r"^[0-9a-f]{0,32}\Z")]
Task = Annotated[str, Meta(max_length=MAX_TASK_BYTES)]
Text = Annotated[str, Meta(max_length=MAX_TEXT_BYTES)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Seconds = Annotated[float, Meta(ge=0, le=MAX_SECONDS)]
Bits = Annotated[float, Meta(ge=0, le=64)]


class Command(IntEnum):
    """The number of each message on the wire."""

    HELLO = 1
    WELCOME = 2
    HEARTBEAT = 3
    GOODBYE = 4
    PLAN = 5
    MIGRANTS = 6
    MIGRANTS_ACK = 7
    POPULATION = 8
    FIT = 9
    SEEN = 10
    PRE_VOTE = 11
    FORWARD = 12
    CONTROL = 13
    ERROR = 14


class Code(IntEnum):
    """What ERROR says. Those from 100 on may be tried again later; the others stay wrong."""

    MALFORMED = 1
    """Magic, lengths, JSON, types or payload are not what the grammar allows."""
    TOO_LARGE = 2
    VERSION = 3
    """No protocol version in common, or a payload of a later format."""
    CLUSTER = 4
    """The sender belongs to another cluster."""
    DENIED = 5
    """The key was revoked."""
    IDENTITY = 6
    """The key belongs to another member, or the boot is an older one."""
    UNEXPECTED = 7
    """A known message at a moment that the state tables do not allow."""
    UNKNOWN_COMMAND = 8
    NOT_YET_KNOWN = 100
    """The key is not in the plan yet."""
    UNREACHABLE = 101
    """The relay has no link to whom the message is for; `target` says who."""
    BUSY = 102
    """A bounded queue is full."""


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=False, omit_defaults=True, kw_only=True):
    """What all heads share. Unknown fields are ignored, so that later versions may add some; so are further elements
    of structures that are written as arrays, which a tuple would refuse."""

    command: ClassVar[Command]


class Hello(Head, frozen=True, kw_only=True):
    """The first message on a link, from whoever dialled."""

    command = Command.HELLO

    versions: Annotated[list[Count], Meta(min_length=1, max_length=16)]
    """Protocol versions that the sender speaks."""
    cluster: Cluster
    """Empty when the sender has not seen the object `cluster` yet."""
    member: Id
    boot: Boot
    incarnation: Count
    heartbeat_interval: Seconds


class Welcome(Head, frozen=True, kw_only=True):
    """The answer to HELLO: the link is open in both directions."""

    command = Command.WELCOME

    version: Count
    """The protocol version that the link uses: the highest in common."""
    cluster: Cluster
    member: Id
    boot: Boot
    incarnation: Count
    heartbeat_interval: Seconds


class IslandProgress(msgspec.Struct, frozen=True, array_like=True):
    """How far an island in hand is."""

    run: Id
    task: Task
    island: Count
    grant: Count
    generation: Count
    evaluations: Count
    duplicates: Count
    seconds: Seconds
    """CPU seconds so far."""
    is_final: bool
    """It rests: budget used up, fit, or its run is over."""
    best: Annotated[list[float], Meta(max_length=16)] = []
    """Fitness of its best program, at most so many numbers of it; empty without one."""


class IslandDiversity(msgspec.Struct, frozen=True, array_like=True):
    """How much difference an island in hand still holds."""

    behaviours: Count
    """Different ones among its programs."""
    entropy: Bits
    """Of these behaviours, in bits."""
    fitness_entropy: Bits
    """The same of the fitnesses."""
    is_converged: bool
    """Nothing comes of it any more (`distevo.convergence`)."""


class Wish(msgspec.Struct, frozen=True, array_like=True):
    """What the sender would like to have of a task: programs that the receiver has, and it has not."""

    run: Id
    task: Task
    first_grant: Count
    """The run's, as in FIT."""
    keys: Annotated[bytes, Meta(max_length=MAX_WISH_KEYS * SEEN_KEY_BYTES)] = b""
    """Of its best programs of the task: so many bytes of each key, one after another."""


class Heartbeat(Head, frozen=True, kw_only=True):
    """A sign of life, sent when nothing else was for an interval. Every field may be left out."""

    command = Command.HEARTBEAT

    incarnation: Count
    progress: Count
    """Rises with every event that the sender's node handles: a process that spins sends none."""
    interval: Seconds
    """Seconds to the next, on this path."""
    epoch: Count = 0
    version: Count = 0
    """Version of the plan that the sender follows."""
    lag: Seconds = 0.0
    """By how much the sender's event loop was late, at most, since the last heartbeat."""
    queued: Count = 0
    """Islands that the sender owns and has not begun."""
    islands: Annotated[list[IslandProgress], Meta(max_length=MAX_ISLANDS)] = []
    waiting: Count = 0
    """How many of `islands`, the last of them, wait: for another task, which their worker ends first, for a place, or
    for their run to go on."""
    suspects: Annotated[dict[Id, Count], Meta(max_length=MAX_MEMBERS)] = {}
    """Members that the sender suspects, with the incarnation that each refutation has to exceed."""
    refuses: Annotated[dict[Id, Text], Meta(max_length=MAX_MEMBERS)] = {}
    """Runs that the sender cannot work on, and why."""
    avg_generation_time: Seconds = 0.0
    """Mean wall-clock time of the sender's generations of late; 0: there was none."""
    pace: Annotated[dict[Id, Seconds], Meta(max_length=MAX_MEMBERS)] = {}
    """By run, the seconds that pass at the sender for what a core like the reference does in one."""
    diversity: Annotated[list[IslandDiversity], Meta(max_length=MAX_ISLANDS)] = []
    """One for each of `islands`, in their order; or none at all."""
    wishes: Annotated[list[Wish], Meta(max_length=MAX_WISHES)] = []
    """Of tasks of which the receiver told a better fitness than the sender has; to be answered with FIT."""


class Goodbye(Head, frozen=True, kw_only=True):
    """The sender leaves; whatever it held is durable."""

    command = Command.GOODBYE

    reason: Text = ""


class PlanHint(Head, frozen=True, kw_only=True):
    """A plan is in force. A hint: the receiver looks at `cluster`, and acts on that."""

    command = Command.PLAN

    epoch: Count
    version: Count
    name: Annotated[str, Meta(max_length=256)]
    is_wanted: bool = False
    """The sender cannot read the store: the holder of the lease is asked to send the plan itself, as payload."""


class Migrants(Head, frozen=True, kw_only=True):
    """Programs for one island of another platform. Payload: a block of programs."""

    command = Command.MIGRANTS

    run: Id
    task: Task
    source: Count
    target: Count
    number: Count
    """Rises along the edge from `source` to `target` under one grant of the source."""
    grant: Count
    """The source's."""


class MigrantsAck(Head, frozen=True, kw_only=True):
    """What became of MIGRANTS: merged into the receiving daemon's copy of the island, no more."""

    command = Command.MIGRANTS_ACK

    run: Id
    task: Task
    source: Count
    target: Count
    number: Count
    grant: Count
    accepted: Count = 0
    known: Count = 0
    refused: Text | None = None
    """Why none was taken: the island is not the receiver's, say."""


class PopulationKind(IntEnum):
    """Why an island's whole state travels."""

    FINAL = 1
    """To the coordinator: nothing is left to evolve."""
    HAND_OVER = 2
    """From a former owner to the island's new owner."""


class IslandRef(msgspec.Struct, frozen=True, array_like=True):
    """An island under a grant."""

    run: Id
    task: Task
    island: Count
    grant: Count


class IslandFailure(msgspec.Struct, frozen=True, array_like=True):
    """An island where the problem's code cannot go on."""

    run: Id
    task: Task
    island: Count
    grant: Count
    error: Text


class TaskWarning(msgspec.Struct, frozen=True, array_like=True):
    """The first complaint about the problem's code that a task brought."""

    run: Id
    task: Task
    warning: Text


class IslandRung(msgspec.Struct, frozen=True, array_like=True):
    """An island that was evolved where it is up to a later rung than its task's."""

    run: Id
    task: Task
    island: Count
    rung: Count


class PopulationState(Head, frozen=True, kw_only=True):
    """Whole states of islands, repeated until the plan shows that they arrived. Payload: a checkpoint of them."""

    command = Command.POPULATION

    kind: PopulationKind
    empty: Annotated[list[IslandRef], Meta(max_length=MAX_ISLANDS)] = []
    """Islands that are over and never had a generation."""
    failures: Annotated[list[IslandFailure], Meta(max_length=MAX_ISLANDS)] = []
    """Their tasks fail."""
    deaths: Annotated[list[IslandRef], Meta(max_length=MAX_ISLANDS)] = []
    """Those of `failures` that are workers which died: another platform may be able to go on."""
    warnings: Annotated[list[TaskWarning], Meta(max_length=MAX_ISLANDS)] = []
    rungs: Annotated[list[IslandRung], Meta(max_length=MAX_ISLANDS)] = []


class Fit(Head, frozen=True, kw_only=True):
    """A task is fit. Payload: a block of the fit programs, whose keys the receiver makes anew.

    Programs in it that are not fit make nothing fit: they are what the receiver has wished for in a heartbeat.
    """

    command = Command.FIT

    run: Id
    task: Task
    first_grant: Count
    """The run's, by which it is told from an earlier one of its name."""
    problem: Text
    problem_version: Text


class Seen(Head, frozen=True, kw_only=True):
    """Keys of one task that were evaluated by the sender and are durable there. Payload: keys, 16 bytes of each."""

    command = Command.SEEN

    run: Id
    task: Task
    first_grant: Count
    """The run's, as in FIT."""


class PreVote(Head, frozen=True, kw_only=True):
    """Whether the receiver still hears the holder of the lease; and the answer."""

    command = Command.PRE_VOTE

    round: Count
    """Chosen by who asks; the answer repeats it."""
    epoch: Count
    holder: Id
    boot: Boot
    hears: bool | None = None
    """None asks. The answer: True when the answerer heard the holder within its timeout, or knows a newer epoch."""


class Forward(Head, frozen=True, kw_only=True):
    """One hop through a common acquaintance. Payload: the frame of the message inside."""

    command = Command.FORWARD

    to: Id
    """Whom it is for; the relay sends it over a direct link, or answers UNREACHABLE."""
    origin: Id | None = None
    """None on the way to the relay, which stamps the owner of the link that it came over."""
    boot: Boot | None = None
    """Of `origin`; stamped by the relay too."""


class ControlVerb(IntEnum):
    """What CONTROL asks for."""

    INBOX = 1
    """The inbox holds something new."""
    VERIFY = 2
    """Evaluate a task's best program again, and verify it. Payload: the genome."""
    VERDICT = 3
    """What came of VERIFY. Payload: the genome."""


class Control(Head, frozen=True, kw_only=True):
    """A request between daemons, or its answer."""

    command = Command.CONTROL

    verb: ControlVerb
    run: Id | None = None
    task: Task | None = None
    first_grant: Count = 0
    """The run's, as in FIT."""
    fitness: Annotated[list[float], Meta(max_length=255)] | None = None
    fit: bool = False
    solved: bool | None = None
    error: Text | None = None


class ErrorReport(Head, frozen=True, kw_only=True):
    """The receiver's fault, as the sender sees it; never answered."""

    command = Command.ERROR

    code: Count
    reason: Text
    about: Count = 0
    """The command that it is about; 0 where that is not known."""
    target: Id | None = None


HEADS: dict[Command, type[Head]] = {
    head.command: head
    for head in (
        Hello,
        Welcome,
        Heartbeat,
        Goodbye,
        PlanHint,
        Migrants,
        MigrantsAck,
        PopulationState,
        Fit,
        Seen,
        PreVote,
        Forward,
        Control,
        ErrorReport,
    )
}
