"""Panels as text: two cells in a character, digits where there is no colour, side by side where there is room."""

from __future__ import annotations

import io

from rich.console import Console

from distevo_ctl.draw import draw
from distevo_ctl.panels import Panel, PanelRow

BIG = [[column % 10 for column in range(12)] for _ in range(3)]


def drawn(rows: list[PanelRow], *, colour: bool, width: int = 100) -> str:
    out = Console(file=io.StringIO(), width=width, force_terminal=colour, color_system="truecolor" if colour else None)
    draw(out, rows)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_digits_without_colour() -> None:
    row = PanelRow("pair 0", [Panel("input", [[0, 1], [2, 3]]), Panel("program", [[4]], True), Panel("output", [[4]])])
    assert drawn([row], colour=False).split("\n") == [
        "pair 0",
        "input  program ✓  output",
        "┌──┐   ┌─┐        ┌─┐",
        "│01│   │4│        │4│",
        "│23│   └─┘        └─┘",
        "└──┘",
        "",
    ]


def test_small_grids_have_a_character_of_two_columns_for_each_cell() -> None:
    text = drawn([PanelRow("", [Panel("x", [[1, 2]])])], colour=True)
    assert "\x1b[48;2;0;116;217m  \x1b[0m\x1b[48;2;255;65;54m  \x1b[0m" in text


def test_large_grids_have_one_for_two_cells_and_an_odd_last_row_its_half() -> None:
    text = drawn([PanelRow("", [Panel("x", BIG)])], colour=True)
    assert text.count("▀") == 24
    assert "\x1b[38;2;0;116;217;48;2;0;116;217m▀" in text  # colour 1 above colour 1
    assert "\x1b[38;2;0;116;217m▀" in text  # the last row: nothing below it


def test_panels_go_below_each_other_where_they_do_not_fit() -> None:
    row = PanelRow("", [Panel("a", BIG), Panel("b", BIG), Panel("c", BIG)])
    lines = drawn([row], colour=False, width=32).split("\n")
    assert lines[0].split() == ["a", "b"]
    assert lines[6].split() == ["c"]
    assert max(map(len, lines)) <= 32
