"""Telling: which of the programs that an island has evaluated the other islands of its task may skip."""

from __future__ import annotations

from distevo.messages import SEEN_KEY_BYTES
from distevo.problem import Evaluation
from distevo.seen import MAX_SEEN_BYTES

LEAST_SHARED_SECONDS = 50e-6
"""Shorter evaluations are not told to other islands: there are more of them than `distevo.seen` announces."""


def skippable(keys: list[bytes], chosen: list[int], evaluations: list[Evaluation | None]) -> bytes:
    """Beginnings of the keys of the programs evaluated that no other island of the task needs to evaluate.

    Not of a fit one: were it lost here, somebody has to find it again. Nor of one that raised, which may be this
    platform's fault. The nodes of a sweep are not told at all: they are small and what all others are made of, and an
    island that could not look at the other islands' shares would do without most of them. So an island may evaluate a
    node of another's share again: 1 % of what it evaluates in its first minute on a grid task, and nearly all that is
    repeated after the delay of SEEN (tests/performance/repeats.py).
    """
    # More than a message's worth in one generation is evaluated faster than it is told.
    return b"".join(
        keys[place][:SEEN_KEY_BYTES]
        for place, evaluation in zip(chosen, evaluations, strict=False)
        if evaluation is not None and not evaluation.fit
    )[:MAX_SEEN_BYTES]
