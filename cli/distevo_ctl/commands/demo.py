"""`distevo-ctl demo`: from nothing to solved tasks in less than a minute, leaving nothing behind.

Everything that it does a person could type: it starts a daemon on a temporary state folder and store, submits a run,
follows it, draws some of what was found, and stops the daemon.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distevo_ctl.client import Client
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.wait import OVER

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.text import Text

RUN = "demo"
EVOLVE_SECONDS = 45.0
"""Tasks that are not done by then keep the best so far: with drawing and stopping that is within the minute."""
STOP_SECONDS = 8.0
LOOK_SECONDS = 0.25
LINE_SECONDS = 5.0
DRAWN = 4
DRAWN_SIDE = 16
"""Only grids up to this side are drawn: several tasks should fit on one screen."""
LATEST = 6
MARKS = {
    "solved": ("■", "green"),
    "fit": ("▣", "yellow"),
    "not fit": ("□", "blue"),
    "in hand": ("◆", "bold cyan"),
    "waiting": ("·", "grey50"),
}


@click.command()
@click.option("--tasks", default="training:0-39", show_default=True, metavar="SET", help="ARC tasks to solve.")
@click.option(
    "--cpu-seconds", type=click.FloatRange(0.01, 60), default=1.5, show_default=True, metavar="S",
    help="Budget of each task.",
)  # fmt: skip
def demo(tasks: str, cpu_seconds: float) -> None:
    """Show what distevo does, within a minute.

    Real ARC tasks are solved on a temporary platform, which is removed at the end.
    """
    from distevo_ctl.screen import console

    out = console()
    begun = time.monotonic()
    handlers = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with tempfile.TemporaryDirectory(prefix="distevo-demo-") as folder:
            _show(out, Path(folder), tasks, cpu_seconds, begun)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    out.print(f"\n{time.monotonic() - begun:.0f} s in all. Next, on a platform that stays:", style="bold")
    for command in (
        *_path_commands(),
        "distevod start --detach",
        f"distevo-ctl submit --problem grids --tasks {shlex.quote(tasks)} --cpu-seconds {cpu_seconds:g} --wait",
        "distevo-ctl results grids-1",
    ):
        out.print(f"  {command}", soft_wrap=True)


def _path_commands() -> list[str]:
    """What makes the shell find `distevod`, where it does not."""
    if shutil.which("distevod"):
        return []
    folder = Path(sys.executable).parent
    here = Path.cwd()
    shown = f"$PWD/{folder.relative_to(here)}" if folder.is_relative_to(here) else str(folder)
    return [f'export PATH="{shown}:$PATH"']


def _show(out: Console, folder: Path, tasks: str, cpu_seconds: float, begun: float) -> None:
    state_dir = folder / "state"
    out.print("distevo", style="bold magenta", end="  ")
    out.print("starting a platform on a temporary folder", style="dim")
    with _daemon(out, folder, state_dir), Client(state_dir) as client:
        answer = client.ask(
            "submit", reference="grids", spec=tasks, run=RUN, islands_per_task=2, cpu_seconds=cpu_seconds, seed=1
        )
        workers = client.ask("status")["members"][0]["workers"]
        out.print(
            f"{answer['tasks']} ARC tasks ({tasks}), {cpu_seconds:g} CPU seconds and 2 islands each, "
            f"{workers} worker{'s' if workers > 1 else ''}\n"
        )
        deadline = begun + EVOLVE_SECONDS
        found = _follow_live(out, client, deadline) if out.is_terminal else _follow_lines(out, client, deadline)
        _summary(out, found)
        _draw_some(out, client, found)


@contextlib.contextmanager
def _daemon(out: Console, folder: Path, state_dir: Path) -> Iterator[None]:
    """A daemon for as long as the context lasts; nothing of the user's settings reaches it."""
    from distevo_ctl.detach import daemon_command, spawn, wait_until_ready

    log = folder / "distevod.log"
    own = {key: value for key, value in os.environ.items() if not key.startswith(("DISTEVO_", "XDG_", "STATE_", "RUN"))}
    values = {"id": RUN, "state_dir": state_dir, "store": folder / "store", "metrics_port": 0, "allow_problems": "none"}
    log.touch()
    with log.open("rb") as reading:
        process = spawn(daemon_command(values, log), log, own | {"XDG_CONFIG_HOME": str(folder)})
        try:
            wait_until_ready(process, state_dir, reading)
            yield
        finally:
            out.print(f"\nstopped cleanly in {_stopped(process):.1f} s; the temporary folder is removed", style="dim")


def _stopped(process: subprocess.Popen[bytes]) -> float:
    """End the daemon, whatever the user types meanwhile; returns how long that took, in seconds."""
    begun = time.monotonic()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.terminate()
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise CliError(ExitCode.INTERNAL_ERROR, f"the daemon did not stop within {STOP_SECONDS:g} s") from None
    finally:
        signal.signal(signal.SIGINT, before)
    if code:
        raise CliError(ExitCode.INTERNAL_ERROR, f"the daemon ended with exit code {code}")
    return time.monotonic() - begun


