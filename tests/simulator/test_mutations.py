"""The bugs that the mutation check puts in can still be put in; that seeds notice them, the check itself shows."""

from __future__ import annotations

import pytest

from tests.performance.mutations import LIBRARY, MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_what_a_mutation_replaces_is_there_once(mutation: Mutation) -> None:
    for edit in mutation.edits:
        assert (LIBRARY / edit.file).read_text().count(edit.old) == 1, edit.old
