"""Telling: which of the programs that an island has evaluated the other islands of its task may skip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from distevo.messages import SEEN_KEY_BYTES
from distevo.problem import Evaluation
from distevo.program import Program
from distevo.seen import MAX_SEEN_BYTES

LEAST_SHARED_SECONDS = 50e-6
"""Shorter evaluations are not told to other islands: there are more of them than `distevo.seen` announces."""


def skippable(keys: list[bytes], chosen: list[int], evaluations: list[Evaluation | None]) -> bytes:
    """Beginnings of the keys of the programs evaluated that no other island of the task needs to evaluate.

    Not of a fit one: were it lost here, somebody has to find it again. Nor of one that raised, which may be this
    platform's fault.
    """
    # More than a message's worth in one generation is evaluated faster than it is told.
    return b"".join(
        keys[place][:SEEN_KEY_BYTES]
        for place, evaluation in zip(chosen, evaluations, strict=False)
        if evaluation is not None and not evaluation.fit
    )[:MAX_SEEN_BYTES]


class Nodes:
    """The nodes of a sweep that were not told yet.

    They are small and what all others are made of, and an island that could not look at the best of the other islands'
    shares would do without them. So each is told when the archive here does not have it, or has it no more: then what
    evolves has passed it. Told not at all, they were nearly all that was evaluated twice on grid tasks after the delay
    of SEEN: 1.1 % of all evaluations, where it is 0.4 % now (tests/performance/repeats.py).
    """

    def __init__(self) -> None:
        self._keys: set[bytes] = set()

    def add(self, programs: Iterable[Program]) -> None:
        """These were evaluated; a fit one is none to skip."""
        self._keys.update(program.key for program in programs if not program.fit)

    def left_behind(self, archive: Sequence[Program], most: int) -> bytes:
        """Beginnings of the keys of those that are not in the archive, at most so many bytes; each is given once."""
        if not self._keys:
            return b""
        gone = sorted(self._keys.difference(program.key for program in archive))[: most // SEEN_KEY_BYTES]
        self._keys.difference_update(gone)
        return b"".join(key[:SEEN_KEY_BYTES] for key in gone)
