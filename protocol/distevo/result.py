"""The result of one task: the guess, what it is worth, and the islands' last state, from which `extend` goes on."""

from __future__ import annotations

import msgspec
from blake3 import blake3

from distevo.checkpoint import Checkpoint, content_bytes, encode_checkpoint
from distevo.program import Keyer
from distevo.provenance import Provenance
from distevo.sealed import seal, unseal

_KIND = b"RSLT"
TIGHT_BYTES = 2**20
"""States that are larger together are compressed fast and not tightly: a task's end waits for that, and an extension or
the next budget for the task's end. Of 36 MB of bit strings zlib's level 6 takes 4 s of a quick core and leaves 5.7 MB,
level 1 half a second and leaves 8."""
_TIGHT, _FAST = 6, 1
LARGEST = 1.7976931348623157e308


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a task. A stored one is a candidate until the plan names its object."""

    run: str
    task: str
    fit: bool
    solved: bool | None
    """None where nothing is hidden."""
    program: str | None
    """The guess as text: the smallest fit program, or the best there is; None if no program was valid."""
    key: str | None
    fitness: list[float] | None
    evaluations: int
    seconds: float
    origin: Provenance | None = None
    """Where the guess was made; None where that is not known."""


def encode_result(result: Result, islands: bytes) -> bytes:
    """The result as an object; `islands` is a checkpoint of the task's islands."""
    return seal(_KIND, result, islands)


def decode_result(data: bytes) -> tuple[Result, bytes]:
    """(result, checkpoint of the task's islands); errors as in `sealed.unseal`."""
    return unseal(_KIND, Result, data)


def encode_states(states: Checkpoint) -> bytes:
    """A task's last states as part of its result; errors as in `encode_checkpoint`."""
    is_large = sum(map(content_bytes, states.islands)) > TIGHT_BYTES
    return encode_checkpoint(states, _FAST if is_large else _TIGHT)


def result_digest(data: bytes) -> str:
    """The digest that ends a result's name."""
    return blake3(data).hexdigest(length=16)


def finite(number: float) -> float:
    """The number as JSON can hold it: infinite ones become the largest there are."""
    return max(-LARGEST, min(number, LARGEST))


def text_of(genome: bytes) -> str:
    """A program as text: its bytes as UTF-8, or in hexadecimal if they are none."""
    try:
        return genome.decode()
    except UnicodeDecodeError:
        return genome.hex()


def hex_of(text: str, key: str, key_of: Keyer) -> str:
    """The bytes, in hexadecimal, of the program of which `text_of` made this text: its key tells which it did."""
    genome = text.encode()
    return genome.hex() if key_of(genome).hex() == key else text
