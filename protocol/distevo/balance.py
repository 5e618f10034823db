"""Balance: which platforms take so much longer than the others for the same work that they give islands away.

Each platform's pace is compared with the cluster's median (`relative`). What the plan has of a platform follows
what is measured only with hysteresis: a departure has to be clear, and to last. It stands in the plan, so that a
successor decides nothing anew. What follows from it for islands is the placement's to say (`hosts`, `placement`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from statistics import median_low

from distevo.alarms import NEVER
from distevo.outbox import Outbox
from distevo.plan import MemberPlan

LOOK_SECONDS = 5.0
"""Platforms are compared this often."""
HOLD_SECONDS = 20.0
"""What is measured has to depart from what the plan has for so long, without a break, before the plan follows."""
TRY_AGAIN_SECONDS = 600.0
"""Who has had no work for so long counts as usual again, and is given some."""
STEP = 1.5
"""Less than this factor is no departure, unless it crosses the threshold."""
RETURN_SHARE = 0.7
"""A slow platform is slow no more below this part of the threshold."""
MOST_TIMES = 100.0
"""Whoever is slower than this counts as this slow; and who is faster, as this fast."""


def relative(measured: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """How many times as long as the cluster's median each platform takes for the same work.

    `measured`: by platform and run, its pace. Platforms are compared over runs that several work on;
    who shares no run with anybody is left out. Of two the faster one is the measure, of four the second fastest: half
    of a cluster that is slow should not pass for usual.
    """
    runs: dict[str, dict[str, float]] = {}
    for platform, by_run in measured.items():
        for run, pace in by_run.items():
            if pace > 0:
                runs.setdefault(run, {})[platform] = pace
    ratios: dict[str, list[float]] = {}
    for found in runs.values():
        usual = median_low(found.values())
        for platform, pace in found.items() if len(found) > 1 else ():
            ratios.setdefault(platform, []).append(pace / usual)
    return {platform: min(max(median_low(all_), 1 / MOST_TIMES), MOST_TIMES) for platform, all_ in ratios.items()}


def is_slow(member: MemberPlan, threshold: float | None) -> bool:
    """Whether a platform gives islands away; with no threshold none does."""
    return threshold is not None and member.slowness >= threshold


class Balance:
    """Keeps what the plan has of each platform's slowness near what is measured."""

    def __init__(self, threshold: float | None, outbox: Outbox) -> None:
        """`threshold`: a platform is slow from so many times the median on; None: none ever is."""
        self._threshold, self._outbox = threshold, outbox
        self._departures: dict[str, tuple[bool, float]] = {}
        """By boot: whether it is slower than the plan has it, or faster, and since when."""
        self._worked_at: dict[str, float] = {}
        """By boot."""
        self._look_at = NEVER

    def begin(self, now: float) -> None:
        """A term begins."""
        self._look_at = now + LOOK_SECONDS

    def next_deadline(self) -> float:
        """When the platforms are to be compared again."""
        return self._look_at

    def look(self, members: Mapping[str, MemberPlan], measured: Mapping[str, Mapping[str, float]], now: float) -> bool:
        """Compare the platforms that live; whether the plan changed."""
        self._look_at = now + LOOK_SECONDS
        found = relative({name: measured[name] for name in members if name in measured})
        before, self._departures = self._departures, {}
        due = []
        for name, times in found.items():
            boot, planned = members[name].boot, members[name].slowness
            if self._departs(planned, times):
                is_slower, known = times > planned, before.get(boot)
                since = known[1] if known is not None and known[0] == is_slower else now
                self._departures[boot] = is_slower, since
                if now - since >= HOLD_SECONDS:
                    due.append(name)
        for name in due:
            self._follow(name, members[name], found[name])
        return self._try_again(members, {name for name in members if measured.get(name)}, now) or bool(due)

    def _try_again(self, members: Mapping[str, MemberPlan], at_work: Collection[str], now: float) -> bool:
        """What was measured long ago says nothing of a platform any more."""
        self._worked_at = {
            member.boot: now if name in at_work else self._worked_at.get(member.boot, now)
            for name, member in members.items()
        }
        forgotten = [
            name
            for name, member in members.items()
            if member.slowness != 1 and now - self._worked_at[member.boot] >= TRY_AGAIN_SECONDS
        ]
        for name in forgotten:
            self._plan(name, members[name], 1.0)
        return bool(forgotten)

    def _departs(self, planned: float, times: float) -> bool:
        if not planned / STEP < times < planned * STEP:
            return True
        threshold = self._threshold
        if threshold is None:
            return False
        return planned < threshold <= times or times <= RETURN_SHARE * threshold < threshold <= planned

    def _follow(self, name: str, member: MemberPlan, times: float) -> None:
        # Between the two bounds nobody becomes slow, and nobody ceases to be.
        least = 0.0 if self._threshold is None else RETURN_SHARE * self._threshold
        if is_slow(member, self._threshold) and times > least:
            times = max(times, self._threshold or 0.0)
        self._plan(name, member, times)

    def _plan(self, name: str, member: MemberPlan, times: float) -> None:
        was_slow = is_slow(member, self._threshold)
        member.slowness = round(times, 2)
        self._departures.pop(member.boot, None)
        if is_slow(member, self._threshold) != was_slow:
            what = "a platform keeps up again" if was_slow else "a platform is slow: islands go from it to others"
            self._outbox.log("info", what, member=name, times=member.slowness)
