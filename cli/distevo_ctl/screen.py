"""What all commands share in showing things to people: a console, tables, and how numbers are written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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
FAIR_WIDTH = 14
"""What is left of it before other columns are left out."""

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


class Column(NamedTuple):
    """A column of a table: its heading, as in `table`, and what it shows of a thing."""

    heading: str
    cell: Callable[[Any], str | Text]
    rank: int = 0
    """Where there is no room for all columns, the one of the highest rank is left out first; one of rank 0, never."""


def fitting(columns: Sequence[Column], things: Sequence[Any], width: int) -> Table:
    """A table with a row for each thing, and as many of the columns as fit into `width`."""
    kept, _ = chosen(columns, things, width)
    return table([column.heading for column in kept], [[c.cell(thing) for c in kept] for thing in things], width)


def chosen(columns: Sequence[Column], things: Sequence[Any], width: int) -> tuple[list[Column], int]:
    """The columns that fit into `width`, and how much of it they take at least."""
    from rich.cells import cell_len

    def need(column: Column) -> int:
        texts = (column.heading.rstrip(">…"), *(str(column.cell(thing)) for thing in things))
        widest = max(map(cell_len, texts))
        return GAP + (min(widest, FAIR_WIDTH) if column.heading.endswith("…") else widest)

    needs = {column: need(column) for column in columns}
    optional = sorted((column for column in columns if column.rank), key=lambda column: column.rank)
    while optional and sum(needs.values()) - GAP > width:
        del needs[optional.pop()]
    return list(needs), sum(needs.values()) - GAP


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], width: int) -> Table:
    """Rows of text under headings. A column whose heading ends in `>` is of numbers, and set to the right; those whose
    heading ends in `…` are cut, the widest first, where all would not fit into `width`."""
    from rich.cells import cell_len
    from rich.table import Table

    cells = [list(map(_one_line, row)) for row in rows]
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


def _one_line(cell: str | Text) -> str | Text:
    """A cell with its line breaks written out: what a stranger calls itself must not look like more rows."""
    if isinstance(cell, str):
        return cell.replace("\n", "\\n")
    from rich.text import Text

    return Text("\\n").join(cell.split("\n")) if "\n" in cell.plain else cell


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


def known(number: int | None) -> str:
    """A whole number that may not be known: - then."""
    return "-" if number is None else str(number)


def short(number: float | None) -> str:
    """A rate in at most five characters: 7, 950, 12.3k, 1.2M, - when it is not known."""
    if number is None:
        return "-"
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


def delay(seconds: float | None) -> str:
    """A time that should be short: 0.35 ms, 12 ms, then as `duration`."""
    if seconds is None or seconds >= 0.9995:
        return duration(seconds)
    return "0 ms" if seconds < 5e-7 else f"{1000 * seconds:.2g} ms" if seconds < 0.0995 else f"{1000 * seconds:.0f} ms"


def fitness(numbers: Sequence[float] | None) -> str:
    """A fitness as people compare it: six digits, several numbers behind each other. The largest number there is stands
    for an infinite one, which JSON does not hold."""
    if numbers is None:
        return "-"
    largest = sys.float_info.max
    return " ".join(f"{number:.6g}" if abs(number) < largest else "-inf" if number < 0 else "inf" for number in numbers)


def print_json(value: Any) -> None:
    """JSON on standard output, for programs: one line, as the service gave it; escaped where the output's encoding
    lacks a letter."""
    import orjson

    data = orjson.dumps(value)
    try:
        data.decode().encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        import json

        data = json.dumps(orjson.loads(data)).encode()
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()
