"""Waiting for a run to end, with its progress on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distevo_ctl.budgets import per_hour
from distevo_ctl.client import Client
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.follow import follow, has_plan, run_in
from distevo_ctl.screen import console, count, duration, known, plain, short
from distevo_ctl.target import start_command, state_dir_option

if TYPE_CHECKING:
    from rich.console import RenderableType

INTERVAL_SECONDS = 0.2
LINE_SECONDS = 5.0
"""Between two lines of progress where standard error is no terminal."""
OVER = frozenset({"done", "failed", "cancelled"})


def wait_for_run(client: Client, state_dir: Path, name: str, *, quiet: bool = False) -> dict[str, Any]:
    """Wait until a run is over; returns its last view.

    Ctrl-C leaves the run running. Raises CliError: INTERRUPTED then, RUN_FAILED when the run is deleted meanwhile,
    NO_DAEMON when the daemon ends and does not come back.
    """
    try:
        if sys.stderr.isatty() and not quiet:
            return _with_bar(client, state_dir, name)
        return _with_lines(client, state_dir, name, quiet)
    except KeyboardInterrupt:
        option = state_dir_option(state_dir)
        raise CliError(
            ExitCode.INTERRUPTED,
            f"no longer waiting; {name} goes on",
            f"distevo-ctl results {name}{option} shows the best so far, distevo-ctl cancel {name}{option} ends it",
        ) from None
    except CliError as error:
        if error.code is ExitCode.NO_DAEMON:
            again = start_command(state_dir, client.daemon)
            error.hint = f"{name} is in the store, and goes on when a daemon does: {again}"
        raise


def _views(client: Client, state_dir: Path, name: str) -> Iterator[dict[str, Any]]:
    """The run again and again, until it is over."""
    is_known = False  # what a follower has just handed in is in no plan yet
    for _, status in follow(state_dir, INTERVAL_SECONDS, first=client):
        run = run_in(status, name)
        if run is not None:
            is_known = True
            yield run
            if run["state"] in OVER:
                return
        elif is_known and has_plan(status):  # a daemon that was started again has to read it first
            raise CliError(ExitCode.RUN_FAILED, f"{name} was deleted")


def _with_bar(client: Client, state_dir: Path, name: str) -> dict[str, Any]:
    from rich.live import Live

    run: dict[str, Any] = {}
    with Live(console=console(stderr=True), transient=True, refresh_per_second=10) as live:
        for run in _views(client, state_dir, name):
            live.update(_line(run, live.console.width))
    return run


def _with_lines(client: Client, state_dir: Path, name: str, quiet: bool) -> dict[str, Any]:
    run: dict[str, Any] = {}
    told = -LINE_SECONDS
    for run in _views(client, state_dir, name):
        if not quiet and run["state"] not in OVER and time.monotonic() - told >= LINE_SECONDS:
            told = time.monotonic()
            print(progress_line(run), file=sys.stderr, flush=True)
    return run


def progress_line(run: dict[str, Any]) -> str:
    """The progress of a run in one line of text."""
    note = f"; {plain(run['note'])}" if run["note"] else ""
    failed = f"{run['tasks_failed']} failed, " if run["tasks_failed"] else ""
    return (
        f"{run['id']}: {run['state']}, {run['tasks_done']} of {run['tasks_total']} tasks, {failed}{run['fit']} fit, "
        f"{known(run['solved'])} solved, {per_hour(run)}, {count(run['evaluations'])} evaluations{note}"
    )


def _line(run: dict[str, Any], width: int) -> RenderableType:
    from rich.text import Text

    from distevo_ctl.bar import bar

    left = run["state"] if run["eta_s"] is None else f"left {duration(run['eta_s'])}"
    right = Text(
        f"{run['tasks_done']}/{run['tasks_total']}  {known(run['solved'])} solved  "
        f"{short(run['evaluations_per_s'])}/s  {left}"
    )
    made = Text(f"{run['id']} ", style="bold", no_wrap=True, overflow="ellipsis")
    made.append_text(bar(run, max(width - len(run["id"]) - len(right) - 4, 8)))
    made.append(" ").append_text(right)
    if run["note"]:
        made.append(f"\n{plain(run['note'])}", style="yellow")
    return made
