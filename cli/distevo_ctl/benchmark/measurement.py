"""One measurement: a cluster of so many platforms works for a while, and what it did in it."""

from __future__ import annotations

import math
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from distevo_ctl.benchmark.figures import Figures
from distevo_ctl.benchmark.isolation import Hold, Isolation, Places
from distevo_ctl.benchmark.platforms import MORE, Cluster
from distevo_ctl.benchmark.recovery import recovery_seconds
from distevo_ctl.benchmark.traces import count_traces
from distevo_ctl.benchmark.work import Work
from distevo_ctl.exits import CliError, ExitCode
from distevod.store import folder_of, open_store

SETTLE_SECONDS = 2.0
"""After runs were submitted, which is work of its own, before the measuring begins."""
LOOK_SECONDS = 30.0
"""How often it is seen, while it is measured, that there is work left: that costs the platforms, too."""
QUEUE_SECONDS = 45.0
"""Platforms plan ahead 30 s of work: with less than that in the plan some would have nothing to do."""
SPARE = 1.3
"""More tasks than the rate so far says, as it may rise."""

Say = Callable[[str], None]
"""Tells whoever waits what is being done."""


class Setup(msgspec.Struct, frozen=True):
    """What all measurements have in common."""

    work: Work
    isolation: Isolation
    workers: int
    seconds: float
    warm_up: float
    store: str | None
    """Below which each cluster has a store of its own; None: a temporary folder."""
    folder: Path
    """A temporary folder, for everything else."""
    hold: Hold


class Measurement(msgspec.Struct, frozen=True):
    """What a cluster did in its steady state. Sums are of all platforms together."""

    platforms: int
    start_up_seconds: float
    """Until all platforms had evaluated something."""
    seconds: float
    evaluations: float
    distinct_evaluations: float
    repeats_elsewhere: float
    tasks: float
    """That were finished."""
    tasks_per_hour: float
    fit: int
    solved: int | None
    finished: int
    """Of all tasks since the start, so many were fit, solved and finished."""
    platform_seconds: float
    """The time, for each platform."""
    cpu_seconds: float
    checkpoint_seconds: float
    merge_seconds: float
    worker_seconds: float
    """The time, for each worker."""
    idle_seconds: float
    sending_seconds: float
    checkpoints: float
    checkpoint_bytes: float
    recovery_seconds: float | None

    @property
    def distinct_per_second(self) -> float:
        """The throughput."""
        return self.distinct_evaluations / self.seconds

    @property
    def distinct_per_cpu_second(self) -> float:
        """What it would be with nobody else on the machine, but for what processes take from each other's caches."""
        return self.distinct_evaluations / self.cpu_seconds

    @property
    def sending_percent(self) -> float:
        """For how much of their time workers waited to be rid of a report."""
        return 100 * self.sending_seconds / self.worker_seconds

    @property
    def checkpoint_percent(self) -> float:
        """Of the CPU time, or of the time in which workers are blocked, whichever is larger."""
        return max(100 * self.checkpoint_seconds / self.cpu_seconds, self.sending_percent)

    @property
    def merge_percent(self) -> float:
        """Of the CPU time; merging blocks nobody."""
        return 100 * self.merge_seconds / self.cpu_seconds


def measure(setup: Setup, count: int, say: Say, *, with_recovery: bool) -> Measurement:
    """Start `count` platforms, let them work, measure, and end them. Raises CliError, OSError and ToolError."""
    folder = setup.folder / secrets.token_hex(4)
    begun = time.monotonic()
    with _store(setup, folder) as store, Places(setup.isolation, setup.hold) as places:
        say("starting")
        with Cluster(folder, store, places, setup.hold, count, setup.workers) as cluster:
            cluster.wait_linked()
            runs = setup.work.runs()
            _submit(cluster, runs, 1)
            cluster.wait_working()
            started = time.monotonic() - begun
            _warm_up(cluster, setup, runs, say)
            before, after = _work(cluster, setup, runs, say)
            views = cluster.ask("status")["runs"]
            recovered = None
            if with_recovery:
                say("killing a platform")
                recovered = recovery_seconds(cluster)
        say("counting")
        measured = _measured(cluster, setup, started, before, after, views, recovered)
    shutil.rmtree(folder)
    return measured


