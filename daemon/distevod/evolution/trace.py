"""The trace: which programs a worker evaluated, and when, for whoever counts what a cluster does twice.

With DISTEVO_TRACE=FOLDER in a daemon's environment each of its workers writes `PID.trace` into that folder, one record
for each generation:

    length u16 | begun f64 | ended f64 | evaluations u32 | keys u32 | label, `length` bytes | keys, 8 bytes each

Times are seconds of the machine's monotonic clock, which all its processes share. The label is `run/task/island`, and
the keys are the first bytes of those of the programs; an invalid node of an exhaustive sweep has none.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from distevo.checkpoint import IslandSnapshot

VARIABLE = "DISTEVO_TRACE"
KEY_BYTES = 8

_HEAD = struct.Struct("<HddII")


class Record(NamedTuple):
    """One generation of an island in one worker."""

    run: str
    task: str
    island: int
    begun: float
    ended: float
    evaluations: int
    keys: bytes
    """Beginnings of the keys of what was evaluated, one after another."""


class Trace:
    """What a worker writes down."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError for a folder that cannot be used."""
        folder.mkdir(parents=True, exist_ok=True)
        # A generation is one write, so that what is killed leaves whole records, but for its last.
        # It is open for as long as the worker lives.
        self._file = os.open(folder / f"{os.getpid()}.trace", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        self._keys: list[bytes] = []
        self._begun = 0.0

    @classmethod
    def wanted(cls) -> Self | None:
        """A new one, if the environment asks for it."""
        folder = os.environ.get(VARIABLE)
        return cls(Path(folder)) if folder else None

    def begin(self) -> None:
        """A generation begins; of one that broke off nothing is told."""
        self._begun = time.monotonic()
        self._keys.clear()

    def evaluated(self, keys: Iterable[bytes]) -> None:
        """Programs with these keys were evaluated."""
        self._keys.extend(key[:KEY_BYTES] for key in keys)

    def end(self, snapshot: IslandSnapshot, evaluations: int) -> None:
        """The generation is over."""
        label = f"{snapshot.run}/{snapshot.task}/{snapshot.island}".encode()
        head = _HEAD.pack(len(label), self._begun, time.monotonic(), evaluations, len(self._keys))
        os.write(self._file, b"".join((head, label, *self._keys)))


def read_trace(path: Path) -> Iterator[Record]:
    """The records of one worker; one that its end has cut short is left out. Raises OSError."""
    data = path.read_bytes()
    at = 0
    while at + _HEAD.size <= len(data):
        length, begun, ended, evaluations, keys = _HEAD.unpack_from(data, at)
        first = at + _HEAD.size + length
        at = first + keys * KEY_BYTES
        if at > len(data):
            return
        # A task's id may hold a slash, a run's name none.
        run, _, rest = data[first - length : first].decode().partition("/")
        task, _, island = rest.rpartition("/")
        yield Record(run, task, int(island), begun, ended, evaluations, data[first:at])
