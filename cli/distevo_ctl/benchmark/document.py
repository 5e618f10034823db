"""What a benchmark writes: one entry for each count of platforms, and what all of them have in common."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from distevo_ctl.benchmark.measurement import Measurement, Setup
from distevo_ctl.benchmark.series import Series, Spread, spread
from distevo_ctl.benchmark.verdict import Finding, judge, overall
from distevod.hardware import usable_cores, usable_memory_mb

PACKAGES = ("distevo", "pyzmq", "msgspec", "numpy")
FAIR_SHARE = 0.97
"""Clusters whose platforms differ by less in the CPU that they got are compared fairly."""
IDLE_SHARE = 0.03
"""Of their time; with workers that are idle more, CPU that is not used is not the machine's fault."""


def document(setup: Setup, series: Series, repeats: int) -> dict[str, Any]:
    """Everything that was measured, and the verdict on it."""
    findings = [finding for count in series.counts for finding in _findings(setup, series, count)]
    return {
        "benchmark": "distevo",
        "verdict": overall(findings),
        "disturbance": disturbance(series),
        "configurations": [_entry(setup, series, count) for count in series.counts],
        "findings": msgspec.to_builtins(findings),
        "repeats": repeats,
        "work": {
            "problem": setup.work.problem,
            "tasks": list(setup.work.tasks),
            "islands_per_task": setup.work.islands_per_task,
            "budget": setup.work.budget,
        },
        "platform": {"workers": setup.workers, "cpus": setup.isolation.cpus},
        "isolation": {
            "network": setup.isolation.network,
            "processors": setup.isolation.processors,
            "reasons": list(setup.isolation.reasons),
        },
        "store": setup.store or "folder",
        "machine": machine(),
        "versions": versions(),
    }


def disturbance(series: Series) -> str | None:
    """What makes the comparison unfair: one of the clusters got less CPU for each platform than another, and its
    workers had work. So it is where others use the machine, too, or where there are too many platforms for it."""
    used = {n: series.spread_of(n, lambda m: m.cpu_seconds / m.platform_seconds).median for n in series.counts}
    idle = {n: series.spread_of(n, lambda m: m.idle_seconds / m.worker_seconds).median for n in series.counts}
    most = max(used.values())
    if not any(cpus < FAIR_SHARE * most and idle[count] <= IDLE_SHARE for count, cpus in used.items()):
        return None
    told = ", ".join(f"{cpus:.2f} of {count}" for count, cpus in used.items())
    return f"the machine gave each platform unequal parts of its cores ({told}): measure on one that is quiet"


def machine() -> dict[str, Any]:
    """Where it was measured, and how busy that was when it ended: others' work makes every figure worse."""
    return {
        "cores": usable_cores(),
        "memory_mb": usable_memory_mb(),
        "processor": _processor(),
        "kernel": platform.release(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def versions() -> dict[str, str]:
    """Of Python and of what matters for speed; what is not installed is left out."""
    from importlib.metadata import PackageNotFoundError

    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises OSError."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(text)
            file.close()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _entry(setup: Setup, series: Series, count: int) -> dict[str, Any]:
    found = series.found[count]

    def of(figure: Callable[[Measurement], float]) -> Spread:
        return series.spread_of(count, figure)

    multiplier = series.multiplier(count)
    recoveries = [m.recovery_seconds for m in found if m.recovery_seconds is not None]
    return {
        "configuration": "multi_platform" if count > 1 else "single_platform",
        "platform_count": count,
        "throughput_multiplier": multiplier.median,
        "throughput_multiplier_range": multiplier.range,
        "capacity": setup.isolation.capacity(count),
        "multipliers": msgspec.to_builtins(
            {
                "distinct_evaluations": series.evaluations_multiplier(count),
                "tasks": series.tasks_multiplier(count),
                "at_equal_cpu": series.cpu_multiplier(count),
                "machine": series.machine_multiplier(count),
            }
        ),
        "duration_seconds": of(lambda m: m.seconds).median,
        "warm_up_seconds": setup.warm_up,
        "start_up_seconds": msgspec.to_builtins(of(lambda m: m.start_up_seconds)),
        "checkpoint_overhead_seconds": of(lambda m: m.checkpoint_seconds).median,
        "checkpoint_overhead_percent": msgspec.to_builtins(of(lambda m: m.checkpoint_percent)),
        "merge_overhead_seconds": of(lambda m: m.merge_seconds).median,
        "merge_overhead_percent": msgspec.to_builtins(of(lambda m: m.merge_percent)),
        "distinct_evaluations_per_second": msgspec.to_builtins(of(lambda m: m.distinct_per_second)),
        "evaluations": round(sum(m.evaluations for m in found)),
        "repeated_percent": msgspec.to_builtins(of(_repeated)),
        "repeated_elsewhere_percent": msgspec.to_builtins(of(lambda m: 100 * m.repeats_elsewhere / m.evaluations)),
        "tasks_per_hour": msgspec.to_builtins(of(lambda m: m.tasks_per_hour)),
        "tasks_finished": sum(m.finished for m in found),
        "tasks_fit": sum(m.fit for m in found),
        "tasks_solved": _solved(found),
        "cpu_seconds": of(lambda m: m.cpu_seconds).median,
        "cpus_used": msgspec.to_builtins(of(lambda m: m.cpu_seconds / m.platform_seconds)),
        "workers_idle_percent": msgspec.to_builtins(of(lambda m: 100 * m.idle_seconds / m.worker_seconds)),
        "workers_blocked_percent": msgspec.to_builtins(of(lambda m: m.sending_percent)),
        "checkpoints": round(sum(m.checkpoints for m in found)),
        "checkpoint_bytes": round(sum(m.checkpoint_bytes for m in found)),
        "recovery_seconds": msgspec.to_builtins(spread(recoveries)) if recoveries else None,
        "repeats": len(found),
        "measurements": [msgspec.to_builtins(m) for m in found],
    }


def _repeated(found: Measurement) -> float:
    return 100 * (1 - found.distinct_evaluations / found.evaluations)


def _solved(found: list[Measurement]) -> int | None:
    known = [m.solved for m in found if m.solved is not None]
    return sum(known) if len(known) == len(found) else None


def _findings(setup: Setup, series: Series, count: int) -> list[Finding]:
    recoveries = [m.recovery_seconds for m in series.found[count] if m.recovery_seconds is not None]
    return judge(
        platforms=count,
        capacity=setup.isolation.capacity(count),
        multiplier=series.multiplier(count).median,
        checkpoint=series.spread_of(count, lambda m: m.checkpoint_percent).median,
        merge=series.spread_of(count, lambda m: m.merge_percent).median,
        recovery=max(recoveries, default=None),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
