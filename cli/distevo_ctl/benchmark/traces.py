"""What the workers of a cluster evaluated in a while, and what of it for the second time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from distevod.evolution.trace import KEY_BYTES, Record, read_trace


class Counted(NamedTuple):
    """Evaluations in a while."""

    evaluations: float
    repeats: float
    """Of programs that had been evaluated for the same task, anywhere."""
    repeats_elsewhere: float
    """Those of them that had been evaluated first on another platform."""

    @property
    def distinct(self) -> float:
        """All but the repeats."""
        return self.evaluations - self.repeats


def count_traces(traces: Iterable[Path], begun: float, ended: float) -> Counted:
    """What is in these traces, which have a folder for each platform, between two moments of the monotonic clock.
    Raises OSError.

    Of a generation that is only partly in between, that part of it counts.
    """
    tasks: dict[tuple[str, str], list[tuple[Record, Path]]] = defaultdict(list)
    for path in traces:
        for record in read_trace(path):
            tasks[record.run, record.task].append((record, path.parent))
    evaluations = repeats = elsewhere = 0.0
    for records in tasks.values():
        first: dict[bytes, Path] = {}
        for record, platform in sorted(records, key=lambda entry: entry[0].ended):
            share = _share(record, begun, ended)
            evaluations += share * record.evaluations
            for at in range(0, len(record.keys), KEY_BYTES):
                key = record.keys[at : at + KEY_BYTES]
                by = first.get(key)
                if by is None:
                    first[key] = platform
                elif share:
                    repeats += share
                    elsewhere += share if by != platform else 0.0
    return Counted(evaluations, repeats, elsewhere)


def _share(record: Record, begun: float, ended: float) -> float:
    length = max(record.ended - record.begun, 1e-9)
    return max(min(record.ended, ended) - max(record.begun, begun), 0.0) / length
