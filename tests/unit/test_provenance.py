"""Provenance: where a program was made, in its metadata."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distevo.provenance import Provenance, meta_of, origin_view, provenance_of

made = st.builds(Provenance, st.text(min_size=1, max_size=64), st.integers(0, 1023), st.integers(0, 2**32 - 1))


@given(made)
def test_what_is_written_is_read(provenance: Provenance) -> None:
    assert provenance_of(meta_of(provenance)) == provenance


@given(st.binary(max_size=255))
def test_any_metadata_can_be_looked_at(meta: bytes) -> None:
    provenance = provenance_of(meta)
    assert (provenance is None) == (len(meta) <= 6)


def test_the_first_of_two_copies_is_the_lower() -> None:
    first, again = Provenance("z", 3, 255), Provenance("a", 1, 256)
    assert meta_of(first) < meta_of(again)


def test_what_is_too_large_is_cut() -> None:
    assert provenance_of(meta_of(Provenance("p", 70_000, 2**40))) == Provenance("p", 65_535, 2**32 - 1)


def test_a_view_has_names() -> None:
    assert origin_view(meta_of(Provenance("kaggle-1", 2, 7))) == {"platform": "kaggle-1", "island": 2, "generation": 7}
    assert origin_view(b"") is None
