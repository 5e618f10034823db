"""Calls of the operating system that fail half-way: what is certain is told as certain, the rest as `Unknown`.

The failing call is put in place of the real one in `os`, which is where both the store and `pathlib` look it up.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distevo.errors import NotFound, StoreUnavailable, Unknown
from distevod.store import FolderStore

Fail = Callable[..., None]

VERBS: dict[str, Callable[[FolderStore], int]] = {
    "create": lambda store: store.create("plans/2", b"new"),
    "first": lambda store: store.create("other", b"new"),
    "replace": lambda store: store.replace("cluster", b"new", 1),
}
NAMES = {"create": "plans/2", "first": "other", "replace": "cluster"}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = FolderStore(tmp_path / "store")
    store.create("cluster", b"old")
    store.create("plans/1", b"old")
    return store


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """`fail(name, error, number, done)`: the call number `number` of `os.<name>` fails, `done` or not."""

    def replace_call(name: str, error: int, number: int = 1, done: bool = False) -> None:
        real, calls = getattr(os, name), 0

        def failing(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            result = real(*arguments, **named) if done or calls != number else None
            if calls == number:
                raise OSError(error, os.strerror(error))
            return result

        monkeypatch.setattr(os, name, failing)

    return replace_call


def is_new(store: FolderStore, verb: str) -> bool:
    try:
        return store.read(NAMES[verb])[0] == b"new"
    except NotFound:
        return False


def leftovers(store: FolderStore, tmp_path: Path) -> list[Path]:
    return list((tmp_path / "store" / "tmp").iterdir())


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "close"])
def test_failure_before_the_name_is_certain(
    call: str, verb: str, store: FolderStore, fail: Fail, tmp_path: Path
) -> None:
    fail(call, errno.EIO, done=call == "close")
    with pytest.raises(StoreUnavailable, match="the disk fails"):
        VERBS[verb](store)
    assert not is_new(store, verb)
    assert not leftovers(store, tmp_path)
    VERBS[verb](store)
    assert is_new(store, verb)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("done", [False, True])
def test_link_without_a_clear_answer_is_unknown(
    done: bool, verb: str, store: FolderStore, fail: Fail, tmp_path: Path
) -> None:
    fail("link", errno.EIO, done=done)
    with pytest.raises(Unknown, match=NAMES[verb]):
        VERBS[verb](store)
    assert is_new(store, verb) == done
    assert not leftovers(store, tmp_path)


@pytest.mark.parametrize("verb", VERBS)
def test_link_whose_answer_was_lost_and_was_repeated_is_a_success(verb: str, store: FolderStore, fail: Fail) -> None:
    fail("link", errno.EEXIST, done=True)
    VERBS[verb](store)
    assert is_new(store, verb)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("error", "says"), [(errno.EPERM, "no hard links"), (errno.EOPNOTSUPP, "no hard links"), (errno.ENOSPC, "is full")]
)
def test_refused_link_is_certain(
    error: int, says: str, verb: str, store: FolderStore, fail: Fail, tmp_path: Path
) -> None:
    fail("link", error)
    with pytest.raises(StoreUnavailable, match=says):
        VERBS[verb](store)
    assert not is_new(store, verb)
    assert not leftovers(store, tmp_path)


@pytest.mark.parametrize(("verb", "syncs"), [("create", 2), ("first", 3), ("replace", 2)])
def test_name_that_may_not_be_durable_is_unknown(verb: str, syncs: int, store: FolderStore, fail: Fail) -> None:
    """The file is synced first, then, where it is new, the folder's own name, and the file's name last."""
    fail("fsync", errno.EIO, number=syncs)
    with pytest.raises(Unknown, match="may not survive a loss of power"):
        VERBS[verb](store)
    assert is_new(store, verb)


def test_swap_that_cannot_see_the_newest_is_unknown(store: FolderStore, fail: Fail) -> None:
    fail("scandir", errno.EIO, number=2)
    with pytest.raises(Unknown, match="what is newest cannot be seen"):
        VERBS["replace"](store)
    assert is_new(store, "replace")


def test_delete_that_may_not_be_durable_is_unknown(store: FolderStore, fail: Fail) -> None:
    fail("fsync", errno.EIO)
    with pytest.raises(Unknown, match="may come back"):
        store.delete("plans/1")
    store.delete("plans/1")
    assert store.list("") == ["cluster"]


def test_read_error_is_not_absence(store: FolderStore, fail: Fail) -> None:
    fail("scandir", errno.EIO)
    with pytest.raises(StoreUnavailable, match="the disk fails"):
        store.read("cluster")
    fail("scandir", errno.EIO)
    with pytest.raises(StoreUnavailable, match="the disk fails"):
        store.list("plans/")


@pytest.mark.parametrize("name", ["plans/1", "cluster"])
def test_what_another_machine_removes_while_it_is_read_is_looked_at_again(
    name: str, store: FolderStore, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a network file system such a look ends with a stale handle, which says nothing of the store."""
    real, is_stale = Path.read_bytes, [True]

    def read_bytes(path: Path) -> bytes:
        if is_stale.pop():
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    is_stale[:] = [False, True]
    assert store.read(name)[0] == b"old"
    is_stale[:] = [True] * 100
    with pytest.raises(StoreUnavailable, match="mount it again"):
        store.read(name)
    for number in (1, 2, 3):
        fail("scandir", errno.ESTALE, number=number)
        assert store.list("") == ["cluster", "plans/1"]


@pytest.mark.parametrize("verb", VERBS)
def test_leftover_that_cannot_be_removed_does_not_spoil_the_success(
    verb: str, store: FolderStore, fail: Fail, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fail("unlink", errno.EIO)
    with caplog.at_level(logging.WARNING):
        VERBS[verb](store)
    assert is_new(store, verb)
    assert len(leftovers(store, tmp_path)) == 1
    assert "could not be removed" in caplog.text


def test_writes_in_small_pieces_make_a_whole_object(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    store.create("plans/2", bytes(range(256)))
    assert store.read("plans/2")[0] == bytes(range(256))


@pytest.mark.parametrize(("times", "is_made"), [(5, True), (1000, False)])
def test_folder_that_vanishes_before_the_link_is_made_again(
    times: int, is_made: bool, store: FolderStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another daemon removes it, since it is empty, each time just before the link; in the end that is told."""
    real, calls = os.link, 0

    def link(*arguments: Any, **named: Any) -> None:
        nonlocal calls
        calls += 1
        if calls <= times:
            (tmp_path / "store" / "results" / "a").rmdir()
        real(*arguments, **named)

    monkeypatch.setattr(os, "link", link)
    if is_made:
        store.create("results/a/x", b"new")
        assert calls == times + 1
        assert store.read("results/a/x")[0] == b"new"
    else:
        with pytest.raises(StoreUnavailable, match="removes it all the time"):
            store.create("results/a/x", b"new")
        assert not leftovers(store, tmp_path)
