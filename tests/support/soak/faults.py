"""What strikes the platforms, one thing after the other, all drawn from a seed."""

from __future__ import annotations

import random
from collections import Counter
from typing import NamedTuple

from tests.support.soak.platforms import ELDERS, JOINED, NAMES, Platforms
from tests.support.soak.timeline import Timeline

EVERY_SECONDS = 20.0
LONGEST_SECONDS = 12.0
"""All is over in time for the next one."""
KINDS = ("kill", "pause", "partition")
COORDINATOR_SHARE = 0.3


class Fault(NamedTuple):
    """One of them."""

    at: float
    kind: str
    names: tuple[str, ...]
    """Whom it strikes; none: whoever coordinates then."""
    seconds: float
    """Until a killed daemon is started again, a frozen platform goes on, a partition heals."""


def draw(rng: random.Random, seconds: float) -> list[Fault]:
    """The faults of a soak of this length: three kinds in turn, in an order of chance."""
    faults = []
    kinds: list[str] = []
    at = EVERY_SECONDS
    while at + EVERY_SECONDS <= seconds:
        kinds = kinds or rng.sample(KINDS, len(KINDS))
        kind = kinds.pop()
        if kind == "partition":
            names = tuple(rng.sample(JOINED, rng.randint(1, len(JOINED) // 2)))
        else:
            choice = [name for name in NAMES if kind == "pause" or name not in ELDERS]
            names = () if rng.random() < COORDINATOR_SHARE else (rng.choice(choice),)
        faults.append(Fault(at, kind, names, round(rng.uniform(2, LONGEST_SECONDS), 2)))
        at += EVERY_SECONDS
    return faults


class Striker:
    """Carries faults out when their time comes, and undoes them."""

    def __init__(self, platforms: Platforms, faults: list[Fault], timeline: Timeline) -> None:
        self._platforms, self._timeline = platforms, timeline
        self._to_come = list(faults)
        self._struck: tuple[Fault, tuple[str, ...]] | None = None
        self.counts: Counter[str] = Counter()
        self.coordinator_struck_at = 0.0
        """When whoever coordinated was struck last, or that ended."""
        self.changed_at = 0.0
        """When a fault began or ended last."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return not self._to_come and self._struck is None

    def tick(self, now: float, coordinator: str) -> None:
        """Do what is due."""
        if self._struck is not None and now >= self._struck[0].at + self._struck[0].seconds:
            self._undo(*self._struck, now)
        elif self._struck is None and self._to_come and now >= self._to_come[0].at:
            self._strike(self._to_come.pop(0), coordinator, now)

    def _strike(self, fault: Fault, coordinator: str, now: float) -> None:
        names = fault.names or (coordinator,)
        names = tuple(name for name in names if name in self._platforms.awake)
        if not names:  # It is still starting, or nobody coordinates: there is nothing to strike.
            self._timeline.note(f"no {fault.kind}: {fault.names or 'the coordinator'} is not there")
            return
        if fault.kind == "kill" and names[0] in ELDERS:
            fault = fault._replace(kind="pause")
        self._timeline.note(f"{fault.kind} of {', '.join(names)} for {fault.seconds} s")
        self.counts[fault.kind + (" of the coordinator" if coordinator in names else "")] += 1
        if coordinator in names:
            self.coordinator_struck_at = now
        for name in names:
            if fault.kind == "kill":
                self._platforms.kill(name)
            elif fault.kind == "pause":
                self._platforms.freeze(name)
        if fault.kind == "partition":
            self._platforms.cut_off(names)
        self._struck = fault._replace(at=now), names
        self.changed_at = now

    def _undo(self, fault: Fault, names: tuple[str, ...], now: float) -> None:
        self._timeline.note(f"the {fault.kind} of {', '.join(names)} ends")
        for name in names:
            if fault.kind == "kill":
                self._platforms.start(name)
            elif fault.kind == "pause":
                self._platforms.thaw(name)
        if fault.kind == "partition":
            self._platforms.heal()
        self._struck = None
        self.changed_at = now
