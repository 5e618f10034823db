"""The store in a bucket passes the contract, against the emulator."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from contract import StoreContract
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from distevo.errors import BadName, Conflict, NotFound, StoreUnavailable, StoreUrlError
from distevo.names import MAX_ID_BYTES, MAX_SEGMENT_BYTES, result_name
from distevod import lanes, reading
from distevod.settings.table import SETTINGS
from distevod.settings.value import Whole
from distevod.store import Store, gcs, open_store
from distevod.store.gcs import PROBED, GcsStore, Requests
from tests.support.gcs import Emulator, Proxy

UPLOADS = next(setting for setting in SETTINGS if setting.name == "max_concurrent_uploads")


class TestGcsStore(StoreContract):
    @pytest.fixture
    def connect(self, bucket: str) -> Callable[[], Store]:
        return lambda: open_store(f"gs://{bucket}")


@pytest.mark.long
class TestFromAfar:
    """Of the contract, what several do at a time, over a line with a delay."""

    @pytest.fixture
    def connect(
        self, emulator: Emulator, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Callable[[], Store]]:
        with Proxy(emulator.port) as proxy:
            proxy.latency = 0.05
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
            yield lambda: open_store(f"gs://{bucket}/far")

    @pytest.fixture
    def store(self, connect: Callable[[], Store]) -> Store:
        return connect()

    test_created = StoreContract.test_second_create_conflicts_and_changes_nothing
    test_creators = StoreContract.test_of_many_creators_one_wins
    test_swapped = StoreContract.test_replace_with_an_old_token_conflicts_and_changes_nothing
    test_swaps = StoreContract.test_concurrent_swaps_lose_no_update
    test_readers = StoreContract.test_readers_see_whole_objects_that_never_go_back
    test_deleted = StoreContract.test_deleted_object_is_gone_and_may_come_again
    test_threads = StoreContract.test_one_object_serves_many_threads


def test_prefixes_keep_stores_of_one_bucket_apart(bucket: str) -> None:
    whole, one, other = (open_store(f"gs://{bucket}{path}") for path in ("", "/a/b/", "/a/bc"))
    one.create("cluster", b"1")
    one.create("plans/1", b"p")
    other.create("plans/2", b"q")
    assert (one.list(""), other.list(""), one.list("pl")) == (["cluster", "plans/1"], ["plans/2"], ["plans/1"])
    assert whole.list("") == ["a/b/cluster", "a/b/plans/1", "a/bc/plans/2"]
    assert whole.read("a/b/plans/1")[0] == b"p"
    with pytest.raises(NotFound):
        other.read("plans/1")
    with pytest.raises(BadName, match="at most 1020 fit"):
        one.create("/".join(["d" * 127] * 8), b"")


def test_what_others_put_into_the_bucket_is_no_object_of_ours(bucket: str) -> None:
    store = open_store(f"gs://{bucket}")
    store.create("plans/1", b"")
    foreign = store.client.bucket(bucket)  # type: ignore[attr-defined]
    for name in ("plans/", "my notes.txt", "plans/ä", "a//b"):
        foreign.blob(name).upload_from_string(b"")
    assert store.list("") == ["plans/1"]


def test_the_mutable_object_is_in_no_cache(bucket: str) -> None:
    store = open_store(f"gs://{bucket}")
    store.replace("cluster", b"2", store.create("cluster", b"1"))
    blob = store.client.bucket(bucket).get_blob("cluster")  # type: ignore[attr-defined]
    assert blob.cache_control == "no-store"


@pytest.mark.parametrize("behind", ["/", "/storage/v1/"])
def test_the_address_of_an_emulator_may_end_as_other_clients_want_it(
    behind: str, emulator: Emulator, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url + behind)
    store = open_store(f"gs://{bucket}", is_doubted=True)
    token = store.create("cluster", b"x")
    assert store.read("cluster") == (b"x", token)
    assert store.list("") == ["cluster"]


def test_read_only_finds_a_store_and_makes_none(bucket: str) -> None:
    open_store(f"gs://{bucket}/p").create("plans/1", b"what somebody else has there")
    with pytest.raises(NotFound, match=f"there is no store in gs://{bucket}/p"):
        open_store(f"gs://{bucket}/p", read_only=True)
    open_store(f"gs://{bucket}/p").create("cluster", b"x")
    assert open_store(f"gs://{bucket}/p", read_only=True).read("cluster")[0] == b"x"


def test_any_prefix_will_do_that_is_a_name(bucket: str) -> None:
    for prefix in ("tmp", "cas/a", "x.y~z/", "a" * 200):
        store = open_store(f"GS://{bucket}/{prefix}")
        store.create("plans/1", b"")
        assert store.list("") == ["plans/1"]


@pytest.mark.parametrize(
    "url",
    ["gs://", "gs:///x", "gs://A", "gs://ab", "gs://no bucket", "gs://bucket?x", "gs://bucket/a//b", "gs://b@c/x"],
)
def test_addresses_that_name_no_bucket(url: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"names no bucket|empty part|bad"):
        open_store(url)


def test_a_prefix_leaves_room_for_the_longest_name(bucket: str) -> None:
    longest = result_name("ü" * (MAX_ID_BYTES // 2), "t" * MAX_SEGMENT_BYTES, 10**12, "d" * 32)
    prefix = "/".join(["a" * 249, "b" * 250])
    store = open_store(f"gs://{bucket}/{prefix}")
    store.create(longest, b"")
    assert store.list("results/") == [longest]
    with pytest.raises(StoreUrlError, match=r"has 501 bytes; at most 500 .*choose a shorter one"):
        open_store(f"gs://{bucket}/{prefix}c")


def test_a_bucket_that_is_not_there(bucket: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"no bucket 'not-there'.*gcloud storage buckets create"):
        open_store("gs://not-there/x")


def test_a_bucket_that_goes_away_is_no_answer_about_an_object(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distevod.store.gcs.SEEN_SECONDS", -1.0)
    store = open_store(f"gs://{bucket}")
    store.create("plans/1", b"")
    store.client.bucket(bucket).delete(force=True)  # type: ignore[attr-defined]
    for ask in (lambda: store.read("cluster"), lambda: store.list(""), lambda: store.create("plans/2", b"")):
        with pytest.raises(StoreUnavailable, match="there is no bucket"):
            ask()


def test_nobody_answers(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr("distevod.store.gcs.PATIENCE_SECONDS", 0.5)
    with pytest.raises(StoreUnavailable, match=r"127.0.0.1.*Connection refused; is this machine online"):
        open_store("gs://bucket/" + "a-long-prefix-" * 15)  # of which the address of a request has all


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    """The address of a server with a certificate of its own making, as of a proxy that looks into what passes it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "proxy")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2100, 1, 1))  # noqa: DTZ001
    file = tmp_path / "pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + made.sign(key, SHA256()).public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):  # the test is over
                while True:
                    connection, _ = server.accept()
                    with connection, contextlib.suppress(OSError):
                        context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_certificate_that_is_not_trusted_is_told_as_that(untrusted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", untrusted)
    monkeypatch.setattr("distevod.store.gcs.PATIENCE_SECONDS", 0.5)
    with pytest.raises(StoreUnavailable, match="certificate verify failed") as caught:
        open_store("gs://bucket")
    assert "the answer was none" not in str(caught.value)


def ignore(condition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server never see what matches in a request's address."""
    send = Requests.send

    def without(self: Requests, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        request.url = re.sub(condition, "", request.url or "")
        return send(self, request, *args, **kwargs)

    monkeypatch.setattr(Requests, "send", without)


def test_a_bucket_that_compares_no_generations_is_found_out_in_one_request(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"gs://{bucket}/some")
    assert isinstance(store, GcsStore)
    before = store.billed()
    store.check_conditions()
    after = store.billed()
    assert (after["A"] - before["A"], after["B"] - before["B"]) == (1, 0)
    assert store.list("") == []
    # Once there is such an object, too.
    store.create(PROBED, b"by a doctor")
    store.check_conditions()
    assert store.read(PROBED)[0] == b"by a doctor"

    ignore(r"&?ifGenerationMatch=\d+", monkeypatch)
    with pytest.raises(StoreUrlError, match=f"what answers for gs://{bucket}/some carries writes out whatever"):
        open_store(f"gs://{bucket}/some", is_doubted=True)


def test_a_bucket_in_which_a_create_overwrites_is_found_out_before_there_is_a_cluster(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"gs://{bucket}/some", is_doubted=True)
    assert store.billed() == {"A": 4, "B": 0, "free": 1}
    assert store.list("") == []
    open_store(f"gs://{bucket}/other").create("cluster", b"x")
    assert open_store(f"gs://{bucket}/other", is_doubted=True).billed() == {"A": 2, "B": 0, "free": 0}

    ignore(r"&?ifGenerationMatch=0\b", monkeypatch)
    with pytest.raises(StoreUrlError, match=f"what answers for gs://{bucket}/some carries writes out whatever"):
        open_store(f"gs://{bucket}/some", is_doubted=True)
    assert store.list("") == []


def test_requests_are_counted_as_they_are_billed(bucket: str) -> None:
    store = open_store(f"gs://{bucket}")
    before = store.billed()
    token = store.create("cluster", b"1")
    store.replace("cluster", b"2", token)
    store.read("cluster")
    with pytest.raises(NotFound):
        store.read("plans/1")
    store.list("")
    store.create("plans/1", b"")
    store.delete("plans/1")
    counted = {name: count - before[name] for name, count in store.billed().items()}
    assert counted == {"A": 4, "B": 2, "free": 1}


def test_an_object_of_any_size_is_one_request_that_decides(bucket: str) -> None:
    """Above 8 MiB Google's client would make several of it, and the emulator would let the second create overwrite."""
    store = open_store(f"gs://{bucket}")
    before = store.billed()
    first, second = (bytes([number]) * (9 << 20) for number in (1, 2))
    token = store.create("checkpoints/a/1", first)
    with pytest.raises(Conflict):
        store.create("checkpoints/a/1", second)
    assert store.read("checkpoints/a/1") == (first, token)
    assert {name: count - before[name] for name, count in store.billed().items()} == {"A": 2, "B": 1, "free": 0}


def test_a_list_asks_for_page_after_page(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distevod.store.gcs.PAGE", 3)
    store = open_store(f"gs://{bucket}/p")
    names = [f"plans/{number}" for number in range(8)]
    for name in names:
        store.create(name, b"")
    before = store.billed()["A"]
    assert store.list("pl") == names
    assert store.billed()["A"] - before == 3


def test_every_thread_that_may_ask_keeps_a_connection(bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    """Else each answer closes one, and the next request shakes hands anew."""
    assert isinstance(UPLOADS.value, Whole)
    looks = lanes.LOOK_THREADS * reading.AT_ONCE
    most = UPLOADS.value.high + lanes.READ_THREADS + lanes.LEASE_THREADS + looks
    store, gate = open_store(f"gs://{bucket}"), threading.Barrier(most)

    def create(number: int) -> None:
        gate.wait(30)
        store.create(f"plans/{number}", bytes(100_000))

    with ThreadPoolExecutor(most) as pool:
        list(pool.map(create, range(most)))
    assert len(store.list("plans/")) == most
    assert "pool is full" not in caplog.text
    assert most <= gcs.CONNECTIONS


def test_google_is_imported_for_a_bucket_only() -> None:
    code = "import sys, distevod.daemon, distevo_ctl.main; print([name for name in sys.modules if 'google' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
