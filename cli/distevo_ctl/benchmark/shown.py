"""What is seen of a benchmark: what it does just now, and in the end a table and the verdict."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from distevo_ctl.screen import console, duration, short, table

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"good": "bold green", "fair": "bold yellow", "poor": "bold red"}
HEADS = [
    "PLATFORMS>", "MULTIPLIER>", "RANGE", "EVALUATIONS/S>", "TASKS/H>", "CHECKPOINTS>", "MERGES>", "IDLE>", "REPEATED>",
    "RECOVERY>",
]  # fmt: skip


@contextlib.contextmanager
def progress(is_quiet: bool) -> Iterator[Callable[[str], None]]:
    """Gives what says on standard error what is being done: in one line that lives, or else in lines."""
    if is_quiet:
        yield lambda _what: None
        return
    out = console(stderr=True)
    begun = time.monotonic()
    if not sys.stderr.isatty():
        yield lambda what: out.print(f"{time.monotonic() - begun:6.1f} s  {what}")
        return
    with out.status("beginning") as status:
        yield status.update


def show(out: Console, found: dict[str, Any], paths: list[str]) -> None:
    """The table, the verdict, and where the files are."""
    from rich.text import Text

    out.print(table(HEADS, [_row(entry) for entry in found["configurations"]], out.width))
    work = found["work"]
    budget = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in work["budget"].items() if value)
    last = found["configurations"][-1]
    out.print(
        f"\n{work['problem']}, {budget} and {work['islands_per_task']} islands for each task; of "
        f"{last['tasks_finished']} tasks finished by {last['platform_count']} platforms {last['tasks_fit']} are fit, "
        f"{'-' if last['tasks_solved'] is None else last['tasks_solved']} solved",
        style="dim",
    )
    out.print(Text.assemble("verdict: ", (found["verdict"], STYLES[found["verdict"]])))
    for finding in found["findings"]:
        if finding["advice"] is not None:
            side = "from" if "multiplier" in finding["what"] else "below"
            out.print(
                Text.assemble(
                    f"  {finding['what']} of {finding['platform_count']} platforms is {finding['value']:g}, ",
                    (finding["grade"], STYLES[finding["grade"]]),
                    f" (good {side} {finding['good']:g}): {finding['advice']}",
                )
            )
    multipliers = last["multipliers"]
    if last["platform_count"] > 1:
        machine = multipliers["machine"]["median"]
        out.print(
            f"  plain loops of {last['platform_count']} platforms reach {machine:.2f} on this machine", style="dim"
        )
    if found["disturbance"] is not None:
        equal = multipliers["at_equal_cpu"]["median"]
        out.print(f"  {found['disturbance']}; at equal CPU the multiplier would be {equal:.2f}", style="yellow")
    for path in paths:
        out.print(f"  {path}", soft_wrap=True)


def _row(entry: dict[str, Any]) -> list[str]:
    low, high = entry["throughput_multiplier_range"]
    recovery = entry["recovery_seconds"]
    return [
        str(entry["platform_count"]),
        f"{entry['throughput_multiplier']:.2f}",
        f"{low:.2f} to {high:.2f}",
        short(entry["distinct_evaluations_per_second"]["median"]),
        short(entry["tasks_per_hour"]["median"]),
        _percent(entry["checkpoint_overhead_percent"]),
        _percent(entry["merge_overhead_percent"]),
        _percent(entry["workers_idle_percent"]),
        _percent(entry["repeated_elsewhere_percent"]),
        duration(None if recovery is None else recovery["median"]),
    ]


def _percent(spread: dict[str, Any]) -> str:
    return f"{spread['median']:.2f} %"
