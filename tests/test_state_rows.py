"""Every row of every state table is taken by some test: by simulated clusters, or by one made for it.

It comes after the tests that take them, and says nothing when only some of those were run.
"""

from __future__ import annotations

import pytest

from tests.conftest import ROWS
from tests.protocol.state_tables import TABLES

NEEDED = {"node", "protocol", "simulator"}


def test_every_row_of_the_state_tables_is_taken(request: pytest.FixtureRequest) -> None:
    ran = {item.path.parent.name for item in request.session.items}
    if not ran >= NEEDED:
        pytest.skip(f"needs the tests of {', '.join(sorted(NEEDED - ran))} in the same session")
    missing = [
        f"{title}: {event.value!r} in {state.value!r}"
        for title, (_, table) in TABLES.items()
        for state, event in table.rows
        if not ROWS[id(table), state, event]
    ]
    assert not missing, "\n".join(missing)
