"""What all commands share in showing things to people: a console, tables, and how numbers are written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod, RenderableType
    from rich.table import Table
    from rich.text import Text

WIDE = 10_000
"""Columns of an output that is no terminal: whoever reads it later has room, so nothing is cut or folded."""

GAP = 2
"""Spaces between the columns of a table."""
LEAST_WIDTH = 8
"""What is left of a table's column at least when it is cut."""

STATE_STYLES = {
    "queued": "yellow",
    "running": "bold cyan",
    "paused": "yellow",
    "done": "green",
    "cancelled": "magenta",
    "failed": "bold red",
}


def console(*, stderr: bool = False) -> Console:
    """A console for standard output (or error); plain and wide where that is no terminal."""
    from rich.console import Console

    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if is_terminal or "COLUMNS" in os.environ else WIDE
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], width: int) -> Table:
    """Rows of text under headings. A column whose heading ends in `>` is of numbers, and set to the right; those whose
    heading ends in `…` are cut, the widest first, where all would not fit into `width`."""
    from rich.cells import cell_len
    from rich.table import Table

    cells = [list(row) for row in rows]
    titles = [heading.rstrip(">…") for heading in columns]
    widths = [max([len(title), *(cell_len(str(row[at])) for row in cells)]) for at, title in enumerate(titles)]
    excess = sum(widths) + GAP * (len(widths) - 1) - width
    for at in sorted((at for at, heading in enumerate(columns) if heading.endswith("…")), key=lambda at: -widths[at]):
        cut = max(min(excess, widths[at] - LEAST_WIDTH), 0)
        widths[at] -= cut
        excess -= cut
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for at, heading in enumerate(columns):
        justify: JustifyMethod = "right" if heading.endswith(">") else "left"
        made.add_column(titles[at], justify=justify, overflow="ellipsis", no_wrap=True, width=widths[at])
    for row in cells:
        made.add_row(*row)
    return made


def show(out: Console, *things: RenderableType) -> None:
    """Print things one below the other, without the spaces that tables leave at the ends of lines."""
    with out.capture() as captured:
        for thing in things:
            out.print(thing)
    out.file.write("\n".join(line.rstrip() for line in captured.get().split("\n")))


def plain(text: str) -> str:
    """Text of a stranger (a program, a message) with whatever a terminal would obey written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def count(number: float) -> str:
    """A whole number with its thousands set off."""
    return f"{number:,.0f}"


def short(number: float) -> str:
    """A rate in at most five characters: 7, 950, 12.3k, 1.2M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * size:  # what would else be rounded to 1000
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def duration(seconds: float | None) -> str:
    """A time for people: 4.2 s, 3:05, 2:00:00, - when it is not known."""
    if seconds is None:
        return "-"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def fitness(numbers: Sequence[float] | None) -> str:
    """A fitness as people compare it: six digits, several numbers behind each other."""
    return "-" if numbers is None else " ".join(f"{number:.6g}" for number in numbers)


def print_json(value: Any) -> None:
    """JSON on standard output, for programs: one line, as the service gave it."""
    import orjson

    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()
