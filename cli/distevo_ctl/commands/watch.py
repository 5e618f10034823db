"""`distevo-ctl watch`: the status, live."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distevo_ctl.asking import follow, store_option
from distevo_ctl.budgets import speed
from distevo_ctl.commands.status import has_priorities, remarks
from distevo_ctl.follow import has_plan
from distevo_ctl.members_table import members_table
from distevo_ctl.migration_table import migration_tables
from distevo_ctl.number import Number
from distevo_ctl.screen import (
    GAP,
    STATE_STYLES,
    Column,
    chosen,
    console,
    duration,
    fitting,
    known,
    print_json,
    short,
)
from distevo_ctl.target import target_options
from distevo_ctl.wait import OVER, progress_line

if TYPE_CHECKING:
    from rich.console import Console, Group

LIVE_SECONDS = 0.5
LINE_SECONDS = 2.0
LEAST_BAR = 10
LEAST_RUNS = 3
FRAME_LINES = 9
"""Lines around members and runs."""


@click.command()
@click.option("--until-done", is_flag=True, help="End by itself when all runs are over.")
@click.option(
    "--interval", type=Number(0.1, 3600), metavar="S", help="Seconds between two looks. [0.5 on a terminal, else 2]"
)
@store_option
@target_options
def watch(until_done: bool, interval: float | None, store: str | None, state_dir: Path, as_json: bool) -> None:
    """Watch platforms and runs, live.

    Ctrl-C ends watching, with exit code 0; the runs go on.

    Where the output is no terminal, it is lines of text; with --json each look is a line of JSON.
    """
    try:
        if as_json:
            _watch_json(state_dir, store, until_done, interval or LINE_SECONDS)
        elif sys.stdout.isatty():
            _watch_live(state_dir, store, until_done, interval or LIVE_SECONDS)
        else:
            _watch_lines(state_dir, store, until_done, interval or LINE_SECONDS)
    except KeyboardInterrupt:
        return  # the way to end it


def _watch_json(state_dir: Path, store: str | None, until_done: bool, interval: float) -> None:
    for _, status in follow(state_dir, store, interval):
        print_json(status)
        if until_done and is_idle(status):
            return


def _watch_lines(state_dir: Path, store: str | None, until_done: bool, interval: float) -> None:
    told: dict[str, str] = {}
    for _, status in follow(state_dir, store, interval):
        for run in status["runs"]:
            line = progress_line(run)
            if told.get(run["id"]) != line:
                told[run["id"]] = line
                click.echo(line)
        sys.stdout.flush()
        if until_done and is_idle(status):
            return


def _watch_live(state_dir: Path, store: str | None, until_done: bool, interval: float) -> None:
    from rich.live import Live

    with Live(console=console(), auto_refresh=False) as live:
        for client, status in follow(state_dir, store, interval):
            live.update(screen(status, client.daemon["store"], live.console), refresh=True)
            if until_done and is_idle(status):
                return


def is_idle(status: dict[str, Any]) -> bool:
    """Whether all runs are over."""
    return has_plan(status) and all(run["state"] in OVER for run in status["runs"])


def screen(status: dict[str, Any], store: str, out: Console) -> Group:
    """All of one look: cluster, platforms, and runs with their bars; the newest runs where there are too many."""
    from rich.console import Group
    from rich.text import Text

    cluster = status["cluster"]
    head = Text.assemble(
        ("distevo", "bold magenta"), ("  " + time.strftime("%H:%M:%S"), "dim"),
        f"  cluster {cluster['id'] or '-'}  {store}", no_wrap=True, overflow="ellipsis",
    )  # fmt: skip
    parts: list[Any] = [head]
    if "store" in status:
        from distevo_ctl.store_lines import store_lines

        parts += store_lines(status["store"])
    members = members_table(status, out.width, most=max(out.height // 3, 1))
    parts += ["", *members]
    if len(status["members"]) > 1:
        # Of migration only the sum; `status` has the edges.
        parts += [line for line in migration_tables(status, out.width)[:1] for line in ("", line)]
    taken = FRAME_LINES + len(parts) + min(len(status["members"]), out.height // 3)
    room = max(out.height - taken - len(remarks(status["runs"])), LEAST_RUNS)
    runs = sorted(status["runs"], key=lambda run: run["state"] in OVER)[:room]
    runs = [run for run in status["runs"] if run in runs]
    parts += ["", _runs_table(runs, out.width) if runs else Text("no runs yet", "dim")]
    parts += remarks(runs)
    if (hidden := len(status["runs"]) - len(runs)) > 0:
        parts.append(Text(f"and {hidden} more that are over", "dim"))
    return Group(*parts, "", _legend())


def _runs_table(runs: list[dict[str, Any]], width: int) -> Any:
    from rich.text import Text

    from distevo_ctl.bar import bar

    columns = [
        Column("RUN…", lambda run: Text(run["id"], "bold")),
        Column("STATE", lambda run: Text(run["state"], STATE_STYLES[run["state"]])),
        *([Column("PRIORITY>", lambda run: str(run["priority"]), 4)] if has_priorities(runs) else []),
        Column("TASKS>", lambda run: f"{run['tasks_done']}/{run['tasks_total']}"),
        Column("FIT>", lambda run: str(run["fit"])),
        Column("SOLVED>", lambda run: known(run["solved"])),
        Column("TASKS/H>", speed, 1),
        Column("PER S>", lambda run: short(run["evaluations_per_s"]), 3),
        Column("LEFT>", lambda run: duration(run["eta_s"]), 2),
    ]
    kept, taken = chosen(columns, runs, width - LEAST_BAR - GAP)
    room = max(width - taken - GAP, LEAST_BAR)
    kept.insert(2, Column("PROGRESS", lambda run: bar(run, room)))
    return fitting(kept, runs, width)


def _legend() -> Any:
    from rich.text import Text

    from distevo_ctl.bar import LINE, PARTS

    words = {"solved": "solved", "fit": "fit", "failed": "failed", "other": "best so far", "open": "open"}
    made = Text(no_wrap=True, overflow="ellipsis")
    for name, colour in PARTS:
        made.append(LINE * 2, colour).append(f" {words[name]}   ", "dim")
    return made.append("Ctrl-C leaves", "dim")
