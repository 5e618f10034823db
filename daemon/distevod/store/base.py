"""The store: what every platform of a cluster shares, and what each verb guarantees.

A store maps names to bytes.  There are two kinds of object, and the name says which one it is:

* a name **without** `/` (`cluster`) is a *mutable* object: made by `create`, then changed by `replace` alone,
  which compares tokens; never deleted.  All that a cluster decides hangs on one such object.
* a name **with** `/` (`plans/3-17-a1b2`) is an object *written once*: made by `create`, never replaced, and
  removed by `delete`.  Creates and deletes of it cannot be fenced, so nothing is decided by them.

So a token never outlives its object, and a store needs no history of deleted names: the two verbs whose race
would need it (`replace` and `delete`) never meet on one name.

Names are chains of segments joined by `/`; see `check_name`.  One contract suite, `tests/store/contract.py`,
holds every implementation to what is said here.
"""

from __future__ import annotations

import re
from typing import Protocol

from distevo.errors import BadName
from distevo.names import MAX_SEGMENT_BYTES

MAX_NAME_BYTES = 1024
"""Longest name: what Google Cloud Storage takes."""
RESERVED = frozenset({"cas", "tmp"})
"""First segments that no name has: a folder store keeps its own files below them."""

UPLOAD_SECONDS = 30.0
"""How long sending an object that is written once to a store elsewhere may take, and once more its answer."""

SEGMENT = re.compile(r"[A-Za-z0-9._~%-]{1,255}")
"""What every segment matches."""

_FOREIGN = re.compile(r"[^A-Za-z0-9._~%/-]")


class Store(Protocol):
    """A blocking store, safe for many threads, many objects of this class and many processes at once.

    Every verb raises `BadName` for a name that breaks the rules of this module, and `StoreUnavailable` when
    it was certainly not carried out and will not be until somebody acts: the message says what is wrong and
    what to do.  Once a verb has returned, or has raised `Conflict`, that stays so through a crash of any
    process and a loss of power.  A process that dies in the middle of a verb leaves the state before it or the
    state after it, and nothing that hinders others.
    """

    swap_interval: float
    """Least seconds between two swaps of one object that the store sustains."""

    mail_interval: float
    """Seconds between two boxes of mail of one member, where no setting says so: few where each object costs."""

    checkpoint_interval: float
    """Least seconds between two checkpoints of one platform, where nothing makes one urgent."""

    def billed(self) -> dict[str, int]:
        """Requests that somebody is billed for so far, by class; none for what costs nothing."""
        ...

    def read(self, name: str) -> tuple[bytes, int]:
        """The bytes of an object, whole, and its token.

        A read that begins after a `create` or `replace` returned sees it, or something newer.  The token is a
        positive integer that rises with every change of a mutable object; that of an object written once
        carries no meaning.

        Raises:
            NotFound: there is no object of that name.
        """
        ...

    def create(self, name: str, data: bytes) -> int:
        """Make an object that must not exist, whole or not at all, and return its token.

        Of several that create one name at once, exactly one succeeds.

        Raises:
            Conflict: definitely not made: the name exists.  After an earlier try that ended in `Unknown` or
                in a crash, the object that exists may be one's own: read it to know.
            Unknown: it may or may not have been made.
        """
        ...

    def replace(self, name: str, data: bytes, token: int) -> int:
        """Compare-and-swap: give a mutable object new bytes if `token` is still its newest; return the next.

        Of all that replace one token, ever, at most one succeeds.

        Raises:
            Conflict: definitely not written: the token is not the newest, or there is no such object.
            Unknown: it may or may not have been written, and may have been replaced since.  Read again and
                look for a mark of one's own (a nonce) in what is there.
            BadName: the name is one of an object written once.
        """
        ...

    def list(self, prefix: str) -> list[str]:
        """All names that begin with `prefix` (any text, `""` for everything), each once, in ascending order.

        Every object is in it that existed from the beginning of the call to its end, and none that did not
        exist at some moment between.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove an object written once; one that is absent is fine.

        Raises:
            Unknown: it may come back after a loss of power.
            BadName: the name is one of a mutable object, which is never deleted.
        """
        ...


def is_mutable(name: str) -> bool:
    """Whether a name is one of an object that is swapped, and not written once."""
    return "/" not in name


def check_name(name: str) -> None:
    """Raise `BadName` unless `name` is one that every store can hold.

    One or more segments joined by `/`, each of 1 to 255 ASCII letters, digits and `-._~%` (what
    percent-encoding leaves), none of them `.` or `..`; at most 1,024 in all; the first not `cas` or `tmp`.
    """
    _check_text(name)
    segments = name.split("/")
    for segment in segments:
        _check_segment(name, segment)
    if segments[0] in RESERVED:
        raise BadName(f"object name {_shown(name)} begins with {segments[0]!r}, which a folder store needs for itself")


def check_prefix(prefix: str) -> None:
    """Raise `BadName` unless some name could begin with `prefix`."""
    _check_text(prefix)
    folder, slash, _ = prefix.rpartition("/")
    if slash:
        check_name(folder)


def check_mutable(name: str) -> None:
    """Raise `BadName` unless `name` is a good one of an object that may be replaced."""
    check_name(name)
    if not is_mutable(name):
        raise BadName(f"{_shown(name)} is written once and cannot be replaced: only a name without '/' can")


def check_written_once(name: str) -> None:
    """Raise `BadName` unless `name` is a good one of an object that may be deleted."""
    check_name(name)
    if is_mutable(name):
        raise BadName(f"{_shown(name)} is a mutable object, which is never deleted: only a name with '/' can be")


def _check_text(name: str) -> None:
    foreign = _FOREIGN.search(name)
    if foreign:
        raise BadName(
            f"object name {_shown(name)} holds {foreign[0]!r}: percent-encode all but ASCII letters, digits and '-._~'"
        )
    if len(name) > MAX_NAME_BYTES:
        raise BadName(f"object name {_shown(name)} has {len(name)} bytes; at most {MAX_NAME_BYTES} are allowed")


def _check_segment(name: str, segment: str) -> None:
    if not segment:
        raise BadName(f"object name {_shown(name)} has an empty part: no '/' at an end, no two in a row")
    if segment in {".", ".."}:
        raise BadName(f"object name {_shown(name)} has the part {segment!r}: write its dots as '%2E'")
    if len(segment) > MAX_SEGMENT_BYTES:
        raise BadName(
            f"object name {_shown(name)} has a part of {len(segment)} bytes; at most {MAX_SEGMENT_BYTES} are allowed"
        )


def _shown(name: str) -> str:
    return repr(name) if len(name) <= 80 else f"{name[:80]!r}..."
