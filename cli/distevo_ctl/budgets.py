"""Budgets as people write and read them: rising ones in an option, and how fast a run is at its own.

Tasks per hour say nothing by themselves: a smaller budget always finishes more. So they are only ever shown with the
budget, next to how many tasks were solved.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

import click

from distevo_ctl.screen import count

MOST_CPU_SECONDS = 1e9
MOST_EVALUATIONS = 2**53
"""The largest whole number that every JSON reader keeps exactly."""
MOST_BUDGETS = 32

_BUDGET = re.compile(r"(\d{1,18}(?:\.\d{1,9})?|\.\d{1,9})(s|ev)?", re.ASCII)
_FORM = "write CPU seconds, as in 0.05,0.5,5, or evaluations, as in 1000ev,10000ev"

Amount = float | int


def rising(_ctx: click.Context, _param: click.Parameter, text: str | None) -> dict[str, Any] | None:
    """What `--budgets` says, in the fields of a request: rungs, and the whole budget. Raises click.BadParameter."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    found = [_BUDGET.fullmatch(part) for part in parts]
    for part, match in zip(parts, found, strict=True):
        if match is None:
            raise click.BadParameter(f"{part!r} is no budget: {_FORM}")
    units = {"evaluations" if match and match[2] == "ev" else "cpu_seconds" for match in found}
    if len(units) > 1:
        raise click.BadParameter(f"{text!r} has CPU seconds and evaluations: all budgets are in one unit")
    unit = units.pop()
    amounts = [_amount(match[1], unit) for match in found if match]
    if not 2 <= len(amounts) <= MOST_BUDGETS:
        raise click.BadParameter(
            f"{text!r} is {len(amounts)} budget{'s' * (len(amounts) != 1)}, and 2 to {MOST_BUDGETS} rise; "
            "for one there is --cpu-seconds or --evaluations"
        )
    for lower, higher in pairwise(amounts):
        if higher <= lower:
            raise click.BadParameter(f"{text!r} does not rise: {higher:g} comes after {lower:g}")
    *rungs, whole = ({"cpu_seconds": None, "evaluations": None} | {unit: amount} for amount in amounts)
    return {"rungs": rungs, unit: whole[unit]}


def _amount(text: str, unit: str) -> Amount:
    most = MOST_EVALUATIONS if unit == "evaluations" else MOST_CPU_SECONDS
    if unit == "evaluations" and "." in text:
        raise click.BadParameter(f"{text}ev: evaluations are whole numbers")
    amount = int(text) if unit == "evaluations" else float(text)
    if not 0 < amount <= most:
        raise click.BadParameter(f"{text!r}: a budget is above 0 and at most {most:g}")
    return amount


def check_budget(cpu_seconds: float | None, evaluations: int | None) -> None:
    """Refuse two budgets at once, and times that are no time. Raises click.UsageError."""
    if cpu_seconds is not None and evaluations is not None:
        raise click.UsageError("give --cpu-seconds or --evaluations, not both")
    if cpu_seconds is not None and not 0 < cpu_seconds < math.inf:  # true for NaN, too
        raise click.UsageError(f"--cpu-seconds must be above 0 and finite, not {cpu_seconds:g}")
    if cpu_seconds is not None and cpu_seconds > MOST_CPU_SECONDS:
        raise click.UsageError(f"--cpu-seconds must be at most {MOST_CPU_SECONDS:.0f}, which is 30 years")


def budget(run: dict[str, Any]) -> str:
    """The budget of each task of a run, with those before it: `0.05, 0.5, 5 s`, `1,000 evaluations`."""
    amounts, unit = _amounts(run)
    return f"{', '.join(amounts)} {unit}"


def on_rungs(run: dict[str, Any]) -> str | None:
    """How many open tasks work or wait at which of a run's rising budgets: `12 at 0.05 s, 3 at 0.5 s`; None where
    there is but one."""
    open_tasks = run["tasks_on_rungs"] or []
    amounts, unit = _amounts(run)
    return (
        ", ".join(f"{count(n)} at {amount} {unit}" for n, amount in zip(open_tasks, amounts, strict=False) if n) or None
    )


def _amounts(run: dict[str, Any]) -> tuple[list[str], str]:
    """All budgets of a run, rising, and their unit."""
    whole = run["budget"]
    in_seconds = whole["cpu_seconds"] is not None
    amounts = [*run["rungs"], whole["cpu_seconds"] if in_seconds else whole["evaluations"]]
    return [f"{amount:g}" if in_seconds else count(amount) for amount in amounts], "s" if in_seconds else "evaluations"


def speed(run: dict[str, Any]) -> str:
    """Tasks per hour with the budgets that they had: `120 at 60 s`; - where nobody knows."""
    rate = run["tasks_per_hour"]
    return "-" if rate is None else f"{count(round(rate))} at {budget(run)}"


def per_hour(run: dict[str, Any]) -> str:
    """The same as part of a sentence: `120 tasks an hour at 60 s each`."""
    rate = run["tasks_per_hour"]
    return f"{'-' if rate is None else count(round(rate))} tasks an hour at {budget(run)} each"
