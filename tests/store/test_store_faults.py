"""Disks that are full, read-only, forbidden or failing: a clear error, and nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from distevo.errors import NotFound, StoreUnavailable
from distevod.store import FolderStore, Store, open_store


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")


@pytest.fixture(params=["size=256k,nr_inodes=1000", "size=16m,nr_inodes=60"], ids=["out of space", "out of files"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small disk of which either the space or the files run out."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", request.param, "none", str(disk))
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def content(name: str) -> bytes:
    return name.encode() * 500


def fill(store: Store) -> list[str]:
    """Create objects until the disk is full; the names of those that succeeded."""
    names: list[str] = []

    def create_on() -> None:
        while True:
            name = f"checkpoints/a-1/{len(names):03}"
            store.create(name, content(name))
            names.append(name)

    with pytest.raises(StoreUnavailable, match="disk is full: free some space"):
        create_on()
    return names


def no_leftovers(root: Path) -> bool:
    return not list((root / "tmp").iterdir())


def test_full_disk_loses_nothing_and_recovers(disk: Path) -> None:
    root = disk / "store"
    store = FolderStore(root)
    store.create("cluster", b"one")
    names = fill(store)
    assert len(names) > 5
    for verb in (
        lambda: store.create("checkpoints/a-1/more", b"x" * 20_000),
        lambda: store.create("inbox/run-a-1", b"x" * 20_000),
        lambda: store.replace("cluster", b"x" * 20_000, 1),
    ):
        with pytest.raises(StoreUnavailable, match="disk is full"):
            verb()
    assert store.list("") == [*names, "cluster"]
    assert store.read("cluster") == (b"one", 1)
    for name in names:
        assert store.read(name)[0] == content(name)
    assert no_leftovers(root)

    for name in names[:5]:
        store.delete(name)
    assert store.replace("cluster", b"two", 1) == 2
    store.create("checkpoints/a-1/more", b"x")
    assert store.list("") == [*names[5:], "checkpoints/a-1/more", "cluster"]
    assert FolderStore(root).read("cluster") == (b"two", 2)


def test_full_disk_can_be_opened(disk: Path) -> None:
    root = disk / "store"
    names = fill(FolderStore(root))
    assert open_store(str(root)).list("") == names
    if "files" in disk.parent.name:
        with pytest.raises(StoreUnavailable, match="disk is full"):
            open_store(str(disk / "another"))


def test_folder_that_becomes_read_only_can_be_read(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a folder read-only")
    root = tmp_path / "store"
    store = FolderStore(root)
    store.create("cluster", b"one")
    store.create("plans/1", b"plan")
    leftover = root / "tmp" / f"{'0' * 16}.0"
    leftover.write_bytes(b"half")
    os.utime(leftover, (0, 0))
    mount("--bind", str(root), str(root))
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", root], check=True)
        for reader in (store, open_store(str(root))):
            assert reader.list("") == ["cluster", "plans/1"]
            assert reader.read("cluster") == (b"one", 1)
            assert reader.read("plans/1")[0] == b"plan"
            with pytest.raises(NotFound):
                reader.read("plans/2")
            for verb in (
                lambda reader=reader: reader.create("plans/2", b"x"),
                lambda reader=reader: reader.replace("cluster", b"x", 1),
                lambda reader=reader: reader.delete("plans/1"),
            ):
                with pytest.raises(StoreUnavailable, match="read-only"):
                    verb()
        with pytest.raises(StoreUnavailable, match="read-only"):
            FolderStore(root / "inner")
    finally:
        subprocess.run(["umount", root], check=True)
    assert store.replace("cluster", b"two", 1) == 2


def test_store_over_two_disks_is_refused_where_it_spreads(disk: Path) -> None:
    root = disk.parent / "store"
    store = FolderStore(root)
    (root / "plans").symlink_to(disk)
    with pytest.raises(StoreUnavailable, match="keep the whole folder on one"):
        store.create("plans/1", b"x")
    assert no_leftovers(root)


NOBODY = 65534

BECOME_NOBODY = f"""
import os, sys
from distevo.errors import StoreUnavailable
from distevod.store import open_store
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
root = sys.argv[1]
def attempt(verb):
    try:
        print(verb())
    except StoreUnavailable as error:
        print(error)
