"""Panels in a terminal: two cells of a grid in one character, side by side, in a thin frame.

A character is about twice as high as wide, so `▀` in two colours shows one cell above another, and both are square;
small grids get one character of two columns for each cell. Where there are no colours, the cells are digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from distevo_ctl.panels import PALETTE, Panel, PanelRow

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

GAP = "  "
FRAME = "grey37"
LARGE_SIDE = 10
"""Grids are drawn large when none of a task is larger than this."""


def draw(out: Console, rows: Sequence[PanelRow]) -> None:
    """Print rows of panels, each under its title; panels that do not fit beside the others go below them."""
    coloured = out.color_system is not None and not out.no_color
    large = all(max(len(panel.rows), len(panel.rows[0])) <= LARGE_SIDE for row in rows for panel in row.panels)
    for row in rows:
        if row.title:
            out.print(row.title, style="bold")
        for line in _beside([_block(panel, large, coloured) for panel in row.panels], out.width):
            out.print(line, no_wrap=True, overflow="crop")


def _block(panel: Panel, large: bool, coloured: bool) -> list[Text]:
    """One panel as lines of equal width: label, frame, cells."""
    from rich.text import Text

    label = Text.assemble((panel.label, "dim"))
    if panel.is_right is not None:
        label.append(" ✓" if panel.is_right else " ✗", style="bold green" if panel.is_right else "bold red")
    cells = _digits(panel) if not coloured else _large(panel) if large else _small(panel)
    width = cells[0].cell_len
    lines = [
        label,
        Text(f"┌{'─' * width}┐", style=FRAME),
        *(Text.assemble(("│", FRAME), line, ("│", FRAME)) for line in cells),
        Text(f"└{'─' * width}┘", style=FRAME),
    ]
    widest = max(line.cell_len for line in lines)
    for line in lines:
        line.pad_right(widest - line.cell_len)
    return lines


def _digits(panel: Panel) -> list[Text]:
    from rich.text import Text

    return [Text("".join(map(str, row))) for row in panel.rows]


def _large(panel: Panel) -> list[Text]:
    from rich.text import Text

    return [Text.assemble(*(("  ", f"on {PALETTE[cell]}") for cell in row)) for row in panel.rows]


def _small(panel: Panel) -> list[Text]:
    from rich.text import Text

    lines = []
    for upper, lower in zip_longest(panel.rows[::2], panel.rows[1::2]):
        if lower is None:
            lines.append(Text.assemble(*(("▀", PALETTE[cell]) for cell in upper)))
        else:
            pairs = zip(upper, lower, strict=True)
            lines.append(Text.assemble(*(("▀", f"{PALETTE[above]} on {PALETTE[below]}") for above, below in pairs)))
    return lines


def _beside(blocks: list[list[Text]], width: int) -> list[Text]:
    """Blocks from left to right, and below when the width is used up."""
    from rich.text import Text

    lines: list[Text] = []
    while blocks:
        used, taken = blocks[0][0].cell_len, 1
        while taken < len(blocks) and used + len(GAP) + blocks[taken][0].cell_len <= width:
            used += len(GAP) + blocks[taken][0].cell_len
            taken += 1
        row, blocks = blocks[:taken], blocks[taken:]
        for number in range(max(map(len, row))):
            parts = [block[number] if number < len(block) else Text(" " * block[0].cell_len) for block in row]
            line = Text(GAP).join(parts)
            line.rstrip()
            lines.append(line)
    return lines
