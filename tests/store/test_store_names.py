"""What is a name, for all stores alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from distevo.errors import BadName
from distevod.store.base import check_mutable, check_name, check_prefix, check_written_once, is_mutable

SEGMENTS = st.text("aZ09-._~%", min_size=1, max_size=20).filter(lambda segment: segment not in {".", ".."})
NAMES = st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join)
ANYTHING = st.one_of(st.text(max_size=30), st.text("a./%\\\0", max_size=8), NAMES)


def passes(check: Callable[[str], None], name: str) -> bool:
    try:
        check(name)
    except BadName:
        return False
    return True


@given(NAMES)
def test_good_names_are_accepted_with_every_beginning(name: str) -> None:
    check_name(name)
    for end in range(len(name) + 1):
        check_prefix(name[:end])


@given(ANYTHING)
@example("..")
@example("a/../..")
@example("//")
def test_accepted_name_is_the_same_as_a_path_below_the_root(name: str) -> None:
    if not passes(check_name, name):
        return
    path = PurePosixPath("/root") / name
    assert str(path) == f"/root/{name}"
    assert ".." not in path.parts
    assert all(0 < len(part.encode()) <= 255 for part in path.parts[2:])
    assert path.parts[2] not in {"cas", "tmp"}


@given(ANYTHING)
def test_name_is_of_one_kind_of_object(name: str) -> None:
    assert passes(check_mutable, name) == (passes(check_name, name) and is_mutable(name))
    assert passes(check_written_once, name) == (passes(check_name, name) and not is_mutable(name))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("plans/a b", "holds ' ': percent-encode"),
        ("plans/../x", "'%2E'"),
        ("/plans", "empty part"),
        ("plans//x", "empty part"),
        ("a/" + "x" * 256, "256 bytes; at most 255"),
        ("/".join(["x" * 100] * 11), "at most 1024"),
        ("tmp/x", "needs for itself"),
    ],
)
def test_message_says_what_is_wrong(name: str, says: str) -> None:
    with pytest.raises(BadName) as caught:
        check_name(name)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 250
