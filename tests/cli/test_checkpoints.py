"""`checkpoints`: what is there, what is damaged, and what may go."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import msgspec
import pytest

from distevo.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
from distevo.names import CHECKPOINTS, CLUSTER, checkpoint_name
from distevo.plan import TaskState
from distevod.store import FolderStore
from tests.cli.conftest import Home
from tests.cli.test_store_option import newer_checkpoint, tree
from tests.support.daemon import Daemon, wait_for
from tests.support.half_done import QUICK, best, evaluated, leave_half_done
from tests.support.store_view import StoreView


def damaged(folder: Path) -> str:
    """Copy a checkpoint with one bit flipped; the name of the copy's object."""
    data = bytearray()

    def is_read() -> bool:
        # The daemon goes on writing, and removes what a newer one covers: it may be gone since it was listed.
        nonlocal found
        with contextlib.suppress(FileNotFoundError):
            found = next(path for path in sorted(folder.rglob("*")) if path.is_file())
            data.extend(found.read_bytes())
        return bool(data)

    found = folder
    wait_for(is_read, "a checkpoint to be read")
    data[len(data) // 2] ^= 1
    copy = found.with_name("zz" + found.name[2:])
    copy.write_bytes(data)
    return copy.name


def test_sound_and_damaged_ones(platform: Home) -> None:
    platform.ctl("submit", "--problem", "onemax", "--tasks", "8192", "--cpu-seconds", "60", "--name", "kept")
    for _ in range(100):
        found = platform.json("checkpoints", "list")["checkpoints"]
        if found:
            break
    assert all(entry["ok"] and entry["islands"] == 1 and entry["bytes"] > 0 for entry in found)
    assert "sound" in platform.ctl("checkpoints", "list").stdout
    verified = platform.json("checkpoints", "verify")["checkpoints"]
    assert verified[0]["contents"][0]["task"] == "8192"
    assert "kept" in platform.ctl("checkpoints", "verify").stdout
    pruned = platform.json("checkpoints", "prune", "--yes")
    assert pruned["is_done"]
    assert any(not entry["goes"] and "kept/8192/0" in entry["reason"] for entry in pruned["checkpoints"])

    name = damaged(platform.state_dir / "store" / "checkpoints")
    for where in ((), ("--store", str(platform.state_dir / "store"))):
        done = platform.ctl("checkpoints", "verify", *where, code=6)
        assert "1 of " in done.stderr
        assert name in done.stderr
        assert done.stdout.count("sound") >= 1
        entries = platform.json("checkpoints", "verify", *where, code=6)["checkpoints"]
        (bad,) = [entry for entry in entries if not entry["ok"]]
        assert bad["kind"] == "CheckpointDamaged"
        # Which only lists, loudly.
        assert name in platform.ctl("checkpoints", "list", *where).stderr
        assert name in platform.ctl("checkpoints", "prune", *where).stderr
    next((platform.state_dir / "store" / "checkpoints").rglob(name)).unlink()
    platform.ctl("checkpoints", "verify")
    platform.ctl("cancel", "kept")


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return leave_half_done(tmp_path_factory.mktemp("left"))


@pytest.fixture
def store(left: Path, tmp_path: Path) -> FolderStore:
    """A store of a platform that was killed, with a run half done, for one test."""
    return FolderStore(Path(shutil.copytree(left, tmp_path / "store")))


def newest(store: FolderStore) -> Checkpoint:
    """The newest checkpoint; all are of one boot."""
    found = [decode_checkpoint(store.read(name)[0]) for name in store.list(CHECKPOINTS)]
    return max(found, key=lambda checkpoint: checkpoint.sequence)


def add(store: FolderStore, checkpoint: Checkpoint, sequence: int, boot: str = "") -> str:
    """A checkpoint that holds the same, by another number, maybe of another boot; its name."""
    made = msgspec.structs.replace(
        checkpoint, sequence=sequence, boot=boot or checkpoint.boot,
        islands=[msgspec.structs.replace(island, sequence=sequence) for island in checkpoint.islands],
    )  # fmt: skip
    name = checkpoint_name(made.member, made.boot, sequence)
    store.create(name, encode_checkpoint(made))
    return name


def test_prune_shows_first_what_would_go(store: FolderStore, home: Home) -> None:
    where = ("--store", "store")
    last = newest(store)
    before = store.list(CHECKPOINTS)
    one, two = (add(store, last, last.sequence + more) for more in (1, 2))
    over = msgspec.structs.replace(last, islands=[])
    over.islands.extend(msgspec.structs.replace(island, task="easy") for island in last.islands)
    done = add(store, over, 1, boot="ab")
    newer = checkpoint_name("here", "cd", 1)
    store.create(newer, newer_checkpoint(store.read(one)[0]))

    there = tree(home.folder / "store")
    shown = home.ctl("checkpoints", "prune", *where).stdout
    assert f"would delete {len(before) + 1} of {len(before) + 4} checkpoints" in shown
    assert "repeat it with --yes" in shown
    told = {entry["name"]: entry for entry in home.json("checkpoints", "prune", *where)["checkpoints"]}
    assert tree(home.folder / "store") == there
    assert {name for name, entry in told.items() if entry["goes"]} == {*before, done}
    assert told[done]["reason"] == "its tasks are over"
    assert told[one]["reason"].startswith("half/hard/0 is covered by 1 of 2")
    assert told[two]["reason"].startswith("half/hard/0 is covered by 0 of 2")
    assert told[newer]["reason"] == "is of a newer distevo"

    store.delete(newer)
    counted = evaluated(StoreView(home.folder / "store"))
    assert "deleted" in home.ctl("checkpoints", "prune", *where, "--yes").stdout
    assert set(store.list(CHECKPOINTS)) == {one, two}
    assert "would delete 0 of 2" in home.ctl("checkpoints", "prune", *where).stdout
    assert {island: n for island, n in counted.items() if island.task == "hard"} == evaluated(
        StoreView(home.folder / "store")
    )


def test_a_run_goes_on_from_what_prune_leaves(store: FolderStore, home: Home) -> None:
    last = newest(store)
    for more in (1, 2):
        add(store, last, last.sequence + more)
    view = StoreView(home.folder / "store")
    durable = best(view, "half", "hard")
    home.ctl("checkpoints", "prune", "--store", "store", "--yes")
    with Daemon(home.folder / "next", "--store", str(home.folder / "store"), *QUICK, id="next") as daemon:
        wait_for(lambda: daemon.ask(do="islands")["islands"], "islands in hand", seconds=60)
        daemon.ask(do="command", verb="cancel", run="half")
        wait_for(lambda: view.plan().runs["half"].tasks["hard"].state is TaskState.DONE, "the result", seconds=60)
        assert daemon.results("half")["hard"]["fitness"] >= durable


def test_a_store_without_a_plan_or_a_cluster(home: Home) -> None:
    home.error("checkpoints", "list", "--store", "absent", code=5)
    empty = FolderStore(home.folder / "empty")
    assert "no checkpoints" in home.ctl("checkpoints", "list", "--store", "empty").stdout
    assert home.error("checkpoints", "prune", "--store", "empty", code=5)["message"] == "there is no object 'cluster'"
    empty.create(CLUSTER, b"damaged")
    home.error("checkpoints", "prune", "--store", "empty", "--yes", code=6)
    home.error("checkpoints", "prune", code=3)
