"""Panels as an SVG picture that needs nothing else: no script, no font, no style sheet, a few hundred bytes a panel."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from distevo_ctl.panels import PALETTE, Panel, PanelRow

CELL = 12
"""Sizes are in pixels."""
GAP = 24
LABEL = 20
CHARACTER = 7.5
"""Width of a character of the headings at most."""
LINE_CHARACTERS = 110


def picture(title: str, text: str, rows: Sequence[PanelRow]) -> str:
    """An SVG document: a title, text below it (folded), then the rows of panels below each other.

    Each panel is one group of at most ten paths: for a colour, all its horizontal runs of cells.
    """
    body: list[str] = []
    y = float(GAP)
    width = len(title) * CHARACTER * 1.2
    body.append(_text(GAP, y, title, "bold 16px sans-serif"))
    for start in range(0, len(text), LINE_CHARACTERS):
        y += LABEL
        line = text[start : start + LINE_CHARACTERS]
        width = max(width, len(line) * CHARACTER)
        body.append(_text(GAP, y, line, "12px monospace"))
    for row in rows:
        y += GAP
        x = float(GAP)
        for panel in row.panels:
            label = f"{row.title} {panel.label}{'' if panel.is_right is None else ' ✓' if panel.is_right else ' ✗'}"
            body.append(_text(x, y + LABEL - 6, label.strip(), "12px sans-serif"))
            body.append(_panel(panel, x, y + LABEL))
            x += max(len(panel.rows[0]) * CELL, len(label) * CHARACTER) + GAP
        width = max(width, x - 2 * GAP)
        y += LABEL + max(len(panel.rows) for panel in row.panels) * CELL
    wide, high = round(width + 2 * GAP), round(y + GAP)
    size = f'viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *body, "</svg>\n"])


def _panel(panel: Panel, x: float, y: float) -> str:
    runs: dict[int, list[str]] = {}
    for number, row in enumerate(panel.rows):
        column = 0
        for colour, cells in groupby(row):
            length = len(list(cells))
            runs.setdefault(colour, []).append(f"M{column} {number}h{length}v1h-{length}z")
            column += length
    paths = "".join(f'<path fill="{PALETTE[colour]}" d="{"".join(parts)}"/>' for colour, parts in sorted(runs.items()))
    width, height = len(panel.rows[0]), len(panel.rows)
    lines = "".join(f"M{i} 0v{height}" for i in range(width + 1)) + "".join(
        f"M0 {i}h{width}" for i in range(height + 1)
    )
    grid = f'<path fill="none" stroke="#555" stroke-width=".08" d="{lines}"/>'
    return f'<g transform="translate({x:g} {y:g}) scale({CELL})" shape-rendering="crispEdges">{paths}{grid}</g>'


def _text(x: float, y: float, text: str, font: str) -> str:
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f'<text x="{x:g}" y="{y:g}" style="font:{font};white-space:pre" fill="#111">{escape(shown)}</text>'
