"""What a platform tells of itself at a moment: its metrics page, and what the kernel says of its processes."""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from prometheus_client.parser import text_string_to_metric_families

from distevod.metrics.families import PREFIX

_TICKS = os.sysconf("SC_CLK_TCK")
_ANSWER_SECONDS = 20.0


class Figures(NamedTuple):
    """Sums since the platform's start, and when they were read, in seconds of the monotonic clock."""

    at: float
    cpu: float
    """Seconds of CPU of daemon and workers, those that are gone too."""
    tasks: float
    """That were closed in the whole cluster."""
    open_tasks: float
    """Not a sum: of runs that are not over."""
    evaluations: float
    checkpoints: float
    checkpoint_cpu: float
    """In the daemon."""
    checkpoint_bytes: float
    merge_cpu: float
    """In the daemon."""
    idle: float
    sending: float
    packing: float
    merging: float
    """Of the workers; see the metric `worker_seconds_total`."""

    def since(self, before: Self) -> Figures:
        """What was added since; `at` becomes the time between."""
        return Figures(*(now - then for now, then in zip(self, before, strict=True)))._replace(
            open_tasks=self.open_tasks
        )


def read_figures(url: str, daemon: int, workers: Iterable[int]) -> Figures:
    """The figures of the platform whose metrics page is there, with its process ids of now. Raises OSError."""
    # A proxy is for what is outside of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=_ANSWER_SECONDS) as answer:
        page = Page(answer.read().decode())
    return Figures(
        at=time.monotonic(),
        cpu=cpu_seconds(daemon, workers),
        tasks=page.total("tasks_finished_total"),
        open_tasks=page.total("run_tasks", state="open"),
        evaluations=page.total("evaluations_total"),
        checkpoints=page.total("checkpoints_total"),
        checkpoint_cpu=page.total("checkpoint_cpu_seconds_total"),
        checkpoint_bytes=page.total("checkpoint_bytes_total"),
        merge_cpu=page.total("merge_seconds_total"),
        idle=page.total("worker_seconds_total", doing="idle"),
        sending=page.total("worker_seconds_total", doing="sending"),
        packing=page.total("worker_seconds_total", doing="packing"),
        merging=page.total("worker_seconds_total", doing="merging"),
    )


class Page:
    """A metrics page. Names are given without `distributed_evolution_`."""

    def __init__(self, text: str) -> None:
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples of a name with these labels; 0 of none."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == PREFIX + name and labels.items() <= sample.labels.items()
        )


def cpu_seconds(daemon: int, workers: Iterable[int]) -> float:
    """Of a daemon, its workers, and all of its children that have ended: a worker that was replaced had used some."""
    return sum(_times(daemon)) + sum(sum(_times(worker)[:2]) for worker in workers)


def _times(pid: int) -> list[float]:
    """Fields 14 to 17 of proc(5): user and system time, and those of children that were waited for; none if gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(ticks) / _TICKS for ticks in stat.rpartition(")")[2].split()[11:15]]
