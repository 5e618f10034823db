"""Pictures: each cell of each panel once, in its colour, and nothing that is not escaped."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from hypothesis import given
from hypothesis import strategies as st

from distevo_ctl.panels import PALETTE, Panel, PanelRow
from distevo_ctl.svg import picture

SVG = "{http://www.w3.org/2000/svg}"
grids = st.integers(1, 12).flatmap(
    lambda width: st.lists(st.lists(st.integers(0, 9), min_size=width, max_size=width), min_size=1, max_size=12)
)


def cells(group: ElementTree.Element) -> dict[tuple[int, int], str]:
    """What a panel's paths paint: colour by (row, column)."""
    painted: dict[tuple[int, int], str] = {}
    for path in group.findall(f"{SVG}path"):
        if path.get("fill") == "none":
            continue
        for column, row, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", path.get("d", "")):
            for place in range(int(column), int(column) + int(length)):
                assert (int(row), place) not in painted
                painted[int(row), place] = path.get("fill", "")
    return painted


@given(grids)
def test_a_panel_is_painted_cell_for_cell(rows: list[list[int]]) -> None:
    root = ElementTree.fromstring(picture("t", "p", [PanelRow("train 0", [Panel("input", rows)])]))
    (group,) = root.findall(f"{SVG}g")
    assert len(group) <= 11
    assert cells(group) == {
        (number, column): PALETTE[cell] for number, row in enumerate(rows) for column, cell in enumerate(row)
    }


@given(st.text())
def test_any_text_is_a_picture(text: str) -> None:
    root = ElementTree.fromstring(picture(text, text * 3, []).encode())
    shown = [element.text or "" for element in root.findall(f"{SVG}text")]
    assert "".join(shown[1:]) == "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text * 3)


def test_panels_stand_side_by_side_within_the_picture() -> None:
    row = PanelRow("test 0", [Panel("input", [[1] * 5]), Panel("program", [[2] * 7], False)])
    root = ElementTree.fromstring(picture("t", "p", [row]))
    left, right = (group.get("transform", "") for group in root.findall(f"{SVG}g"))
    x = [float(re.findall(r"translate\((\S+)", text)[0]) for text in (left, right)]
    assert x[0] + 5 * 12 < x[1]
    assert x[1] + 7 * 12 < float(root.get("width", "0"))
    assert "test 0 program ✗" in [element.text for element in root.findall(f"{SVG}text")]
