"""`distevo-ctl watch`: the status, live."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distevo_ctl.follow import follow, has_plan
from distevo_ctl.screen import STATE_STYLES, console, duration, plain, print_json, short, table
from distevo_ctl.target import target_options
from distevo_ctl.wait import OVER, progress_line

if TYPE_CHECKING:
    from rich.console import Console, Group

LIVE_SECONDS = 0.5
LINE_SECONDS = 2.0
LEAST_BAR = 10
FRAME_LINES = 9
"""Lines around the runs."""
COLUMNS = ("RUN…", "STATE", "PROGRESS", "TASKS>", "FIT>", "SOLVED>", "PER S>", "LEFT>")


@click.command()
@click.option("--until-done", is_flag=True, help="End by itself when all runs are over.")
@click.option("--interval", type=click.FloatRange(0.1, 3600), metavar="S", help="Seconds between two looks.")
@target_options
def watch(until_done: bool, interval: float | None, state_dir: Path, as_json: bool) -> None:
    """Watch platforms and runs, live.

    Ctrl-C ends watching, with exit code 0; the runs go on.

    Where the output is no terminal, it is lines of text; with --json each look is a line of JSON.
    """
    try:
        if as_json:
            _watch_json(state_dir, until_done, interval or LINE_SECONDS)
        elif sys.stdout.isatty():
            _watch_live(state_dir, until_done, interval or LIVE_SECONDS)
        else:
            _watch_lines(state_dir, until_done, interval or LINE_SECONDS)
    except KeyboardInterrupt:
        return  # the way to end it


def _watch_json(state_dir: Path, until_done: bool, interval: float) -> None:
    for _, status in follow(state_dir, interval):
        print_json(status)
        if until_done and is_idle(status):
            return


def _watch_lines(state_dir: Path, until_done: bool, interval: float) -> None:
    told: dict[str, str] = {}
    for _, status in follow(state_dir, interval):
        for run in status["runs"]:
            line = progress_line(run)
            if told.get(run["id"]) != line:
                told[run["id"]] = line
                click.echo(line)
        sys.stdout.flush()
        if until_done and is_idle(status):
            return


def _watch_live(state_dir: Path, until_done: bool, interval: float) -> None:
    from rich.live import Live

    with Live(console=console(), auto_refresh=False) as live:
        for client, status in follow(state_dir, interval):
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

    from distevo_ctl.commands.status import members_table

    cluster = status["cluster"]
    head = Text.assemble(
        ("distevo", "bold magenta"), ("  " + time.strftime("%H:%M:%S"), "dim"),
        f"  cluster {cluster['id'] or '-'}  {store}", no_wrap=True, overflow="ellipsis",
    )  # fmt: skip
    room = max(out.height - FRAME_LINES - len(status["members"]), 3)
    runs = sorted(status["runs"], key=lambda run: run["state"] in OVER)[:room]
    runs = [run for run in status["runs"] if run in runs]
    parts = [head, "", members_table(status, out.width), ""]
    parts.append(_runs_table(runs, out.width) if runs else Text("no runs yet", "dim"))
    parts += [Text(f"{run['id']}: {plain(run['note'])}", "yellow") for run in runs if run["note"]]
    if (hidden := len(status["runs"]) - len(runs)) > 0:
        parts.append(Text(f"and {hidden} more that are over", "dim"))
    return Group(*parts, "", _legend())


def _runs_table(runs: list[dict[str, Any]], width: int) -> Any:
    from rich.text import Text

    from distevo_ctl.bar import bar

    cells = [
        (
            Text(run["id"], "bold"),
            Text(run["state"], STATE_STYLES[run["state"]]),
            f"{run['tasks_done']}/{run['tasks_total']}",
            str(run["fit"]),
            str(run["solved"]),
            short(run["evaluations_per_s"]),
            duration(run["eta_s"]),
        )
        for run in runs
    ]
    taken = sum(
        max(len(heading.rstrip(">…")), *(len(row[number]) for row in cells)) + 2
        for number, heading in enumerate(heading for heading in COLUMNS if heading != "PROGRESS")
    )
    room = max(width - taken - 2, LEAST_BAR)
    return table(COLUMNS, [(*row[:2], bar(run, room), *row[2:]) for row, run in zip(cells, runs, strict=True)], width)


def _legend() -> Any:
    from rich.text import Text

    from distevo_ctl.bar import LINE, PARTS

    words = {"solved": "solved", "fit": "fit", "failed": "failed", "other": "best so far", "open": "open"}
    made = Text(no_wrap=True, overflow="ellipsis")
    for name, colour in PARTS:
        made.append(LINE * 2, colour).append(f" {words[name]}   ", "dim")
    return made.append("Ctrl-C leaves", "dim")
