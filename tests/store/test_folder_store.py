"""The folder store passes the contract, and leaves its folder as its user would have it."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from contract import StoreContract

from distevo.errors import NotFound, StoreUnavailable
from distevod.store import FolderStore, Store, open_store


class TestFolderStore(StoreContract):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: open_store(str(tmp_path / "store"))


class TestFolderStoreThatPrunesAtOnce(StoreContract):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: FolderStore(tmp_path / "store", keep_seconds=0.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_folder_and_those_above_are_made_for_the_user_alone(tmp_path: Path) -> None:
    root = tmp_path / "not" / "yet" / "there"
    FolderStore(root).create("plans/1", b"x")
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_folder_that_exists_keeps_its_mode(root: Path) -> None:
    root.mkdir(mode=0o750)
    FolderStore(root)
    assert stat.S_IMODE(root.stat().st_mode) == 0o750


def test_objects_are_plain_files_and_nothing_else_remains(root: Path) -> None:
    store = FolderStore(root)
    store.create("cluster", b"1")
    store.replace("cluster", b"2", 1)
    store.create("checkpoints/kaggle-1-ab/42", b"data")
    store.create("results/run/task/digest", b"gone")
    store.delete("results/run/task/digest")
    assert files_below(root) == [
        "cas/cluster/00000000000000000001",
        "cas/cluster/00000000000000000002",
        "checkpoints/kaggle-1-ab/42",
    ]
    assert (root / "checkpoints/kaggle-1-ab/42").read_bytes() == b"data"
    assert [path.name for path in (root / "results").iterdir()] == []


def test_what_stands_where_ours_should_be_is_named_and_left_alone(root: Path) -> None:
    store = FolderStore(root)
    store.create("plans/1", b"x")
    for name in ("plans/1/2", "plans/1/2/3"):
        with pytest.raises(StoreUnavailable, match=f"a file stands .*: move {root}/plans/1 away"):
            store.create(name, b"y")
        with pytest.raises(NotFound):
            store.read(name)
        store.delete(name)
    store.create("results/a/b", b"x")
    with pytest.raises(StoreUnavailable, match=f"a folder stands .*: move {root}/results/a away"):
        store.create("results/a", b"y")
    with pytest.raises(NotFound):
        store.read("results/a")
    store.delete("results/a")
    assert store.list("") == ["plans/1", "results/a/b"]
    assert not list((root / "tmp").iterdir())


def test_a_file_that_takes_the_place_of_a_folder_is_named(root: Path) -> None:
    store = FolderStore(root)
    store.create("results/a/b", b"x")
    shutil.rmtree(root / "results")
    (root / "results").write_bytes(b"distevo-ctl results grids-1 > results")
    with pytest.raises(StoreUnavailable, match=f"move {root}/results away"):
        store.create("results/a/c", b"x")
    (root / "results").unlink()
    store.create("results/a/c", b"x")


def test_strange_files_do_no_harm(root: Path) -> None:
    store = FolderStore(root)
    store.create("cluster", b"x")
    store.create("plans/1", b"x")
    for stray in ("notes.txt", ".DS_Store", "plans/two words", "plans/ä", "cas/stray", "cas/cluster/new", "tmp/mine"):
        (root / stray).write_bytes(b"stray")
    (root / "cas" / "hollow").mkdir()
    (root / "empty folder").mkdir()
    os.mkfifo(root / "plans" / "pipe")
    (root / "plans" / "broken").symlink_to("nowhere")
    for link in ("plans/itself", "cas/itself"):
        (root / link).symlink_to("itself")
    assert store.list("") == ["cluster", "plans/1"]
    assert store.read("cluster") == (b"x", 1)
    store.replace("cluster", b"y", 1)
    for name in ("hollow", "stray"):
        with pytest.raises(NotFound):
            store.read(name)


def test_folder_reached_by_a_symbolic_link_is_used(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store" / "checkpoints").symlink_to(tmp_path / "elsewhere")
    store.create("checkpoints/a", b"x")
    assert (tmp_path / "elsewhere" / "a").read_bytes() == b"x"
    assert store.list("") == ["checkpoints/a"]


def test_leftovers_are_removed_when_old_and_only_then(root: Path) -> None:
    FolderStore(root)
    young, old, future, foreign = (
        root / "tmp" / name for name in ("0" * 16 + ".1", "1" * 16 + ".22", "2" * 16 + ".3", "mine.txt")
    )
    hour = 3600.0
    for path, age in ((young, hour - 60), (old, hour + 60), (future, -hour - 60), (foreign, 100 * hour)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    FolderStore(root)
    assert sorted((root / "tmp").iterdir()) == sorted([young, foreign])


def test_versions_are_pruned_when_superseded_and_old_and_only_then(root: Path) -> None:
    store = FolderStore(root)
    store.create("cluster", b"1")
    versions = root / "cas" / "cluster"

    def numbers() -> list[int]:
        return sorted(int(path.name) for path in versions.iterdir())

    def make(last: int, age: Callable[[int], float]) -> None:
        for number in range(numbers()[-1] + 1, last + 1):
            (versions / f"{number:020}").write_bytes(b"%d" % number)
        for number in numbers():
            os.utime(versions / f"{number:020}", (time.time() - age(number),) * 2)

    make(127, lambda _: 590.0)
    store.replace("cluster", b"128", 127)
    assert numbers() == list(range(1, 129)), "all are younger than ten minutes"
    make(191, lambda number: 610.0 if number <= 100 else 590.0)
    store.replace("cluster", b"192", 191)
    assert numbers() == list(range(101, 193)), "the old ones go"
    make(255, lambda _: -1000.0)
    store.replace("cluster", b"256", 255)
    assert numbers() == list(range(256 - 65, 257)), "from the future, the clock being set back, is old too"
    assert store.read("cluster") == (b"256", 256)


def test_vanished_folder_is_no_empty_store(root: Path) -> None:
    store = FolderStore(root)
    store.create("cluster", b"x")
    store.create("plans/1", b"x")
    shutil.rmtree(root)
    for attempt in (0, 1):
        for verb in (
            lambda: store.read("cluster"),
            lambda: store.read("plans/1"),
            lambda: store.list(""),
            lambda: store.list("plans/"),
            lambda: store.create("plans/1", b"x"),
            lambda: store.create("cluster", b"x"),
            lambda: store.replace("cluster", b"x", 1),
            lambda: store.delete("plans/1"),
        ):
            with pytest.raises(StoreUnavailable, match="gone since it was opened"):
                verb()
        if attempt == 0:
            # What an unmounted disk leaves: a folder of the same name, another one.
            root.with_name("other").mkdir()
            root.with_name("other").rename(root)
    assert not list(root.iterdir())


def test_removed_inner_folders_are_made_again(root: Path) -> None:
    store = FolderStore(root)
    store.create("checkpoints/a/1", b"x")
    shutil.rmtree(root / "tmp")
    shutil.rmtree(root / "checkpoints")
    store.create("checkpoints/a/1", b"y")
    assert store.read("checkpoints/a/1")[0] == b"y"


def test_forked_copy_shares_no_temporary_name(root: Path) -> None:
    store = FolderStore(root)
    store.create("plans/0", b"")
    twin = FolderStore(root)
    vars(twin).update(vars(store) | {"_numbers": iter([0, 1, 2, 3])})
    (root / "tmp" / f"{vars(store)['_boot']}.0").write_bytes(b"the other is writing this")
    twin.create("plans/1", b"mine")
    assert twin.read("plans/1")[0] == b"mine"
    assert [path.read_bytes() for path in (root / "tmp").iterdir()] == [b"the other is writing this"]