def profile(setup: Setup, count: int, say: Say, folder: Path) -> None:
    """Let such a cluster work once more, under cProfile, for at most as long as a measurement takes.

    Its profiles take the place of what an earlier one left in the folder. Raises CliError, OSError and ToolError.
    """
    for old in folder.glob("platform-*/*.pstats"):
        old.unlink()
    own = setup.folder / secrets.token_hex(4)
    say("starting")
    with (
        _store(setup, own) as store,
        Places(setup.isolation, setup.hold) as places,
        Cluster(own, store, places, setup.hold, count, setup.workers, profiles=folder) as cluster,
    ):
        cluster.wait_linked()
        _submit(cluster, setup.work.runs(), 1)
        cluster.wait_working()
        say("profiling")
        time.sleep(setup.seconds)


@contextmanager
def _store(setup: Setup, folder: Path) -> Iterator[str]:
    """A store of its own, whose objects are deleted in the end."""
    if setup.store is None:
        yield str(folder / "store")
        return
    name = f"{setup.store.rstrip('/')}/benchmark-{folder.name}"
    try:
        yield name
    finally:
        own = folder_of(name)
        if own is not None:
            if own.exists():
                shutil.rmtree(own)
        else:
            bucket = open_store(name)
            for found in bucket.list(""):
                if "/" in found:
                    bucket.delete(found)


def _submit(cluster: Cluster, runs: Iterator[dict[str, Any]], count: int) -> None:
    for request in islice(runs, count):
        cluster.ask("submit", **request)


def _warm_up(cluster: Cluster, setup: Setup, runs: Iterator[dict[str, Any]], say: Say) -> None:
    """Let all get going, and see to it that there is work for as long as is measured."""
    say("warming up")
    first = cluster.daemons[0].figures()
    time.sleep(setup.warm_up)
    done = cluster.daemons[0].figures().since(first)
    rate = done.tasks / done.at
    _top_up(cluster, setup, runs, rate * (setup.seconds * SPARE + QUEUE_SECONDS) - done.open_tasks)
    time.sleep(min(SETTLE_SECONDS, setup.warm_up))


def _top_up(cluster: Cluster, setup: Setup, runs: Iterator[dict[str, Any]], lacking: float) -> None:
    """Submit runs for so many tasks that are lacking, if there are any."""
    _submit(cluster, runs, max(math.ceil(lacking / setup.work.run_size), 0))


def _work(
    cluster: Cluster, setup: Setup, runs: Iterator[dict[str, Any]], say: Say
) -> tuple[list[Figures], list[Figures]]:
    """The steady state: figures at its beginning and at its end."""
    before = cluster.figures()
    end = time.monotonic() + setup.seconds
    say("measuring")
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, LOOK_SECONDS))
        if left > LOOK_SECONDS:
            done = cluster.daemons[0].figures().since(before[0])
            _top_up(cluster, setup, runs, QUEUE_SECONDS * done.tasks / done.at - done.open_tasks)
    return before, cluster.figures()


def _measured(
    cluster: Cluster,
    setup: Setup,
    started: float,
    before: list[Figures],
    after: list[Figures],
    views: list[dict[str, Any]],
    recovered: float | None,
) -> Measurement:
    """Raises CliError, TIMED_OUT, where the time was too short for a single evaluation."""
    begun, ended = max(figures.at for figures in before), min(figures.at for figures in after)
    counted = count_traces(cluster.traces, begun, ended)
    if counted.distinct < 1:  # That is no rate to compare; it is told now, and not after all repeats.
        what = f"nothing new was evaluated in {setup.seconds:g} s"
        raise CliError(ExitCode.TIMED_OUT, what, f"measure for longer: --seconds; or {MORE}")
    each = [then.since(first) for first, then in zip(before, after, strict=True)]
    total = Figures(*(sum(values) for values in zip(*each, strict=True)))
    # Every platform counts the tasks of the whole cluster, so that of one is enough.
    tasks, seconds = each[0].tasks, each[0].at
    solved = [view["solved"] for view in views]
    return Measurement(
        platforms=len(each),
        start_up_seconds=started,
        seconds=ended - begun,
        evaluations=counted.evaluations,
        distinct_evaluations=counted.distinct,
        repeats_elsewhere=counted.repeats_elsewhere,
        tasks=tasks,
        tasks_per_hour=3600 * tasks / seconds,
        fit=sum(view["fit"] for view in views),
        solved=None if None in solved else sum(solved),
        finished=sum(view["tasks_done"] for view in views),
        platform_seconds=total.at,
        cpu_seconds=total.cpu,
        checkpoint_seconds=total.checkpoint_cpu + total.packing,
        merge_seconds=total.merge_cpu + total.merging,
        worker_seconds=total.at * setup.workers,
        idle_seconds=total.idle,
        sending_seconds=total.sending,
        checkpoints=total.checkpoints,
        checkpoint_bytes=total.checkpoint_bytes,
        recovery_seconds=recovered,
    )
