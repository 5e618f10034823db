"""The scaling curve as an SVG picture that needs nothing else: no script, no font, no style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from distevo_ctl.benchmark.series import Series, Spread

WIDTH, HEIGHT = 640, 440
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 60, 60
"""Sizes are in pixels; these are the margins around the plot."""
WHISKER = 4
TICKS = 6
"""On the upright axis, about."""
IDEAL, EVALUATIONS, TASKS = "#999", "#0074D9", "#FF851B"


class Line(NamedTuple):
    """Multipliers by count of platforms."""

    label: str
    colour: str
    points: Sequence[tuple[int, Spread]]


def curve(series: Series, subtitle: str) -> str:
    """An SVG document: throughput against platforms, as a multiple of that of one, with the range of all repeats."""
    evaluations = [(count, series.evaluations_multiplier(count)) for count in series.counts]
    tasks = [(count, found) for count in series.counts if (found := series.tasks_multiplier(count))]
    lines = [Line("distinct evaluations per second", EVALUATIONS, evaluations), Line("tasks per hour", TASKS, tasks)]
    return picture([line for line in lines if line.points], series.counts[-1], subtitle)


def picture(lines: Sequence[Line], most: int, subtitle: str) -> str:
    """The same of any lines up to `most` platforms."""
    top = max([most, *(spread.range[1] for line in lines for _, spread in line.points)])

    def x(count: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * count / most

    def y(multiplier: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * multiplier / top

    step = max(round(top / TICKS), 1)
    body = [_text(LEFT, 24, "Throughput by platforms", "bold 16px"), _text(LEFT, 44, subtitle, "12px")]
    for value in range(0, int(top) + 1, step):
        body.append(_path(f"M{x(0):g} {y(value):g}H{x(most):g}", "#eee"))
        body.append(_text(LEFT - 8, y(value) + 4, f"{value}", "12px", "end"))
    counts = sorted({count for line in lines for count, _ in line.points})
    body.extend(_text(x(count), HEIGHT - BOTTOM + 18, f"{count}", "12px", "middle") for count in counts)
    body.append(_path(f"M{x(0):g} {y(0):g}L{x(most):g} {y(most):g}", IDEAL, 'stroke-dasharray="4 4"'))
    for line in lines:
        points = [(x(count), y(spread.median)) for count, spread in line.points]
        body.append(_path("M" + "L".join(f"{a:g} {b:g}" for a, b in points), line.colour, 'stroke-width="2"'))
        for count, spread in line.points:
            low, high = (y(value) for value in spread.range)
            ends = "".join(f"M{x(count) - WHISKER:g} {end:g}h{2 * WHISKER}" for end in (low, high))
            body.append(_path(f"M{x(count):g} {low:g}V{high:g}{ends}", line.colour))
        body.extend(f'<circle cx="{a:g}" cy="{b:g}" r="3" fill="{line.colour}"/>' for a, b in points)
    for row, (label, colour) in enumerate([("ideal", IDEAL), *((line.label, line.colour) for line in lines)]):
        body.append(_path(f"M{LEFT + 12} {TOP + 12 + 18 * row}h24", colour, 'stroke-width="2"'))
        body.append(_text(LEFT + 44, TOP + 16 + 18 * row, label, "12px"))
    body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, "platforms", "12px", "middle"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *body, "</svg>\n"])


def _path(d: str, colour: str, more: str = "") -> str:
    return f'<path d="{d}" fill="none" stroke="{colour}" {more}/>'


def _text(x: float, y: float, text: str, font: str, anchor: str = "start") -> str:
    style = f"font:{font} sans-serif"
    return f'<text x="{x:g}" y="{y:g}" style="{style}" text-anchor="{anchor}" fill="#111">{escape(text)}</text>'
