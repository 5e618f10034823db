"""Looking into a store: what is there, and what cannot be read of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from distevo.errors import CheckpointError, CheckpointVersionError, NotFound, ObjectError, ObjectVersionError
from distevo.view import Unreadable

AT_ONCE = 8
"""Objects that are read, or deleted, at a time."""

T = TypeVar("T")


class Reader(Protocol):
    """The verbs of a store that only look."""

    def read(self, name: str) -> tuple[bytes, int]: ...
    def list(self, prefix: str) -> list[str]: ...


def attempt(store: Reader, name: str, decode: Callable[[bytes], T]) -> T | Unreadable:
    """The object, or why there is none to be had. Raises StoreError where the store does not answer."""
    try:
        return decode(store.read(name)[0])
    except NotFound:
        return Unreadable(name, "it is not there", is_missing=True)
    except (ObjectError, CheckpointError) as error:
        return Unreadable(name, str(error), isinstance(error, ObjectVersionError | CheckpointVersionError))


def attempt_all(store: Reader, names: Collection[str], decode: Callable[[bytes], T]) -> dict[str, T | Unreadable]:
    """`attempt`, several at a time; by name."""
    with ThreadPoolExecutor(AT_ONCE) as executor:
        return dict(zip(names, executor.map(lambda name: attempt(store, name, decode), names), strict=True))
