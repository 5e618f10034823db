"""The names of the objects in a store.

Every name is made here, so that this page is the whole map of a store. Ids that people choose (members,
runs, tasks) are percent-encoded, since a name is split at `/` and `-` and a store may be a folder.
"""

from __future__ import annotations

import string
from functools import lru_cache

CLUSTER = "cluster"
PLANS = "plans/"
INBOX = "inbox/"
INBOX_RUNS = "inbox/run-"
INBOX_COMMANDS = "inbox/command-"
INBOX_MEMBERS = "inbox/member-"
CHECKPOINTS = "checkpoints/"
RESULTS = "results/"
MAIL = "mail/"

MAX_SEGMENT_BYTES = 255
"""Longest segment of a name: what a Linux file system takes as one file name."""
MAX_ID_BYTES = 64
"""Longest id of a member or a run, in bytes of ASCII: encoded threefold it still fits a file name."""

_PLAIN = frozenset((string.ascii_letters + string.digits + "._").encode())


@lru_cache(4096)
def quote(text: str) -> str:
    """`text` as one segment of a name: letters, digits, `.` and `_` stay, the rest is percent-encoded.

    A leading dot is encoded too, so that no segment is `.`, `..` or a hidden file.
    """
    encoded = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in text.encode())
    return "%2E" + encoded[1:] if encoded.startswith(".") else encoded


def fold(name: str) -> str:
    """What a name has in common with those that a file system may take for it, which tells no upper from lower case."""
    return name.lower()


def plan_name(epoch: int, version: int, nonce: str) -> str:
    """The plan that the swap with this nonce points at."""
    return f"{PLANS}{epoch}-{version}-{nonce}"


def inbox_run(run: str, nonce: str) -> str:
    """A submitted run; a retry of the same submission keeps its nonce, hence its name."""
    return f"{INBOX_RUNS}{quote(run)}-{nonce}"


def inbox_command(nonce: str) -> str:
    """A command (cancel, pause, ...) that waits for the coordinator.

    The nonce of a person's begins with the time, so that of two the earlier is carried out first; that of a platform
    that asks to be drained, since its session ends, is its boot.
    """
    return f"{INBOX_COMMANDS}{nonce}"


def inbox_member(member: str, boot: str, attempt: int = 1) -> str:
    """What a platform says of itself to join the cluster; each attempt has a name of its own."""
    return f"{INBOX_MEMBERS}{quote(member)}-{boot}-{attempt}"


def quote_owner(owner: str) -> str:
    """An owner, `<id>-<boot>`, as one segment of a name."""
    member, _, boot = owner.rpartition("-")
    return f"{quote(member)}-{boot}"


def owner_checkpoints(owner: str) -> str:
    """The prefix of all checkpoints of one boot of a member; `owner` is `<id>-<boot>`."""
    return f"{CHECKPOINTS}{quote_owner(owner)}/"


def mailbox(member: str, boot: str) -> str:
    """The prefix of all boxes of mail that one boot of a member writes."""
    return f"{MAIL}{quote(member)}-{boot}/"


def mail_name(member: str, boot: str, number: int) -> str:
    """One box of mail; numbers of one boot begin at 1 and have no gaps."""
    return f"{mailbox(member, boot)}{number}"


def checkpoint_name(member: str, boot: str, sequence: int) -> str:
    """One checkpoint of one platform."""
    return f"{CHECKPOINTS}{quote(member)}-{boot}/{sequence}"


def checkpoint_of(name: str) -> tuple[str, int] | None:
    """(owner as `quote_owner` has it, sequence) of a checkpoint's name, or None for a foreign name below the prefix."""
    owner, slash, sequence = name.removeprefix(CHECKPOINTS).rpartition("/")
    if not slash or not sequence.isascii() or not sequence.isdigit():
        return None
    return owner, int(sequence)


def result_name(run: str, task: str, epoch: int, digest: str) -> str:
    """A candidate result; it is the result only when the plan names it.

    Only a plan of the coordinator's `epoch` may be the first to name it: hence a later coordinator whose plan does
    not name it may delete it, and an earlier one, that does not know what it is, leaves it alone.
    """
    return f"{run_results(run)}{quote(task)}/{epoch}-{digest}"


def epoch_in(name: str) -> int | None:
    """The epoch in the name of a plan or a result, or None for a foreign name below the prefix."""
    epoch = name.rpartition("/")[2].partition("-")[0]
    return int(epoch) if epoch.isascii() and epoch.isdigit() else None


def run_results(run: str) -> str:
    """The prefix of all candidate results of a run."""
    return f"{RESULTS}{quote(run)}/"
