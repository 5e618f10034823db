"""Whatever goes wrong on the way to a bucket: an answer that is given is true, and what is unknown is called so."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from distevo.errors import Conflict, NotFound, StoreError, StoreUnavailable, Unknown
from distevod.store import Store, answers, gcs, open_store
from tests.support.daemon import wait_for
from tests.support.gcs import Emulator, Proxy

pytestmark = pytest.mark.long

UPLOAD, GET = "/upload/", "/o/"
SWAPPERS, SWAPS = 4, 40


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
    assert proxy.requests["POST"] == (1 if kind == "stall" else 2), "each write is sent once"


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


@pytest.mark.parametrize("status", [408, 409, 410, 429, 499, 500, 502, 503, 504])
def test_a_refusal_that_may_be_of_something_on_the_way_is_unknown(status: int, proxy: Proxy, store: Store) -> None:
    proxy.fault("refuse_done", path=UPLOAD, status=status)
    with pytest.raises(Unknown, match=str(status)):
        store.create("plans/1", b"there")
    assert store.read("plans/1")[0] == b"there"


def test_the_words_of_a_refusal_are_told_however_long_the_name(proxy: Proxy, store: Store) -> None:
    name = f"plans/{'x' * 255}"
    proxy.fault("refuse", status=503, times=10**6)
    for ask in (lambda: store.read(name), lambda: store.create(name, b""), lambda: store.list(name)):
        with pytest.raises(StoreError, match="503 refused by the test"):
            ask()


@pytest.mark.parametrize("status", [400, 401, 403, 405, 413])
def test_a_refusal_that_is_certain_is_told_as_such(status: int, proxy: Proxy, store: Store) -> None:
    proxy.fault("refuse", path=UPLOAD, status=status)
    with pytest.raises(StoreUnavailable):
        store.create("plans/1", b"not there")
    with pytest.raises(NotFound):
        store.read("plans/1")


@pytest.mark.parametrize("kind", ["late", "refuse_late"])
def test_a_swap_that_comes_late_changes_nothing_that_was_decided_since(
    kind: str, proxy: Proxy, store: Store, straight: Store
) -> None:
    token = store.create("cluster", b"0")
    proxy.fault(kind, path=UPLOAD, seconds=3.0)
    with pytest.raises(Unknown):
        store.replace("cluster", b"slow", token)
    newer = straight.replace("cluster", b"quick", token)
    wait_for(lambda: proxy.done["POST"] >= 2, "the late swap")
    assert straight.read("cluster") == (b"quick", newer)


def test_a_delete_without_a_true_answer_is_unknown(proxy: Proxy, store: Store, straight: Store) -> None:
    store.create("plans/1", b"")
    lost = proxy.fault("lose", method="DELETE")
    refused = proxy.fault("refuse", method="DELETE", status=400, times=10**6)
    with pytest.raises(Unknown):
        store.delete("plans/1")
    assert (lost.times, straight.list("")) == (0, [])
    with pytest.raises(StoreUnavailable):
        store.delete("plans/1")
    refused.times = 0
    store.delete("plans/1")


SHAPES = [
    b"", b"null", b"[]", b"7", b"<html>Please sign in</html>", b"\xff\xfe\x00",
    b'{"items": [{}]}', b'{"items": [null]}',
    b'{"generation": "x"}', b'{"generation": "0"}', b'{"generation": null}', b'{"items": 7}',
]  # fmt: skip
VERBS: dict[str, Callable[[Store], object]] = {
    "create": lambda store: store.create("plans/1", b"x"),
    "first": lambda store: store.create("cluster", b"x"),
    "replace": lambda store: store.replace("cluster", b"x", 1),
    "read": lambda store: store.read("plans/1"),
    "observe": lambda store: store.read("cluster"),
    "list": lambda store: store.list(""),
}


@pytest.mark.parametrize("status", [200, 206, 302, 404, 500])
@pytest.mark.parametrize("verb", VERBS)
def test_what_is_no_answer_of_google_is_none(
    verb: str, status: int, proxy: Proxy, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network between speaks in its place, or a part of its answer comes: never an error that nobody expects."""
    monkeypatch.setattr(gcs, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(gcs, "SEEN_SECONDS", -1.0)  # Else a bucket that has just answered counts as being there.
    for body in SHAPES:
        if verb == "list" and body.startswith(b'{"generation"'):
            continue  # Google leaves out what is empty: so this is a list without a name.
        fault = proxy.fault("refuse", status=status, body=body, times=10**6)
        with pytest.raises(StoreUnavailable if verb in {"read", "observe", "list"} or status == 404 else Unknown):
            VERBS[verb](store)
        fault.times = 0


@pytest.mark.parametrize("name", ["cluster", "plans/1"])
def test_a_404_of_somebody_between_is_no_answer(name: str, proxy: Proxy, store: Store) -> None:
    token = store.create(name, b"content")
    store._seen_at = -gcs.SEEN_SECONDS  # type: ignore[attr-defined]
    proxy.fault("refuse", method="GET", path=GET, status=404, times=1 if name == "cluster" else 2)
    if name == "cluster":
        with pytest.raises(StoreUnavailable, match="yet said to be missing"):
            store.read(name)
        proxy.fault("refuse", path=UPLOAD, status=404)
        with pytest.raises(Unknown):
            store.replace(name, b"newer", token)
    assert store.read(name) == (b"content", token)


def test_the_token_is_found_without_googles_headers(proxy: Proxy, store: Store) -> None:
    for name in ("cluster", "plans/1"):
        token = store.create(name, b"content")
        proxy.fault("strip", method="GET", path=GET, times=1)
        assert store.read(name) == (b"content", token)


METADATA = "^/storage/v1/.*/o/"


@pytest.mark.parametrize("name", ["cluster", "plans/1"])
def test_the_token_is_found_where_a_server_gives_no_checksum_either(name: str, proxy: Proxy, store: Store) -> None:
    """As a server that stands in for Google's may: then two looks at the generation have to agree."""
    store.create(name, b"content")
    proxy.fault("strip", method="GET", path="alt=media", times=10**6)

    def generations(*said: int) -> None:
        for generation in said:
            body = json.dumps({"generation": str(generation)}).encode()
            proxy.fault("refuse", method="GET", path=METADATA, status=200, body=body)

    generations(7, 7)
    assert store.read(name) == (b"content", 7)
    generations(7, 8, 9, 9)
    assert store.read(name) == (b"content", 9)
    if name == "cluster":
        generations(1, 2, 3, 4, 5)
        with pytest.raises(StoreUnavailable, match="changed while it was read"):
            store.read(name)


def test_a_proxy_that_compresses_answers_changes_none(proxy: Proxy, store: Store) -> None:
    proxy.fault("gzip", method="GET", times=10**6)
    for name in ("cluster", "plans/1"):
        token = store.create(name, b"content" * 100)
        assert store.read(name) == (b"content" * 100, token)
    assert store.list("plans/") == ["plans/1"]


def test_a_list_that_never_ends_does(proxy: Proxy, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "LIST_SECONDS", 0.2)
    monkeypatch.setattr(gcs, "PATIENCE_SECONDS", 0.0)
    page = b'{"items": [{"name": "p/plans/1"}], "nextPageToken": "again"}'
    proxy.fault("refuse", method="GET", status=200, body=page, times=10**9)
    with pytest.raises(StoreUnavailable, match="more were to come"):
        store.list("")


def test_a_list_ends_with_a_page_whose_token_is_empty(proxy: Proxy, store: Store) -> None:
    page = b'{"items": [{"name": "p/plans/1"}], "nextPageToken": ""}'
    proxy.fault("refuse", method="GET", status=200, body=page, times=10**9)
    assert store.list("plans/") == ["plans/1"]


def test_a_name_on_two_pages_is_listed_once(proxy: Proxy, store: Store) -> None:
    """A server that counts pages off shows one again when another before it has come meanwhile."""
    for names, token in ((b'{"name": "p/plans/1"}, {"name": "p/plans/2"}', b"2"), (b'{"name": "p/plans/2"}', b"")):
        page = b'{"items": [%s], "nextPageToken": "%s"}' % (names, token)
        proxy.fault("refuse", method="GET", status=200, body=page)
    assert store.list("plans/") == ["plans/1", "plans/2"]


def test_a_slow_line_has_the_whole_upload_timeout(proxy: Proxy, bucket: str) -> None:
    """Not only the time that a connection may take, which is a second here."""
    store = open_store(f"gs://{bucket}/p", upload_seconds=30.0)
    data = bytes(8_000_000)  # More than what the buffers between take.
    choke = proxy.fault("choke", path=UPLOAD, seconds=2.5)
    store.create("checkpoints/a/1", data)
    assert choke.times == 0
    assert store.read("checkpoints/a/1")[0] == data


def test_a_large_object_is_one_request_and_as_sure_as_a_small_one(
    proxy: Proxy, bucket: str, straight: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
    store = open_store(f"gs://{bucket}/p", upload_seconds=30.0)
    data = random.Random(3).randbytes(9 << 20)
    store.create("checkpoints/a/1", data)
    with pytest.raises(Conflict):
        store.create("checkpoints/a/1", data)
    proxy.fault("lose", path=UPLOAD)
    with pytest.raises(Unknown):
        store.create("checkpoints/a/2", data)
    proxy.fault("refuse", path=UPLOAD, status=503)
    with pytest.raises(Unknown):
        store.create("checkpoints/a/3", data)
    assert straight.list("") == ["checkpoints/a/1", "checkpoints/a/2"]
    assert straight.read("checkpoints/a/2")[0] == data


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


@pytest.mark.parametrize("kind", ["trickle", "trickle_body"])
def test_an_answer_that_trickles_is_not_waited_for(kind: str, proxy: Proxy, store: Store) -> None:
    token = store.create("cluster", bytes(1000))
    proxy.fault(kind, path=GET, seconds=0.05)
    begun = time.monotonic()
    with pytest.raises(StoreError, match=r"bytes of the answer came|timed out"):
        store.read("cluster")
    assert time.monotonic() - begun < 10
    assert store.read("cluster")[1] == token, "the next one does not"
    proxy.fault(kind, path=UPLOAD, seconds=0.05)
    with pytest.raises(Unknown):
        store.replace("cluster", b"taken", token)
    assert store.read("cluster")[0] == b"taken"


def test_an_answer_that_is_large_may_take_long(proxy: Proxy, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_SILENCES", 1)
    data = bytes(5000)
    store.create("plans/1", data)
    proxy.fault("trickle_body", path=GET, seconds=0.0003)
    begun = time.monotonic()
    assert store.read("plans/1")[0] == data
    assert time.monotonic() - begun > gcs.OTHERS[1], "longer than it may be silent"


def test_what_never_stops_failing_is_said_in_time(proxy: Proxy, store: Store) -> None:
    proxy.fault("refuse", method="GET|DELETE", times=10**6)
    for ask in (lambda: store.read("plans/1"), lambda: store.list("")):
        with pytest.raises(StoreUnavailable, match=r"refused by the test|503"):
            ask()
    with pytest.raises(Unknown, match=r"refused by the test|503"):
        store.delete("plans/1")
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
    """Several raise a counter. What is there is what they say that they won, and what they say may be there."""
    for kind in ("lose", "refuse", "refuse_done", "refuse_late", "truncate", "flip", "late"):
        proxy.fault(kind, path="/cluster|/upload/", times=10**6, probability=0.08, seconds=0.05)
    straight.create("cluster", json.dumps([0, "nobody"]).encode())

    def swap(number: int) -> tuple[list[int], set[str], int]:
        won, lost, unknown = list[int](), set[str](), 0
        for turn in range(SWAPS):
            data, token = again(lambda: store.read("cluster"))
            nonce = f"{number}-{turn}"
            try:
                store.replace("cluster", json.dumps([json.loads(data)[0] + 1, nonce]).encode(), token)
                won.append(token)
            except Conflict:
                lost.add(nonce)
            except Unknown:
                unknown += 1
        return won, lost, unknown

    with ThreadPoolExecutor(SWAPPERS) as pool:
        futures = [pool.submit(swap, number) for number in range(SWAPPERS)]
        seen = set[str]()
        while not all(future.done() for future in futures):
            seen.add(json.loads(straight.read("cluster")[0])[1])
        told = [future.result() for future in futures]
    tokens = [token for won, _, _ in told for token in won]
    lost = {nonce for _, lost, _ in told for nonce in lost}
    unknown = sum(count for _, _, count in told)
    assert len(set(tokens)) == len(tokens), "two winners of one token"
    assert not seen & lost, "what was called not written was there"
    assert len(tokens) <= json.loads(straight.read("cluster")[0])[0] <= len(tokens) + unknown
    assert len(tokens) > SWAPS / 4
    assert unknown > 0


def again(ask: Callable[[], tuple[bytes, int]]) -> tuple[bytes, int]:
    """Until there is an answer."""
    while True:
        try:
            return ask()
        except StoreUnavailable:
            continue
