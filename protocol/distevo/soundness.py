"""Whether the bytes of a stored object are those that were written. Every object carries a digest that says so."""

from __future__ import annotations

from distevo import checkpoint, cluster, sealed
from distevo.names import CHECKPOINTS, CLUSTER


def is_whole(name: str, data: bytes) -> bool:
    """Whether neither a bit nor the end is lost; says nothing of what the object holds."""
    if name == CLUSTER:
        return cluster.is_whole(data)
    if name.startswith(CHECKPOINTS):
        return checkpoint.is_whole(data)
    return sealed.is_whole(data)