def _looks(client: Client, deadline: float) -> Iterator[dict[str, Any]]:
    """The run's results again and again until it is over; it is cancelled at the deadline."""
    is_cancelled = False
    while True:
        answer = client.ask("results", run=RUN)
        yield answer
        if answer["run"]["state"] in OVER:
            return
        if time.monotonic() > deadline and not is_cancelled:
            is_cancelled = True
            client.ask("command", verb="cancel", run=RUN)
        time.sleep(LOOK_SECONDS)


def _follow_live(out: Console, client: Client, deadline: float) -> dict[str, Any]:
    from rich.live import Live

    answer: dict[str, Any] = {}
    begun = time.monotonic()
    finished: dict[str, dict[str, Any]] = {}
    with Live(console=out, auto_refresh=False) as live:
        for answer in _looks(client, deadline):
            finished |= {e["id"]: e for e in answer["tasks"] if e["state"] == "done" and e["id"] not in finished}
            live.update(_screen(answer, list(finished.values()), time.monotonic() - begun, out.width), refresh=True)
    return answer


def _follow_lines(out: Console, client: Client, deadline: float) -> dict[str, Any]:
    from distevo_ctl.wait import progress_line

    answer: dict[str, Any] = {}
    told: set[str] = set()
    spoke = 0.0
    for answer in _looks(client, deadline):
        for entry in answer["tasks"]:
            if entry["state"] == "done" and entry["fit"] and entry["id"] not in told:
                told.add(entry["id"])
                out.print(_found_line(entry))
        if time.monotonic() - spoke > LINE_SECONDS:
            spoke = time.monotonic()
            out.print(progress_line(answer["run"]))
        sys.stdout.flush()
    return answer


def _screen(answer: dict[str, Any], finished: list[dict[str, Any]], seconds: float, width: int) -> Group:
    from rich.console import Group
    from rich.text import Text

    from distevo_ctl.bar import bar
    from distevo_ctl.screen import count, short

    run = answer["run"]
    right = f"  {run['tasks_done']}/{run['tasks_total']} tasks  {seconds:.0f} s"
    numbers = Text.assemble(
        (f"{run['solved']}", "bold green"), " solved   ", (count(run["evaluations"]), "bold"), " evaluations   ",
        (short(run["evaluations"] / max(seconds, 1)), "bold"), " per second",
    )  # fmt: skip
    if run["duplicates_avoided"]:
        numbers.append(f"   {count(run['duplicates_avoided'])} repeats avoided")
    fit = [_found_line(entry) for entry in finished if entry["fit"]][-LATEST:]
    return Group(
        bar(run, width - len(right)).append(right), _cells(answer["tasks"]), _legend(), "", numbers, "",
        *fit, *[""] * (LATEST - len(fit)),
    )  # fmt: skip


def _cells(tasks: list[dict[str, Any]]) -> Text:
    """One mark for each task, in order."""
    from rich.text import Text

    return Text(" ").join(Text(*MARKS[_standing(entry)]) for entry in tasks)


def _standing(entry: dict[str, Any]) -> str:
    if entry["state"] != "done":
        return "in hand" if entry["state"] == "working" else "waiting"
    return "solved" if entry["solved"] else "fit" if entry["fit"] else "not fit"


def _legend() -> Text:
    from rich.text import Text

    return Text("   ").join(Text.assemble(mark, (f" {name}", "dim")) for name, mark in MARKS.items())


def _found_line(entry: dict[str, Any]) -> Text:
    from rich.text import Text

    from distevo_ctl.screen import duration, plain

    is_solved = entry["solved"]
    mark = ("solved", "green") if is_solved else ("fit   ", "yellow")
    return Text.assemble(
        mark, f"  {entry['id']}  {duration(entry['seconds']):>6}  ", (plain(entry["program"]), "cyan")
    )  # fmt: skip


def _summary(out: Console, answer: dict[str, Any]) -> None:
    from distevo_ctl.screen import count

    run = answer["run"]
    out.print(
        f"\n{run['solved']} of {run['tasks_total']} tasks solved with one guess each ({run['fit']} fit what they saw), "
        f"{count(run['evaluations'])} programs evaluated",
        style="bold",
    )


def _draw_some(out: Console, client: Client, answer: dict[str, Any]) -> None:
    """Draw a few solved tasks, those with the longest programs first: they did the most."""
    from rich.text import Text

    from distevo_ctl.draw import draw
    from distevo_ctl.panels import EXPECTED, MADE, Panel, PanelRow, panels_of
    from distevo_ctl.screen import plain

    solved = [entry for entry in answer["tasks"] if entry["solved"]]
    drawn: set[str] = set()
    for entry in sorted(solved, key=lambda entry: -len(entry["program"])):
        if entry["program"] in drawn:
            continue
        rows = panels_of(client.ask("results", run=RUN, task=entry["id"]))
        shown = [
            Panel(panel.label if panel.label == MADE else f"{row.title} {panel.label}", panel.rows, panel.is_right)
            for row in (rows[0], rows[-1])
            for panel in row.panels
            if panel.label != EXPECTED  # it is what the program made
        ]
        if max(max(len(panel.rows), len(panel.rows[0])) for panel in shown) > DRAWN_SIDE:
            continue
        out.print()
        out.print(Text.assemble((entry["id"], "bold green"), "  ", (plain(entry["program"]), "cyan")))
        draw(out, [PanelRow("", shown)])
        drawn.add(entry["program"])
        if len(drawn) == DRAWN:
            return


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
