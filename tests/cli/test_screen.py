"""How numbers, times and strange text are shown."""

from __future__ import annotations

from typing import Any

import pytest

from distevo_ctl.bar import bar, parts
from distevo_ctl.commands.status import members_table
from distevo_ctl.screen import duration, fitness, plain, short


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


def test_the_bar_is_as_wide_as_asked_and_shows_each_part() -> None:
    run = {"tasks_total": 40, "tasks_done": 20, "tasks_failed": 2, "fit": 10, "solved": 8}
    assert parts(run) == {"solved": 8, "fit": 2, "failed": 2, "other": 8, "open": 20}
    for width in (1, 7, 40, 200):
        assert bar(run, width).cell_len == width
    spans = [(str(span.style), span.end - span.start) for span in bar(run, 40).spans]
    assert spans == [("green", 8), ("yellow", 2), ("red", 2), ("blue", 8), ("grey30", 20)]


def _member(name: str, state: str, path: str, heard: float | None) -> dict[str, Any]:
    return {
        "id": name, "kind": "local", "state": state, "path": path, "last_heard_s": heard, "workers": 1, "islands": 2,
        "checkpoint_age_s": None, "workers_replaced": None,
    }  # fmt: skip


def test_members_with_the_coordinator_marked_and_when_they_were_heard_where_there_is_room() -> None:
    members = [
        _member("a", "alive", "self", 0.0),
        _member("b", "suspect", "mail", 12.0),
        _member("c", "dead", "-", None),
    ]
    view = {"cluster": {"coordinator": "b"}, "members": members}
    made = members_table(view, 100)
    columns = {str(column.header): [str(cell) for cell in column.cells] for column in made.columns}
    assert columns["PLATFORM"] == ["a", "b *", "c"]
    assert columns["HEARD"] == ["-", "12 s ago", "-"]
    states = next(column for column in made.columns if column.header == "STATE")
    assert [str(cell.style) for cell in states.cells] == ["green", "yellow", "red"]
    narrow = {str(column.header): [str(cell) for cell in column.cells] for column in members_table(view, 80).columns}
    assert "HEARD" not in narrow
    assert narrow["PATH"] == ["self", "mail", "-"]
    alone = members_table({"cluster": {"coordinator": "a"}, "members": members[:1]}, 200)
    assert "HEARD" not in [column.header for column in alone.columns]
