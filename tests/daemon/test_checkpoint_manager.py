"""Checkpoints on their way: how many at a time, which of those that wait is written, and what is left of the rest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from distevo.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
from distevo.errors import CheckpointReplaced, StoreUnavailable
from distevo.instructions import CreateObject, ListObjects, ReadObject, ReplaceObject
from distevo.names import CHECKPOINTS, CLUSTER
from distevod.checkpoints import AsyncCheckpointManager
from distevod.lanes import Lanes
from distevod.store import FolderStore
from distevod.usage import DiskWatch, disk_watches, rss_mb, usage


class Slow(FolderStore):
    """Creates nothing until it is let go on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.go = threading.Event()
        self.is_away = False
        self.begun = self.most = 0
        self._lock = threading.Lock()

    def create(self, name: str, data: bytes) -> int:
        with self._lock:
            self.begun += 1
            self.most = max(self.most, self.begun)
        try:
            assert self.go.wait(30)
            if self.is_away:
                raise StoreUnavailable("away")
            return super().create(name, data)
        finally:
            with self._lock:
                self.begun -= 1


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as executor:
        yield executor


def checkpoint(sequence: int) -> Checkpoint:
    return Checkpoint(cluster="c", member="m", boot="b", sequence=sequence, islands=[], resource_usage={})


def written(store: FolderStore) -> list[int]:
    return sorted(decode_checkpoint(store.read(name)[0]).sequence for name in store.list(CHECKPOINTS))


def test_no_more_than_so_many_go_out_and_the_newest_waits(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    store = Slow(tmp_path / "store")
    manager = AsyncCheckpointManager("m", store, executor, max_concurrent_uploads=3)

    async def main() -> list[object]:
        saves = []
        for sequence in range(1, 9):
            saves.append(asyncio.ensure_future(manager.save_checkpoint_async(checkpoint(sequence))))
            await asyncio.sleep(0)
        while store.begun < 3:
            await asyncio.sleep(0.01)
        assert store.begun == 3
        store.go.set()
        return await asyncio.gather(*saves, return_exceptions=True)

    ended = asyncio.run(main())
    assert store.most == 3
    assert written(store) == [1, 2, 3, 8]
    assert [isinstance(end, CheckpointReplaced) for end in ended] == [False] * 3 + [True] * 4 + [False]
    assert (manager.saved, manager.replaced, manager.failed) == (4, 4, 0)


def test_one_that_fails_makes_room(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    store = Slow(tmp_path / "store")
    manager = AsyncCheckpointManager("m", store, executor, max_concurrent_uploads=1)
    store.go.set()

    async def main() -> None:
        store.is_away = True
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await manager.save_checkpoint_async(checkpoint(1))
        store.is_away = False
        await manager.save_checkpoint_async(checkpoint(2))

    asyncio.run(main())
    assert written(store) == [2]
    assert (manager.saved, manager.failed) == (1, 3)


@pytest.mark.parametrize(("set_to", "level"), [({}, 1), ({"enable_compression": False}, 0)])
def test_what_an_end_waits_for_is_compressed_fast(
    tmp_path: Path, executor: ThreadPoolExecutor, set_to: dict[str, bool], level: int
) -> None:
    store = FolderStore(tmp_path / "store")
    manager = AsyncCheckpointManager("m", store, executor, **set_to)
    manager.hasten()
    name = asyncio.run(manager.save_checkpoint_async(checkpoint(1)))
    assert store.read(name)[0] == encode_checkpoint(checkpoint(1), level)
    assert encode_checkpoint(checkpoint(1), level) != encode_checkpoint(checkpoint(1))


def test_one_that_is_given_up_while_it_waits_takes_no_place(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    store = Slow(tmp_path / "store")
    manager = AsyncCheckpointManager("m", store, executor, max_concurrent_uploads=1)

    async def main() -> None:
        first = asyncio.ensure_future(manager.save_checkpoint_async(checkpoint(1)))
        await asyncio.sleep(0.01)
        second = asyncio.ensure_future(manager.save_checkpoint_async(checkpoint(2)))
        await asyncio.sleep(0.01)
        second.cancel()
        store.go.set()
        await first
        await manager.save_checkpoint_async(checkpoint(3))

    asyncio.run(main())
    assert written(store) == [1, 3]


def test_one_that_is_given_up_in_the_moment_in_which_it_is_replaced(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    store = Slow(tmp_path / "store")
    manager = AsyncCheckpointManager("m", store, executor, max_concurrent_uploads=1)

    async def main() -> list[object]:
        saves = [asyncio.ensure_future(manager.save_checkpoint_async(checkpoint(1)))]
        await asyncio.sleep(0.01)
        saves.append(asyncio.ensure_future(manager.save_checkpoint_async(checkpoint(2))))
        await asyncio.sleep(0.01)
        saves.append(asyncio.ensure_future(manager.save_checkpoint_async(checkpoint(3))))
        saves[1].cancel()
        await asyncio.sleep(0.01)
        store.go.set()
        return await asyncio.gather(*saves, return_exceptions=True)

    first, second, third = asyncio.run(main())
    assert isinstance(second, asyncio.CancelledError)
    assert [isinstance(first, str), isinstance(third, str)] == [True, True]
    assert written(store) == [1, 3]


def test_a_lease_waits_behind_no_upload() -> None:
    lanes = Lanes(2)
    lease = lanes.of(ReplaceObject(1, CLUSTER, b"", 1))
    assert lanes.of(ReadObject(1, CLUSTER)) is lanes.of(CreateObject(1, CLUSTER, b"")) is lease
    others = {id(lanes.of(order)) for order in (ReadObject(1, "plans/1"), ListObjects(1, ""))}
    assert len(others | {id(lease), id(lanes.of(CreateObject(1, "plans/1", b""))), id(lanes.uploads)}) == 3
    lanes.close()


def test_a_disk_that_fills_is_told_once(tmp_path: Path) -> None:
    watch = DiskWatch(tmp_path, least=1 << 60)
    assert "MiB left: make room there" in (watch.look() or "")
    assert watch.look() is None
    assert DiskWatch(tmp_path, least=0).look() is None
    assert DiskWatch(tmp_path / "gone", least=1 << 60).look() is None


def test_each_disk_is_watched_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert len(disk_watches(tmp_path, tmp_path / "a")) == 1
    assert len(disk_watches(tmp_path, None, Path("/proc"))) == 2


def test_what_is_used() -> None:
    import os

    found = usage([os.getpid(), 2**22 + 1], 3)
    assert found["workers_rss_mb"] == found["largest_worker_rss_mb"] > 5
    assert (found["islands"], rss_mb(2**22 + 1)) == (3, 0.0)