"""
USE_ALL = """
store = open_store(root)
attempt(lambda: store.read("cluster"))
attempt(lambda: store.list(""))
attempt(lambda: store.read("plans/secret"))
attempt(lambda: store.list("plans/"))
attempt(lambda: store.create("plans/2", b"x"))
attempt(lambda: store.replace("cluster", b"x", 1))
attempt(lambda: store.delete("plans/1"))
attempt(lambda: open_store(root + "/inner"))
"""


def run(script: str, *arguments: Path) -> list[str]:
    """The lines that a fresh Python process with this script prints."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_forbidden_folder_says_so() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "store")
        store = FolderStore(root)
        store.create("cluster", b"one")
        store.create("plans/1", b"x")
        store.create("plans/secret", b"x")
        (root / "plans" / "secret").chmod(0)
        inner = [path for path in root.rglob("*") if path.is_dir()]
        for path in (Path(folder), root, *inner):
            path.chmod(0o555)
        try:
            said = run(BECOME_NOBODY + USE_ALL, root)
        finally:
            for path in (Path(folder), root, *inner):
                path.chmod(0o755)
        assert said[0] == "(b'one', 1)"
        assert said[1] == "['cluster', 'plans/1', 'plans/secret']"
        assert said[3] == "['plans/1', 'plans/secret']"
        for line in (said[2], *said[4:]):
            assert f"the store {root}" in line
            assert "permission denied: make the folder readable and writable for this user" in line
        assert len(said) == 8
        assert store.list("") == ["cluster", "plans/1", "plans/secret"]


def test_locked_folder_is_no_empty_store() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder, "store"))
        store.create("plans/1", b"x")
        Path(folder).chmod(0)
        try:
            said = run(BECOME_NOBODY + "attempt(lambda: open_store(root))", Path(folder, "store"))
        finally:
            Path(folder).chmod(0o700)
        assert len(said) == 1
        assert "permission denied" in said[0]


WITH_FILE_LIMIT = """
import resource, sys
from distevo.errors import StoreUnavailable
from distevod.store import open_store
store = open_store(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for verb in (lambda: store.create("plans/big", b"x" * 10_000), lambda: store.replace("cluster", b"x" * 10_000, 1)):
    try:
        verb()
    except StoreUnavailable as error:
        print(error)
store.create("plans/small", b"x" * 4096)
"""
WITHOUT_DESCRIPTORS = """
import resource, os, sys
from distevo.errors import StoreUnavailable
from distevod.store import open_store
store = open_store(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
taken = []
try:
    while True:
        taken.append(os.open("/", os.O_RDONLY))
except OSError:
    pass
for verb in (lambda: store.create("plans/1", b""), lambda: store.list("")):
    try:
        verb()
    except StoreUnavailable as error:
        print(error)
for descriptor in taken:
    os.close(descriptor)
store.create("plans/1", b"")
"""


def test_limit_on_the_size_of_a_file_leaves_no_half_object(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = FolderStore(root)
    store.create("cluster", b"one")
    said = run(WITH_FILE_LIMIT, root)
    assert len(said) == 2
    assert all("raise the limit (ulimit -f)" in line for line in said)
    assert store.list("") == ["cluster", "plans/small"]
    assert store.read("cluster") == (b"one", 1)
    assert no_leftovers(root)


@pytest.mark.parametrize("below", ["file", "file/store", "store-with-file/tmp-is-a-file"])
def test_file_where_the_folder_should_be(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    root = tmp_path / below
    if below.startswith("store"):
        root.mkdir(parents=True)
        (root / "tmp").write_bytes(b"mine")
    with pytest.raises(StoreUnavailable, match="a file stands where a folder should be"):
        open_store(str(root))
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_parent_that_cannot_be_made() -> None:
    with pytest.raises(StoreUnavailable, match="/proc/nowhere/store"):
        open_store("/proc/nowhere/store")


def test_path_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="the path is too long"):
        open_store(f"{tmp_path}/{'x' * 300}")
    deep = FolderStore(Path(f"{tmp_path}/{'/'.join(['x' * 200] * 17)}"))
    with pytest.raises(StoreUnavailable, match="the path is too long"):
        deep.create("/".join(["y" * 200] * 4), b"x")
    deep.create("plans/1", b"x")
    assert deep.list("") == ["plans/1"]


def test_no_free_descriptor_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    said = run(WITHOUT_DESCRIPTORS, tmp_path / "store")
    assert len(said) == 2
    assert all("raise the limit (ulimit -n)" in line for line in said)
    assert FolderStore(tmp_path / "store").list("") == ["plans/1"]
