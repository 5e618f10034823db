"""The specification shows the state tables as they are, and every machine is in it."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import distevo
from tests.protocol.state_tables import SPEC, TABLES, written

LIBRARY = Path(distevo.__file__).parent


def test_the_specification_has_the_tables_of_the_code() -> None:
    text = SPEC.read_text()
    assert written(text) == text, "run python tests/protocol/state_tables.py"


def test_no_machine_is_left_out() -> None:
    sources = [path.read_text() for path in sorted(LIBRARY.rglob("*.py")) if path.name != "machine.py"]
    made = sum(len(re.findall(r"= Table\(", source)) for source in sources)
    assert made == len(TABLES)


def test_every_state_is_reached_and_says_what_is_done() -> None:
    for _, table in TABLES.values():
        reached = {table.initial} | {row.next for row in table.rows.values()}
        assert {state for state, _ in table.rows} <= reached
        assert all(row.does for row in table.rows.values())


def test_the_timers_of_the_specification_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)\.([A-Z_]+)` \| ([\d.]+)(?: ttl)? \|", SPEC.read_text(), re.MULTILINE)
    assert len(rows) >= 28
    for module, name, seconds in rows:
        assert getattr(import_module(f"distevo.{module}"), name) == float(seconds), f"{module}.{name}"
