"""A command about a run, as an object in the inbox."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from distevo.run import Budget
from distevo.sealed import seal, unseal

_KIND = b"CMND"


class Verb(StrEnum):
    """What to do with a run."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    EXTEND = "extend"
    DELETE = "delete"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command."""

    verb: Verb
    run: str
    budget: Budget | None = None
    """For `extend`: the new budget of each task."""


def encode_command(command: Command) -> bytes:
    """The command as an object for the store."""
    return seal(_KIND, command)


def decode_command(data: bytes) -> Command:
    """The command in a stored object; errors as in `sealed.unseal`."""
    command, _ = unseal(_KIND, Command, data)
    return command
