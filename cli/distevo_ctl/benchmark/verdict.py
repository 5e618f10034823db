"""The verdict: good, fair or poor by the bounds of the tuning guide, and where to look if it is not good.

The guide's bounds of the throughput multiplier, 2.5 and 2.0, are for three platforms; for other counts they are in
proportion. Where the machine cannot give each platform a size of its own, the count is what it can give.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import msgspec

GUIDE_PLATFORMS = 3


class Grade(IntEnum):
    """The worse, the higher."""

    GOOD = 0
    FAIR = 1
    POOR = 2


class Bound(NamedTuple):
    """What is good, what is poor, and what to do about what is not good."""

    good: float
    poor: float
    advice: str


MULTIPLIER = Bound(
    2.5, 2.0,
    "see whether all platforms are busy: workers_idle_percent, islands and queues in `distevo-ctl status`, merges, and "
    "what --profile shows",
)  # fmt: skip
CHECKPOINTS = Bound(
    20.0, 30.0,
    "have compression on (--enable-compression) at a fast level (--compression-level 3), and checkpoints seldom "
    "(--checkpoint-generations 5 and more)",
)  # fmt: skip
MERGES = Bound(10.0, 15.0, "merge less: a smaller --preserve-top-n, a longer --merge-interval")
RECOVERY = Bound(
    60.0, 60.0,
    "look for lost links in `distevo-ctl status --edges`; a shorter --heartbeat-timeout finds the dead sooner",
)  # fmt: skip


class Finding(msgspec.Struct, frozen=True):
    """One figure against its bounds."""

    what: str
    platform_count: int
    value: float
    good: float
    poor: float
    grade: str
    advice: str | None


def judge(
    platforms: int, capacity: float, multiplier: float, checkpoint: float, merge: float, recovery: float | None
) -> list[Finding]:
    """The findings on one count of platforms. `checkpoint` and `merge` are percent, `recovery` is seconds, and
    `capacity` says how much more there is to work with than for one platform."""
    findings = []
    if capacity > 1:
        scale = capacity / GUIDE_PLATFORMS
        good, poor = round(MULTIPLIER.good * scale, 3), round(MULTIPLIER.poor * scale, 3)
        grade = Grade.GOOD if multiplier >= good else Grade.POOR if multiplier < poor else Grade.FAIR
        findings.append(_finding("throughput_multiplier", platforms, multiplier, good, poor, grade, MULTIPLIER.advice))
    for what, value, bound in (
        ("checkpoint_overhead_percent", checkpoint, CHECKPOINTS),
        ("merge_overhead_percent", merge, MERGES),
        ("recovery_seconds", recovery, RECOVERY),
    ):
        if value is not None:
            grade = Grade.GOOD if value < bound.good else Grade.POOR if value > bound.poor else Grade.FAIR
            findings.append(_finding(what, platforms, value, bound.good, bound.poor, grade, bound.advice))
    return findings


def overall(findings: list[Finding]) -> str:
    """The worst of them."""
    return max((Grade[finding.grade.upper()] for finding in findings), default=Grade.GOOD).name.lower()


def _finding(what: str, platforms: int, value: float, good: float, poor: float, grade: Grade, advice: str) -> Finding:
    return Finding(
        what=what,
        platform_count=platforms,
        value=round(value, 4),
        good=good,
        poor=poor,
        grade=grade.name.lower(),
        advice=None if grade is Grade.GOOD else advice,
    )
