"""Isolation: what keeps the platforms of a benchmark apart on one machine, and makes each as large as any other.

At best each is a host of its own: a network namespace, and a cgroup whose quota is the same for all, so that one more
platform really is more to work with. Where that cannot be had, platforms are processes on the loopback interface, each
bound to one core: beyond as many platforms as cores nothing is added, and that is said.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import NamedTuple, Self

from distevo_ctl.hosts.bridge import Bridge
from distevo_ctl.hosts.groups import Group
from distevo_ctl.hosts.host import Host, in_group
from distevo_ctl.hosts.leftovers import sweep
from distevo_ctl.hosts.namespaces import Namespace
from distevo_ctl.hosts.requirements import missing_for_groups, missing_for_namespaces
from distevod.hardware import usable_cores

USED_SHARE = 0.8
"""Of the machine's cores; the rest is for whoever measures, and for the kernel."""
STEP = 0.05
MOST_CPUS = 1.0
"""A platform is not given more by itself: its one worker could not use it."""


Hold = Callable[[], AbstractContextManager[None]]
"""What is done in it is not broken off half-way."""


class Isolation(NamedTuple):
    """How the platforms are kept apart here."""

    has_namespaces: bool
    has_quota: bool
    cpus: float
    """Seconds of CPU that each platform gets in a second; with no quota, the core that it is bound to."""
    cores: int
    reasons: tuple[str, ...]
    """Why it is no better."""

    @property
    def network(self) -> str:
        """How platforms reach each other."""
        return "network namespaces" if self.has_namespaces else "loopback"

    @property
    def processors(self) -> str:
        """What limits the CPU of each."""
        return "cgroup quota" if self.has_quota else "bound to a core"

    def capacity(self, platforms: int) -> float:
        """How much more so many platforms have to work with than one. A quota is no promise: --cpus may be more than
        the machine has for all of them, or even for one."""
        return min(float(platforms), max(self.cores / self.cpus, 1.0))

    def told(self) -> str:
        """The same in a sentence."""
        size = f"{self.cpus:g} of a core each, by cgroup quota" if self.has_quota else "each bound to a core"
        lack = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"platforms in {self.network}, {size}{lack}"


def fair_cpus(cores: int, largest: int) -> float:
    """What each of at most `largest` platforms gets, so that all together fit: in steps of 0.05."""
    steps = math.floor(round(USED_SHARE * cores / largest / STEP, 6))
    return min(max(round(steps * STEP, 2), STEP), MOST_CPUS)


def choose(largest: int, cpus: float | None, *, forbidden: str = "", no_namespaces: str = "") -> Isolation:
    """The best that this machine allows. `forbidden` says why all of it is not wanted, `no_namespaces` why these are
    not; empty where they are.
    """
    cores = usable_cores()
    no_quota = forbidden or missing_for_groups()
    no_namespaces = no_quota or no_namespaces or missing_for_namespaces()
    return Isolation(
        has_namespaces=not no_namespaces,
        has_quota=not no_quota,
        cpus=1.0 if no_quota else fair_cpus(cores, largest) if cpus is None else cpus,
        cores=cores,
        reasons=tuple(dict.fromkeys(reason for reason in (no_namespaces, no_quota) if reason)),
    )


class Place:
    """Where one platform runs."""

    def __init__(self, host: Host | None, group: Group | None, core: int) -> None:
        self._host, self._group, self._core = host, group, core

    @property
    def prefix(self) -> tuple[str, ...]:
        """What goes before the command line of a process, which keeps its pid."""
        if self._host is not None:
            return self._host.prefix
        return in_group(self._group) if self._group is not None else ()

    @property
    def listen(self) -> str:
        """Where the daemon listens."""
        return "tcp://*:0" if self._host is not None else "tcp://127.0.0.1:0"

    def entered(self) -> AbstractContextManager[None]:
        """What is dialled in here is dialled from this place."""
        return self._host.entered() if self._host is not None else contextlib.nullcontext()

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """What is started in here is bound to the core of this place, if it has no quota."""
        if self._group is not None:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self._core})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    def kill(self) -> None:
        """SIGKILL to all that runs here, if they are kept together at all."""
        if self._group is not None:
            self._group.kill()


class Places:
    """Places for several platforms that reach each other, removed at the end with all that runs in them."""

    def __init__(self, isolation: Isolation, hold: Hold) -> None:
        self._isolation, self._hold = isolation, hold
        self._stack = ExitStack()
        self._cores = sorted(os.sched_getaffinity(0))
        self._made = 0

    def __enter__(self) -> Self:
        try:
            with self._hold():
                if self._isolation.has_quota:
                    sweep()
                if self._isolation.has_namespaces:
                    self._bridge = Bridge()
                    self._stack.callback(self._bridge.close)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._hold():
            self._stack.close()

    def make(self, name: str) -> Place:
        """One more place. Raises OSError and ToolError."""
        with self._hold():
            return self._make(name)

    def _make(self, name: str) -> Place:
        core = self._cores[self._made % len(self._cores)]
        self._made += 1
        if not self._isolation.has_quota:
            return Place(None, None, core)
        group = Group(name)
        self._stack.callback(group.close)
        group.limit(self._isolation.cpus)
        if not self._isolation.has_namespaces:
            return Place(None, group, core)
        namespace = Namespace(name)
        self._stack.callback(namespace.close)
        self._bridge.lay_line(namespace)
        return Place(Host(name, namespace, group), group, core)
