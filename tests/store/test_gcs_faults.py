"""Whatever goes wrong on the way to a bucket: an answer that is given is true, and what is unknown is called so."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

import pytest

from distevo.errors import Conflict, NotFound, StoreError, StoreUnavailable, Unknown
from distevod.store import Store, gcs, open_store
from tests.support.gcs import Emulator, Proxy

UPLOAD, GET = "/upload/", "/o/"


@pytest.fixture
def proxy(emulator: Emulator, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with Proxy(emulator.port) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        monkeypatch.setattr(gcs, "MUTABLE", (1.0, 0.5))
        monkeypatch.setattr(gcs, "OTHERS", (1.0, 0.5))
        monkeypatch.setattr(gcs, "PATIENCE_SECONDS", 3.0)
        yield proxy


@pytest.fixture
def store(proxy: Proxy, bucket: str) -> Store:
    return open_store(f"gs://{bucket}/p", upload_seconds=0.5)


@pytest.fixture
def straight(emulator: Emulator, bucket: str, monkeypatch: pytest.MonkeyPatch, store: Store) -> Store:
    """The same store, past the proxy."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    return open_store(f"gs://{bucket}/p")


DONE = [("lose", {}), ("refuse_done", {"status": 503}), ("refuse_done", {"status": 429}), ("stall", {"seconds": 2.0})]
NOT_DONE = [("refuse", {"status": 503}), ("refuse", {"status": 429}), ("refuse", {"status": 500})]


@pytest.mark.parametrize(("kind", "fields"), DONE + NOT_DONE)
@pytest.mark.parametrize("name", ["cluster", "plans/1"])
def test_a_write_without_a_true_answer_is_unknown(
    name: str, kind: str, fields: dict[str, float], proxy: Proxy, store: Store, straight: Store
) -> None:
    proxy.fault(kind, path=UPLOAD, **fields)
    with pytest.raises(Unknown):
        store.create(name, b"first")
    if (kind, fields) in NOT_DONE:
        with pytest.raises(NotFound):
            straight.read(name)
        store.create(name, b"first")
    elif kind != "stall":
        assert straight.read(name)[0] == b"first"
        with pytest.raises(Conflict):
            store.create(name, b"first")
    assert proxy.requests["POST"] == 2 if kind != "stall" else 1, "each write is sent once"


@pytest.mark.parametrize(("kind", "fields"), DONE + NOT_DONE)
def test_a_swap_without_a_true_answer_is_unknown(
    kind: str, fields: dict[str, float], proxy: Proxy, store: Store, straight: Store
) -> None:
    token = store.create("cluster", b"0")
    proxy.fault(kind, path=UPLOAD, **fields)
    with pytest.raises(Unknown):
        store.replace("cluster", b"1", token)
    if (kind, fields) in NOT_DONE:
        assert straight.read("cluster") == (b"0", token)
    elif kind != "stall":
        data, newer = straight.read("cluster")
        assert (data, newer > token) == (b"1", True)
        with pytest.raises(Conflict):
            store.replace("cluster", b"2", token)


def test_a_swap_that_comes_late_changes_nothing_that_was_decided_since(
    proxy: Proxy, store: Store, straight: Store
) -> None:
    token = store.create("cluster", b"0")
    proxy.fault("late", path=UPLOAD, seconds=0.5)
    with pytest.raises(Unknown):
        store.replace("cluster", b"slow", token)
    newer = straight.replace("cluster", b"quick", token)
    wait_until_done(proxy, "POST", 2)
    assert straight.read("cluster") == (b"quick", newer)


def wait_until_done(proxy: Proxy, method: str, count: int) -> None:
    """Until so many requests were carried out, late ones too."""
    from tests.support.daemon import wait_for

    wait_for(lambda: proxy.done[method] >= count, "late requests")


READS = [
    ("lose", {}), ("refuse", {"status": 503}), ("refuse", {"status": 429}), ("refuse", {"status": 500}),
    ("stall", {"seconds": 1.0}), ("truncate", {}), ("flip", {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields"), READS)
def test_reads_of_what_never_changes_are_repeated(
    kind: str, fields: dict[str, float], proxy: Proxy, store: Store
) -> None:
    store.create("plans/1", b"content" * 100)
    proxy.fault(kind, method="GET", path=GET, times=2, **fields)
    assert store.read("plans/1")[0] == b"content" * 100


@pytest.mark.parametrize(("kind", "fields"), READS)
def test_the_mutable_object_is_asked_for_once_and_never_wrong(
    kind: str, fields: dict[str, float], proxy: Proxy, store: Store
) -> None:
    token = store.create("cluster", b"content" * 100)
    proxy.fault(kind, method="GET", path=GET, **fields)
    with pytest.raises(StoreUnavailable):
        store.read("cluster")
    assert store.read("cluster") == (b"content" * 100, token)


@pytest.mark.parametrize(("kind", "fields"), [r for r in READS if r[0] != "flip"])
def test_lists_and_deletes_are_repeated(kind: str, fields: dict[str, float], proxy: Proxy, store: Store) -> None:
    store.create("plans/1", b"")
    proxy.fault(kind, method="GET", path=r"/o\?", times=2, **fields)
    assert store.list("") == ["plans/1"]
    proxy.fault(kind if kind != "truncate" else "lose", method="DELETE", times=2, **fields)
    store.delete("plans/1")
    assert store.list("") == []


def test_what_never_stops_failing_is_said_in_time(proxy: Proxy, store: Store) -> None:
    proxy.fault("refuse", method="GET|DELETE", times=10**6)
    for ask in (lambda: store.read("plans/1"), lambda: store.list(""), lambda: store.delete("plans/1")):
        with pytest.raises(StoreUnavailable, match=r"refused by the test|503"):
            ask()
    assert proxy.requests["DELETE"] >= 4


def test_bytes_that_are_damaged_on_the_way_there_are_not_taken_for_written(
    proxy: Proxy, store: Store, straight: Store
) -> None:
    data = bytes(range(256)) * 40
    for number in range(20):
        proxy.fault("flip_sent", path=UPLOAD)
        try:
            store.create(f"plans/{number}", data)
        except StoreError:
            continue
        assert straight.read(f"plans/{number}")[0] == data


def test_swaps_through_all_faults_lose_no_update(proxy: Proxy, store: Store, straight: Store) -> None:
    """A counter that each win raises by one, told apart by a nonce: what the winners say is what is there."""
    rng = random.Random(7)
    for kind in ("lose", "refuse", "refuse_done", "truncate", "flip", "late"):
        proxy.fault(kind, path="/cluster|/upload/", times=10**6, probability=0.08, seconds=0.05)
    straight.create("cluster", json.dumps([0, ""]).encode())
    won = 0
    for _ in range(150):
        nonce = f"{rng.getrandbits(64):x}"
        count, token = again(lambda: store.read("cluster"))
        try:
            store.replace("cluster", json.dumps([json.loads(count)[0] + 1, nonce]).encode(), token)
            won += 1
        except Conflict:
            # Only an earlier try of ours, applied late, can have come between.
            pass
        except Unknown:
            data, _ = straight.read("cluster")
            won += json.loads(data)[1] == nonce
    assert won <= json.loads(straight.read("cluster")[0])[0] <= 150


def again(ask: Callable[[], tuple[bytes, int]]) -> tuple[bytes, int]:
    """Until there is an answer."""
    while True:
        try:
            return ask()
        except StoreUnavailable:
            continue
