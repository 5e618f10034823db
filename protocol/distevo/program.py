"""A program: canonical bytes, the key made of them, and what evaluation said.

The genome, and nothing else, is identity.  Its key is a BLAKE3 digest keyed by the name and the version of the problem,
so that keys compare across runs of one problem and never across problems.
"""

from collections.abc import Callable
from math import isnan
from typing import NamedTuple, Self

from blake3 import blake3

KEY_BYTES = 32
BEHAVIOUR_BYTES = 8
MAX_GENOME_BYTES = 1 << 20
MAX_FITNESS_NUMBERS = 255
MAX_META_BYTES = 255

Keyer = Callable[[bytes], bytes]
"""Makes the 32-byte key of a genome."""

Order = tuple[float, tuple[float, ...], int, bytes, bytes, bool, bytes]
"""Sorts ascending to "best first": first fitness negated, the other fitness numbers negated, genome length, key; then
metadata, unfit, behaviour, which only tell two differing copies of one program apart."""


def keyer(problem: str, version: str) -> Keyer:
    """The keyer of a problem: BLAKE3 in keyed mode, under a key derived from the problem's name and version."""
    name, number = problem.encode(), version.encode()
    # The length of the name stands before both, so ("a", "bc") and ("ab", "c") derive different keys.
    material = len(name).to_bytes(8, "little") + name + number
    secret = blake3(material, derive_key_context="distevo 2025 key of a program").digest()

    def key_of(genome: bytes) -> bytes:
        return blake3(genome, key=secret).digest()

    return key_of


class _Parts(NamedTuple):
    order: Order
    genome: bytes
    key: bytes
    fitness: tuple[float, ...]
    fit: bool
    behaviour: bytes
    meta: bytes


class Program(_Parts):
    """One evaluated program; an immutable value.

    `genome`: canonical bytes, at most 1 MiB.  `key`: 32 bytes, by the problem's keyer.  `fitness`: 1 to 255 numbers,
    maximised, compared lexicographically; infinite is allowed, NaN is not.  `fit`: all visible examples are right.
    `behaviour`: 8-byte digest of what it does on the task's inputs, or b"" where unknown.  `meta`: provenance, at most
    255 bytes.  `order`: sort key, best first; total, and equal for equal programs only.

    Two programs are equal when their keys are.  `ValueError` is raised for parts outside the limits above.

    It is a tuple so that thousands are built, sorted and taken apart without a line of Python for each.
    """

    __slots__ = ()

    def __new__(
        cls,
        genome: bytes,
        key: bytes,
        fitness: tuple[float, ...],
        fit: bool = False,
        behaviour: bytes = b"",
        meta: bytes = b"",
    ) -> Self:
        if len(genome) > MAX_GENOME_BYTES:
            raise ValueError(f"a genome of {len(genome)} bytes; at most {MAX_GENOME_BYTES} are allowed")
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes; use the problem's keyer, which makes {KEY_BYTES}")
        if not 1 <= len(fitness) <= MAX_FITNESS_NUMBERS:
            raise ValueError(f"{len(fitness)} fitness numbers; 1 to {MAX_FITNESS_NUMBERS} are allowed")
        if len(behaviour) not in (0, BEHAVIOUR_BYTES):
            raise ValueError(
                f"a behaviour of {len(behaviour)} bytes; {BEHAVIOUR_BYTES}, or none where unknown"
            )
        if len(meta) > MAX_META_BYTES:
            raise ValueError(f"metadata of {len(meta)} bytes; at most {MAX_META_BYTES} are allowed")
        # Adding 0.0 turns an int into a float and -0.0 into 0.0, which is equal but has other bytes.
        numbers = tuple([number + 0.0 for number in fitness])
        if any(map(isnan, numbers)):
            raise ValueError(f"fitness {numbers} has a NaN; let evaluate return None for an invalid program")
        first, *others = [0.0 - number for number in numbers]
        order = (first, tuple(others), len(genome), key, meta, not fit, behaviour)
        return super().__new__(cls, order, genome, key, numbers, fit, behaviour, meta)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.key == other.key

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        # Not the salted hash of the bytes: a set of programs iterates alike in every process.
        return int.from_bytes(self.key[:8], "little")
