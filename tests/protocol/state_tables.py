"""The specification's state tables and diagrams, from the tables that the code steps through.

`python tests/protocol/state_tables.py` writes them into `protocol/SPEC.md`; a test sees to it that they are there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from distevo.election import ELECTION_TABLE
from distevo.lease import WRITE_TABLE
from distevo.link import LINK_TABLE
from distevo.machine import Table
from distevo.members import MEMBER_TABLE
from distevo.migration import EDGE
from distevo.phase import PHASE_TABLE
from distevo.work import ISLAND_TABLE

SPEC = Path(__file__).parents[2] / "protocol" / "SPEC.md"
BEGIN, END = "<!-- state tables: written by tests/protocol/state_tables.py -->", "<!-- end of state tables -->"

TABLES: dict[str, tuple[str, Table[Any, Any]]] = {
    "A member's life": ("One for each member, as a whole.", PHASE_TABLE),
    "The write of `cluster`": ("One for each member; at most one write is in flight, of whatever kind.", WRITE_TABLE),
    "The election": ("One for each member that does not hold the lease.", ELECTION_TABLE),
    "A link": ("One for each connection, at either end of it.", LINK_TABLE),
    "A member, as another sees it": ("One for each other member.", MEMBER_TABLE),
    "An island in hand": ("One for each island that a member owns and has begun, or is handing over.", ISLAND_TABLE),
    "An edge of migration": ("One for each edge that leaves the member.", EDGE),
}


def section() -> str:
    """The whole section as Markdown."""
    parts = []
    for number, (title, (text, table)) in enumerate(TABLES.items(), 1):
        parts.append(f"### 10.{number} {title}\n\n{text} It begins in **{table.initial.value}**.\n")
        parts.append(rows(table))
        parts.append(diagram(table))
    return "\n".join(parts)


def rows(table: Table[Any, Any]) -> str:
    """One line for each row."""
    lines = ["| in | on | goes to | and does |", "|---|---|---|---|"]
    for (state, event), row in table.rows.items():
        lines.append(f"| {state.value} | {event.value} | {row.next.value} | {row.does} |")
    return "\n".join(lines) + "\n"


def diagram(table: Table[Any, Any]) -> str:
    """The transitions between different states, as a Mermaid diagram."""
    events: dict[tuple[str, str], list[str]] = {}
    for (state, event), row in table.rows.items():
        if row.next is not state:
            events.setdefault((state.value, row.next.value), []).append(event.value.replace("`", ""))
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {table.initial.value}"]
    lines += [f"    {start} --> {end}: {' / '.join(names)}" for (start, end), names in events.items()]
    return "\n".join([*lines, "```"]) + "\n"


def written(text: str) -> str:
    """`text`, the specification, with the section of today."""
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n\n{section()}\n{END}", text)


if __name__ == "__main__":
    SPEC.write_text(written(SPEC.read_text()))
