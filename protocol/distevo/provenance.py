"""Provenance: on which platform, in which island and in which of its generations a program was made.

It travels in a program's metadata, 6 octets and the platform's id:

    generation u32 | island u16 | platform, UTF-8

Big-endian, and the generation first: of two copies of one program the lower metadata stays (`Population`), so a
program that is made again keeps its first generation, and repeating an evaluation changes no population.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

import msgspec

_HEAD = Struct(">IH")
_LATEST, _LAST = 2**32 - 1, 2**16 - 1


class Provenance(msgspec.Struct, frozen=True):
    """Where a program was first evaluated."""

    platform: str
    island: int
    """Its index in the task."""
    generation: int
    """The island's count of generations when that one was over."""


def meta_of(provenance: Provenance) -> bytes:
    """The metadata that says so."""
    head = _HEAD.pack(min(provenance.generation, _LATEST), min(provenance.island, _LAST))
    return head + provenance.platform.encode()


def provenance_of(meta: bytes) -> Provenance | None:
    """What metadata says; None where it says nothing: a program of an earlier distevo."""
    if len(meta) <= _HEAD.size:
        return None
    generation, island = _HEAD.unpack_from(meta)
    return Provenance(meta[_HEAD.size :].decode(errors="replace"), island, generation)


def made_after(island: int, generation: int) -> Callable[[bytes], bool]:
    """Tells by metadata whether a program was made in this island, after this generation; without decoding it."""
    generations, islands = slice(0, 4), slice(4, _HEAD.size)
    latest = _HEAD.pack(min(generation, _LATEST), min(island, _LAST))

    def is_new(meta: bytes) -> bool:
        return len(meta) > _HEAD.size and meta[islands] == latest[islands] and meta[generations] > latest[generations]

    return is_new


def origin_view(meta: bytes) -> dict[str, Any] | None:
    """The provenance as people and programs are shown it."""
    provenance = provenance_of(meta)
    return None if provenance is None else msgspec.structs.asdict(provenance)
