"""A few of the solved tasks, drawn."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from distevo_ctl.demo.look import RUN
from distevo_ctl.demo.platforms import Platforms
from distevo_ctl.draw import draw
from distevo_ctl.panels import EXPECTED, MADE, Panel, PanelRow, panels_of
from distevo_ctl.screen import plain

MOST = 4
SIDE = 16
"""Only grids up to this side are drawn: several tasks should fit on one screen."""


def draw_some(out: Console, platforms: Platforms, tasks: list[dict[str, Any]]) -> None:
    """Draw a few solved tasks, those with the longest programs first: they did the most. Raises CliError."""
    solved = [entry for entry in tasks if entry["solved"]]
    drawn: set[str] = set()
    for entry in sorted(solved, key=lambda entry: -len(entry["program"])):
        if entry["program"] in drawn:
            continue
        rows = panels_of(platforms.ask("results", run=RUN, task=entry["id"]))
        shown = [
            Panel(panel.label if panel.label == MADE else f"{row.title} {panel.label}", panel.rows, panel.is_right)
            for row in (rows[0], rows[-1])
            for panel in row.panels
            if panel.label != EXPECTED  # it is what the program made
        ]
        if max(max(len(panel.rows), len(panel.rows[0])) for panel in shown) > SIDE:
            continue
        out.print()
        out.print(Text.assemble((entry["id"], "bold green"), "  ", (plain(entry["program"]), "cyan")))
        draw(out, [PanelRow("", shown)])
        drawn.add(entry["program"])
        if len(drawn) == MOST:
            return
