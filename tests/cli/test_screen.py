"""How numbers, times and strange text are shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from distevo_ctl.bar import bar, parts
from distevo_ctl.screen import Column, delay, duration, fitness, fitting, plain, print_json, short, show, table


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (950, "950"), (12_345, "12.3k"), (999_400, "999k"), (999_600, "1M"), (2.5e6, "2.5M"), (3e9, "3G")],
)  # fmt: skip
def test_rates(number: float, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1:00"), (185, "3:05"), (7200, "2:00:00")],
)  # fmt: skip
def test_times(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert plain("a\x1b[2Jb\rc\x07") == r"a\x1b[2Jb\rc\x07"
    assert plain("two\nlines, ünïcode ✓") == "two\nlines, ünïcode ✓"
    assert fitness([1.0, -0.25]) == "1 -0.25"
    assert fitness(None) == "-"
    assert fitness([-1.7976931348623157e308, 1.7976931348623157e308]) == "-inf inf"


@pytest.mark.parametrize("name", ["a\nserver-9  alive", Text("a\nserver-9  alive", "bold")], ids=["text", "styled"])
def test_a_name_with_a_line_break_is_one_row_of_a_table(name: str | Text) -> None:
    out = Console(file=io.StringIO(), width=80)
    show(out, table(["PLATFORM", "STATE"], [[name, "dead"], ["b", "alive"]], 80))
    assert isinstance(out.file, io.StringIO)
    assert out.file.getvalue().splitlines() == [
        "PLATFORM            STATE",
        r"a\nserver-9  alive  dead",
        "b                   alive",
    ]


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", '["≥"]\n'), ("ascii", '["\\u2265"]\n')])
def test_json_loses_no_letter_where_the_encoding_lacks_it(
    encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding, errors="replace"))
    print_json(["≥"])
    assert written.getvalue().decode() == shown


def test_the_bar_is_as_wide_as_asked_and_shows_each_part() -> None:
    run = {"tasks_total": 40, "tasks_done": 20, "tasks_failed": 2, "fit": 10, "solved": 8}
    assert parts(run) == {"solved": 8, "fit": 2, "failed": 2, "other": 8, "open": 20}
    for width in (1, 7, 40, 200):
        assert bar(run, width).cell_len == width
    spans = [(str(span.style), span.end - span.start) for span in bar(run, 40).spans]
    assert spans == [("green", 8), ("yellow", 2), ("red", 2), ("blue", 8), ("grey30", 20)]


def test_short_times() -> None:
    told = [delay(seconds) for seconds in (None, 0.0, 0.00042, 0.0123, 0.0996, 0.75, 2.25)]
    assert told == ["-", "0 ms", "0.42 ms", "12 ms", "100 ms", "750 ms", "2.2 s"]


THINGS = [("a-long-name-of-a-thing", 1, 22), ("b", 333, 4)]
COLUMNS = (
    Column("NAME…", lambda thing: thing[0]),
    Column("FIRST>", lambda thing: str(thing[1]), 2),
    Column("SECOND>", lambda thing: str(thing[2]), 1),
)


@pytest.mark.parametrize(
    ("width", "headings"),
    [(10_000, ["NAME", "FIRST", "SECOND"]), (29, ["NAME", "FIRST", "SECOND"]), (28, ["NAME", "SECOND"]), (9, ["NAME"])],
)  # fmt: skip
def test_columns_that_do_not_fit_are_left_out_by_rank(width: int, headings: list[str]) -> None:
    made = fitting(COLUMNS, THINGS, width)
    assert [str(column.header) for column in made.columns] == headings
    out = Console(width=width, file=io.StringIO())
    out.print(made)
    assert isinstance(out.file, io.StringIO)
    assert all(len(line.rstrip()) <= width for line in out.file.getvalue().splitlines())
    assert made.row_count == 2
