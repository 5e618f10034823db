"""`distevo-ctl demo`: from nothing to solved tasks in less than a minute, leaving nothing behind.

Everything that it does a person could type: it starts three daemons on one temporary store, submits a run, follows it,
kills the coordinator on the way, draws some of what was found, and stops the others.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distevo_ctl.number import Number

if TYPE_CHECKING:
    from rich.console import Console

    from distevo_ctl.demo.platforms import Platforms

IDS = ("one", "two", "three")
EVOLVE_SECONDS = 45.0
"""Tasks that are not done by then keep the best so far: with drawing and stopping that is within the minute."""
ISLANDS_PER_TASK = 2


@click.command()
@click.option("--tasks", default="training:0-39", show_default=True, metavar="SET", help="ARC tasks to solve.")
@click.option(
    "--cpu-seconds", type=Number(0.01, 60), default=1.5, show_default=True, metavar="S",
    help="Budget of each task.",
)  # fmt: skip
def demo(tasks: str, cpu_seconds: float) -> None:
    """Show what distevo does, within a minute.

    Three platforms on this machine solve real ARC tasks together; one of them is killed on the way. All is temporary,
    and removed at the end.
    """
    from distevo_ctl.demo.platforms import Platforms
    from distevo_ctl.interrupts import Interrupts
    from distevo_ctl.screen import console
    from distevod.problems.loader import load, resolve

    problem: Any = load(resolve("grids", None))
    problem.tasks(tasks)  # a mistake in it is told before anything starts
    out = console()
    begun = time.monotonic()
    with Interrupts() as interrupts, contextlib.ExitStack() as ends:
        out.print("distevo", style="bold magenta", end="  ")
        out.print(f"starting {len(IDS)} platforms, linked over ZeroMQ", style="dim")
        ends.callback(lambda: _say_end(out, platforms))
        folder = ends.enter_context(tempfile.TemporaryDirectory(prefix="distevo-demo-"))
        platforms = Platforms(Path(folder), IDS)
        ends.enter_context(platforms)
        with interrupts.let_in():
            _show(out, platforms, tasks, cpu_seconds, begun)
    out.print(f"\n{time.monotonic() - begun:.0f} s in all. Next, on a platform that stays:", style="bold")
    for command in (
        *_path_commands(),
        "distevod start --detach",
        f"distevo-ctl submit --problem grids --tasks {shlex.quote(tasks)} --cpu-seconds {cpu_seconds:g} --wait",
        "distevo-ctl results grids-1",
    ):
        out.print(f"  {command}", soft_wrap=True)


def _show(out: Console, platforms: Platforms, tasks: str, cpu_seconds: float, begun: float) -> None:
    from rich.text import Text

    from distevo_ctl.demo.drawn import draw_some
    from distevo_ctl.demo.kill import Kill
    from distevo_ctl.demo.lines import in_lines
    from distevo_ctl.demo.look import RUN, looks
    from distevo_ctl.demo.screen import on_screen
    from distevo_ctl.screen import count

    for failure in platforms.wait_until_ready():
        out.print(Text(f"goes on without {failure.message}", "yellow"))
    coordinator = platforms.ask("status")["cluster"]["coordinator"]
    out.print(f"{_listed(platforms)} after {time.monotonic() - begun:.1f} s; {coordinator or 'none yet'} coordinates")
    answer = platforms.ask(
        "submit",
        reference="grids",
        spec=tasks,
        run=RUN,
        islands_per_task=ISLANDS_PER_TASK,
        cpu_seconds=cpu_seconds,
        seed=1,
    )
    out.print(f"{answer['tasks']} ARC tasks ({tasks}), {cpu_seconds:g} CPU seconds and {ISLANDS_PER_TASK} islands each")
    kill = Kill(platforms)
    shown = on_screen if sys.stdout.isatty() and not out.is_dumb_terminal else in_lines
    with shown(out, platforms) as show:
        for look in looks(platforms, begun + EVOLVE_SECONDS):
            for line in kill.follow(look):
                out.print(line)
            show(look)
    run = look.run
    out.print(
        f"\n{run['solved'] or 0} of {run['tasks_total']} tasks solved with one guess each "
        f"({run['fit']} fit what they saw), {count(run['evaluations'])} programs evaluated",
        style="bold",
    )
    out.print(kill.verdict(look))
    draw_some(out, platforms, look.tasks)


def _listed(platforms: Platforms) -> str:
    *others, last = [platform.id for platform in platforms.running]
    return f"{', '.join(others)} and {last} run" if others else f"{last} runs"


def _say_end(out: Console, platforms: Platforms) -> None:
    if platforms.stopped_in is not None:
        out.print(f"\nstopped cleanly in {platforms.stopped_in:.1f} s; the temporary folder is removed", style="dim")


def _path_commands() -> list[str]:
    """What makes the shell find `distevod`, where it does not."""
    if shutil.which("distevod"):
        return []
    folder = Path(sys.executable).parent
    here = Path.cwd()
    shown = f"$PWD/{folder.relative_to(here)}" if folder.is_relative_to(here) else str(folder)
    return [f'export PATH="{shown}:$PATH"']
