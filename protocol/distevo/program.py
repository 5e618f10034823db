"""A program: canonical bytes, the key made of them, and what evaluation said.

The genome, and nothing else, is identity.  Its key is a BLAKE3 digest keyed by the name and the version of the
problem, so that keys compare across runs of one problem and never across problems.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isnan
from typing import Self

import msgspec
from blake3 import blake3

KEY_BYTES = 32
BEHAVIOUR_BYTES = 8
MAX_GENOME_BYTES = 1 << 20
MAX_FITNESS_NUMBERS = 255
MAX_META_BYTES = 255

Keyer = Callable[[bytes], bytes]
"""Makes the 32-byte key of a genome."""


@lru_cache(256)
def keyer(problem: str, version: str) -> Keyer:
    """The keyer of a problem: BLAKE3 in keyed mode, under a key derived from the problem's name and version."""
    name = problem.encode()
    # The length of the name stands before both, so that ("a", "bc") and ("ab", "c") derive different keys.
    material = len(name).to_bytes(8, "little") + name + version.encode()
    secret = blake3(material, derive_key_context="distevo 2026 program key").digest()

    def key_of(genome: bytes) -> bytes:
        return blake3(genome, key=secret).digest()

    return key_of


class Program(msgspec.Struct, frozen=True, order=True, gc=False):
    """One evaluated program; an immutable value, made by `Program.of`.

    Programs compare as they rank: `a < b` says that `a` is better, and sorting puts the best first.  The fields
    below are in the order in which they are compared, each stored so that less is better; all of it is done in C.
    Programs that differ are told apart by the key at the latest.  What follows the key only chooses, always
    alike, between copies of one program that were evaluated differently; `==` tells such copies apart too.

    It is a struct outside the garbage collector (it can hold no cycle), because populations are read, merged and
    written column by column, without a line of Python for each program.
    """

    cost: float
    """The first fitness number negated; apart from the others, because a bare float compares faster."""
    other_costs: tuple[float, ...]
    """The other fitness numbers negated; empty when there is one."""
    size: int
    """Bytes of the genome."""
    key: bytes
    """32 bytes, by the problem's keyer: the genome's identity, and so the program's."""
    meta: bytes
    """Provenance, at most 255 bytes."""
    unfit: bool
    behaviour: bytes
    """8-byte digest of what it does on the task's inputs; b"" where unknown."""
    genome: bytes
    """Canonical bytes, at most 1 MiB."""

    @classmethod
    def of(
        cls,
        genome: bytes,
        key: bytes,
        fitness: Sequence[float],
        fit: bool = False,
        behaviour: bytes = b"",
        meta: bytes = b"",
    ) -> Self:
        """The program of these parts.

        `fitness`: 1 to 255 numbers, maximised, compared lexicographically; as many for each program of a problem.
        Infinite is allowed, NaN is not.  Raises `ValueError` for parts outside the limits.
        """
        if len(genome) > MAX_GENOME_BYTES:
            raise ValueError(f"a genome of {len(genome)} bytes; at most {MAX_GENOME_BYTES} are allowed")
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes; the problem's keyer makes {KEY_BYTES}")
        if not 1 <= len(fitness) <= MAX_FITNESS_NUMBERS:
            raise ValueError(f"{len(fitness)} fitness numbers; 1 to {MAX_FITNESS_NUMBERS} are allowed")
        if len(behaviour) not in (0, BEHAVIOUR_BYTES):
            raise ValueError(f"a behaviour of {len(behaviour)} bytes; {BEHAVIOUR_BYTES}, or 0 where unknown")
        if len(meta) > MAX_META_BYTES:
            raise ValueError(f"metadata of {len(meta)} bytes; at most {MAX_META_BYTES} are allowed")
        # Subtracting, where negating would do, makes floats of ints and leaves one zero, never -0.0.
        cost, *others = [0.0 - number for number in fitness]
        if isnan(cost) or any(map(isnan, others)):
            raise ValueError(f"fitness {fitness!r} has a NaN; an invalid program has no fitness at all")
        return cls(cost, tuple(others), len(genome), key, meta, not fit, behaviour, genome)

    @property
    def fitness(self) -> tuple[float, ...]:
        """The fitness numbers, maximised.  Whoever only compares should compare programs, which is faster."""
        return (0.0 - self.cost, *[0.0 - cost for cost in self.other_costs])

    @property
    def fit(self) -> bool:
        """Whether all visible examples are right."""
        return not self.unfit

    def __hash__(self) -> int:
        # Not Python's hash of the bytes, which is salted: a set of programs iterates alike in every process.
        return int.from_bytes(self.key[:8], "little")
