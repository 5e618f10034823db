"""What a worker and its daemon say to each other: MessagePack structures, each behind its length, on a socket pair.

Both ends are this very version of distevod on one machine, so there is no version to agree on. Still data only.
"""

import struct

import msgspec

from distevo.checkpoint import Counters, IslandSnapshot
from distevo.run import Budget, ProblemUse
from distevod.evolution.spent import Spent

HEADER = struct.Struct("<II")
"""Length of what follows, and the same with all bits turned: nothing that a problem writes to the socket is that."""

EXIT_MEMORY = 86
"""Exit status of a worker whose memory was used up."""
_TURNED = 0xFFFFFFFF


class Garbled(Exception):  # noqa: N818 - says what is wrong
    """What came is no message."""


class _Message(msgspec.Struct, array_like=True, tag=True):
    pass


# Islands go by numbers that the daemon gives anew for each start, so that a report from before a stop is never
# taken for one of the island's next start.


class Start(_Message):
    """To a worker: evolve an island."""

    number: int
    problem: ProblemUse
    data: bytes
    islands: int
    population_size: int
    batch_size: int
    generation_seconds: float
    attempt: int
    restart_after: int
    platform: str
    budget: Budget
    snapshot: IslandSnapshot
    seeds: bytes
    """A block of programs to be evaluated first; only their genomes mean anything."""


class Limit(_Message):
    """To a worker: an island's budget has changed."""

    number: int
    budget: Budget


class Stop(_Message):
    """To a worker: let go of an island. It answers `Stopped`, whatever it still had of it."""

    number: int


class Take(_Message):
    """To a worker: offer a batch of programs of other islands to an island. Reports carry `batch` from then on."""

    number: int
    batch: int
    block: bytes


class Skip(_Message):
    """To a worker: an island need not evaluate these, `SEEN_KEY_BYTES` of each key one after another."""

    number: int
    keys: bytes


class Verify(_Message):
    """To a worker: evaluate a program again and, if it is fit, verify it."""

    number: int
    problem: ProblemUse
    data: bytes
    genome: bytes


class Finish(_Message):
    """To a worker: end the generation and go."""


class Ready(_Message):
    """From a worker: it can take islands."""

    yardstick: float
    """How many times the reference's CPU time it took for the yardstick."""


class Report(_Message):
    """From a worker: an island's state after a generation; `population` None where it has not changed."""

    number: int
    generation: int
    cursor: int
    optimizer: bytes
    population: bytes | None
    counters: Counters
    is_fit: bool
    is_spent: bool
    warning: str | None
    taken: int
    """The last batch of `Take` that went into this state; 0 before the first."""
    evaluated: bytes
    """What other islands may skip: `SEEN_KEY_BYTES` of each key."""
    spent: Spent
    """By the worker so far."""


class Failed(_Message):
    """From a worker: an island cannot go on."""

    number: int
    error: str


class Missing(_Message):
    """From a worker: an island's problem is not here, or is another version."""

    number: int
    error: str


class Stopped(_Message):
    """From a worker: it will not work on the island any more."""

    number: int


class Looked(_Message):
    """From a worker: the answer to `Verify`."""

    number: int
    fitness: tuple[float, ...] | None
    is_fit: bool
    is_solved: bool | None
    error: str | None
    is_missing: bool = False
    """The problem is not here, or is another version."""


ToWorker = Start | Limit | Stop | Take | Skip | Verify | Finish
FromWorker = Ready | Report | Failed | Missing | Stopped | Looked

_encoder = msgspec.msgpack.Encoder()
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode


def frame(message: ToWorker | FromWorker) -> bytes:
    """A message behind its length."""
    body = _encoder.encode(message)
    return HEADER.pack(len(body), len(body) ^ _TURNED) + body


class Frames:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete with these bytes. Raises Garbled."""
        self._buffer += data
        bodies = []
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            length, turned = HEADER.unpack_from(self._buffer, start)
            if length ^ turned != _TURNED:
                raise Garbled(f"{bytes(self._buffer[start : start + HEADER.size])!r} begins no message")
            end = start + HEADER.size + length
            if len(self._buffer) < end:
                break
            bodies.append(bytes(self._buffer[start + HEADER.size : end]))
            start = end
        del self._buffer[:start]
        return bodies
