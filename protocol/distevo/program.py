"""A program: canonical bytes, the key made of them, and what evaluation said.

The genome, and nothing else, is identity.  Its key is a BLAKE3 digest keyed by the name and the version of the
problem, so that keys compare across runs of one problem and never across problems.
"""

from collections.abc import Callable, Sequence
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


def keyer(problem: str, version: str) -> Keyer:
    """The keyer of a problem: BLAKE3 in keyed mode, under a key derived from the problem's name and version."""
    name = problem.encode()
    # The length of the name stands before both, so that ("a", "bc") and ("ab", "c") derive different keys.
    material = len(name).to_bytes(8, "little") + name + version.encode()
    secret = blake3(material, derive_key_context="distevo 2026 program key").digest()

    def key_of(genome: bytes) -> bytes:
        return blake3(genome, key=secret).digest()

    return key_of


class Order(msgspec.Struct, frozen=True, order=True, gc=False):
    """What programs sort by, ascending, best first; compared field by field, in C.

    The costs are the fitness numbers negated, the first apart from the others because a bare float compares
    faster than a tuple.  Programs of one problem that differ are told apart by the key at the latest; what
    follows only chooses, always alike, between copies of one program that were evaluated differently.
    """

    cost: float
    other_costs: tuple[float, ...]
    size: int
    key: bytes
    meta: bytes
    unfit: bool
    behaviour: bytes


class Program(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One evaluated program; an immutable value, made by `Program.of`.

    `genome`: canonical bytes, at most 1 MiB.  `key`: its 32 bytes, by the problem's keyer.  `fit`: all visible
    examples are right.  `behaviour`: 8-byte digest of what it does on the task's inputs, b"" where unknown.
    `meta`: provenance, at most 255 bytes.  `order`: sort key, best first (fitness descending, then the shorter
    genome, then the lower key); total.  `fitness` is derived from `order`; whoever compares programs should
    compare `order`, which is faster.

    Two programs are equal when their keys are.

    Both classes are structs outside the garbage collector (they hold no cycles), because populations are read,
    merged and written column by column, without a line of Python for each program.
    """

    order: Order
    genome: bytes
    key: bytes
    fit: bool
    behaviour: bytes
    meta: bytes

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
        order = Order(cost, tuple(others), len(genome), key, meta, not fit, behaviour)
        return cls(order, genome, key, fit, behaviour, meta)

    @property
    def fitness(self) -> tuple[float, ...]:
        """The fitness numbers, maximised."""
        order = self.order
        return (0.0 - order.cost, *[0.0 - cost for cost in order.other_costs])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.key == other.key

    def __hash__(self) -> int:
        # Not Python's hash of the bytes, which is salted: a set of programs iterates alike in every process.
        return int.from_bytes(self.key[:8], "little")
