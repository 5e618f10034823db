"""Paths: the ways by which a message can travel from one member to another."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class PathKind(StrEnum):
    """How a message travels."""

    DIRECT = "direct"
    VIA = "via"
    """Through one member that both are linked with."""
    MAIL = "mail"
    """Through the store."""
    NONE = "none"
    """Not at all: the plan does not show the member."""


class Path(NamedTuple):
    """How a message travels, and through whom."""

    kind: PathKind
    via: str | None = None


DIRECT, MAIL, NONE = Path(PathKind.DIRECT), Path(PathKind.MAIL), Path(PathKind.NONE)
