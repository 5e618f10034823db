"""Panels as text: two cells in a character, digits where there is no colour, side by side where there is room."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from distevo_ctl.commands.results import show_task
from distevo_ctl.draw import draw
from distevo_ctl.panels import Panel, PanelRow
from distevod.problems.loader import resolve

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


UNDRAWN = """
class Undrawn:
    name, version = "undrawn", "1"

    def __init__(self, task):
        INIT

    def random(self, rng):
        return b"x"

    def mutate(self, genome, rng):
        return genome

    def evaluate(self, genome):
        return 1.0

    def encode(self, genome):
        return genome

    def decode(self, data):
        return data

    def panels(self, genome):
        PANELS
"""


@pytest.mark.parametrize(
    ("init", "panels", "says"),
    [
        ("open('/nowhere/data')", "return []", "FileNotFoundError"),
        ("pass", "return [('x', 1 / 0)]", "ZeroDivisionError"),
        ("pass", "import sys; sys.exit(3)", "SystemExit: 3"),
        ("pass", "return [('x', [[]])]", "give rows of equal length"),
    ],
)
def test_a_program_that_cannot_be_drawn_is_told_all_the_same(
    init: str,
    panels: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = f"undrawn_{says[:4]}"
    (tmp_path / f"{module}.py").write_text(UNDRAWN.replace("INIT", init).replace("PANELS", panels))
    monkeypatch.syspath_prepend(tmp_path)
    ref = resolve(f"{module}:Undrawn")
    task: dict[str, Any] = {"id": "t", "state": "done", "fit": True, "solved": None, "fitness": [1.0], "evaluations": 1}
    task |= {"seconds": 1.0, "error": None, "program": "x", "program_hex": "78"}
    problem = {"reference": ref.reference, "source": None, "digest": ref.digest}
    show_task({"run": {"id": "r"}, "tasks": [task], "problem": problem, "data": {}})
    shown = capsys.readouterr().out
    assert "program  x" in shown
    assert "cannot be drawn here: " in shown
    assert says in shown
