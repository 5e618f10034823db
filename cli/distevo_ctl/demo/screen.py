"""What is seen on a terminal, in place: the run, a mark for each task, the platforms, and the latest finds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from distevo_ctl.bar import bar
from distevo_ctl.demo.look import Look, Show
from distevo_ctl.demo.platforms import Platforms
from distevo_ctl.demo.rows import found_line, platforms_table
from distevo_ctl.screen import count, known, short

LATEST = 6
FRAME_LINES = 12
"""Lines around the platforms and the latest finds."""
MARKS = {
    "solved": ("■", "green"),
    "fit": ("▣", "yellow"),
    "not fit": ("□", "blue"),
    "in hand": ("◆", "bold cyan"),
    "waiting": ("·", "grey50"),
}


@contextlib.contextmanager
def on_screen(out: Console, platforms: Platforms) -> Iterator[Show]:
    """Gives what shows a look; what is printed meanwhile goes above it."""
    finds: dict[str, Text] = {}
    room = min(LATEST, max(out.height - FRAME_LINES - len(platforms.ids), 1))
    with Live(console=out, auto_refresh=False) as live:

        def show(look: Look) -> None:
            for entry in look.tasks:
                if entry["state"] == "done" and entry["fit"] and entry["id"] not in finds:
                    finds[entry["id"]] = found_line(entry)
            latest = list(finds.values())[-room:]
            parts: list[RenderableType] = [
                _run(look, out.width),
                "",
                platforms_table(look, platforms, out.width),
                "",
                *latest,
            ]
            live.update(Group(*parts, *[""] * (room - len(latest))), refresh=True)

        yield show


def _run(look: Look, width: int) -> Group:
    run = look.run
    right = f"  {run['tasks_done']}/{run['tasks_total']} tasks  {look.seconds:.0f} s"
    numbers = Text.assemble(
        (known(run["solved"]), "bold green"), " solved   ", (count(run["evaluations"]), "bold"), " evaluations   ",
        (short(run["evaluations"] / max(look.seconds, 1)), "bold"), " per second",
        no_wrap=True, overflow="ellipsis",
    )  # fmt: skip
    if run["duplicates_avoided"]:
        numbers.append(f"   {count(run['duplicates_avoided'])} repeats avoided")
    legend = Text("   ").join(Text.assemble(mark, (f" {name}", "dim")) for name, mark in MARKS.items())
    return Group("", bar(run, width - len(right)).append(right), _cells(look.tasks), legend, "", numbers)


def _cells(tasks: list[dict[str, Any]]) -> Text:
    """One mark for each task, in order."""
    return Text(" ").join(Text(*MARKS[_mark(entry)]) for entry in tasks)


def _mark(entry: dict[str, Any]) -> str:
    if entry["state"] != "done":
        return "in hand" if entry["state"] == "working" else "waiting"
    return "solved" if entry["solved"] else "fit" if entry["fit"] else "not fit"
