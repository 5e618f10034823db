"""A command about a run or a member, as an object in the inbox."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from distevo.messages import Count
from distevo.names import MAX_ID_BYTES
from distevo.run import Budget, Priority
from distevo.sealed import seal, unseal

_KIND = b"CMND"

Id = Annotated[str, msgspec.Meta(max_length=MAX_ID_BYTES)]


class Verb(StrEnum):
    """What to do with a run, or with a member."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    EXTEND = "extend"
    DELETE = "delete"
    PRIORITY = "priority"
    """Change which of the waiting runs go first."""
    DRAIN = "drain"
    """Hand a member's islands over and let it leave."""
    REVOKE = "revoke"
    """Let a member's key in no more."""
    UNREVOKE = "unrevoke"

    @property
    def is_about_member(self) -> bool:
        """Whether a command with it names a member, and no run."""
        return self in {Verb.DRAIN, Verb.REVOKE, Verb.UNREVOKE}


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One command."""

    verb: Verb
    run: Id = ""
    first_grant: Count = 0
    """For the verbs about a run: which run of that name is meant, so that a command that comes late does nothing to a
    later one; 0: any."""
    budget: Budget | None = None
    """For `extend`: the new budget of each task."""
    priority: Priority | None = None
    """For `priority`: the new one."""
    member: Id = ""
    """For the verbs about a member: its id; for `unrevoke` also a key, since members leave the plan and keys stay."""
    boot: Id = ""
    """For `drain`: which life of the member is meant, so that a command that comes late ends no later one; empty: any.
    """


def encode_command(command: Command) -> bytes:
    """The command as an object for the store."""
    return seal(_KIND, command)


def decode_command(data: bytes) -> Command:
    """The command in a stored object; errors as in `sealed.unseal`."""
    command, _ = unseal(_KIND, Command, data)
    return command
