"""A problem whose evaluations burn CPU time and leave a trace of when each worker was at one."""

from __future__ import annotations

import os
import random
import struct
import time
from pathlib import Path
from typing import Any, NamedTuple

RECORD = struct.Struct("<ddI")


class Span(NamedTuple):
    """One evaluation: seconds on the machine's monotonic clock, and the number of its task."""

    begin: float
    end: float
    task: int


class Traced:
    """Task data: {"folder": where traces go, one file for each worker, "number": the task's, "milliseconds": CPU time
    of an evaluation}. No two programs are alike, and none is ever fit."""

    name, version = "traced", "1"

    def __init__(self, task: dict[str, Any]) -> None:
        self._number, self._seconds = int(task["number"]), float(task["milliseconds"]) / 1000
        path = Path(task["folder"]) / str(os.getpid())
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __del__(self) -> None:
        os.close(self._file)

    def random(self, rng: random.Random) -> int:
        return rng.getrandbits(64)

    def mutate(self, genome: int, rng: random.Random) -> int:
        return rng.getrandbits(64)

    def evaluate(self, genome: int) -> float:
        begin = time.monotonic()
        until = time.thread_time() + self._seconds
        while time.thread_time() < until:
            pass
        os.write(self._file, RECORD.pack(begin, time.monotonic(), self._number))
        return (genome >> 32) / 2**32

    def encode(self, genome: int) -> bytes:
        return b"%x" % genome

    def decode(self, data: bytes) -> int:
        return int(data, 16)


def spans(folder: Path) -> dict[int, list[Span]]:
    """All evaluations by worker's process id, in order."""
    return {
        int(path.name): [Span(*fields) for fields in RECORD.iter_unpack(path.read_bytes())]
        for path in sorted(folder.iterdir())
    }
