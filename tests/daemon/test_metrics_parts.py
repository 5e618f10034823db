"""The parts of the metrics page: a loop that hangs, a port that is taken, and a store that fails."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client import Metric

from distevo.errors import BadName, Conflict, NotFound
from distevod.metrics import page
from distevod.metrics.counted_store import CountedStore
from distevod.metrics.families import gauge
from distevod.metrics.loop_collector import LoopCollector
from distevod.metrics.page import MetricsPage, PortTaken
from distevod.store import FolderStore
from distevod.store.sign_in import AccessError, Problem
from tests.support.daemon import wait_for

PATIENCE = 0.2


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One that runs in a thread of its own."""
    found = asyncio.new_event_loop()
    thread = threading.Thread(target=found.run_forever)
    thread.start()
    yield found
    if not found.is_closed():
        found.call_soon_threadsafe(found.stop)
        thread.join()
        found.close()


class Source:
    """Figures that count how often they are read, and by which thread."""

    def __init__(self) -> None:
        self.reads = 0
        self.threads: set[int] = set()
        self.fault: Exception | None = None

    def read(self) -> list[Metric]:
        """The figures."""
        self.reads += 1
        self.threads.add(threading.get_ident())
        if self.fault is not None:
            raise self.fault
        family = gauge("reads", "How often.")
        family.add_metric(["here"], self.reads)
        return [family]


def collected(collector: LoopCollector) -> dict[str, float]:
    """Values by name, without the prefix."""
    families = list(collector.collect())
    assert all(sample.labels == {"platform_id": "here"} for family in families for sample in family.samples)
    return {f.name.removeprefix("distributed_evolution_"): sample.value for f in families for sample in f.samples}


def hang(loop: asyncio.AbstractEventLoop) -> threading.Event:
    """Have the loop stand still until the event is set."""
    begun, ended = threading.Event(), threading.Event()

    def stand() -> None:
        begun.set()
        ended.wait(30)

    loop.call_soon_threadsafe(stand)
    assert begun.wait(10)
    return ended


def test_figures_are_read_in_the_loop_alone_and_anew_for_each_scrape(loop: asyncio.AbstractEventLoop) -> None:
    source = Source()
    collector = LoopCollector("here", loop, source.read)
    with ThreadPoolExecutor(8) as threads:
        reads = sorted(found["reads"] for found in threads.map(collected, [collector] * 50))
    assert source.reads == 50
    assert len(source.threads) == 1
    assert threading.get_ident() not in source.threads
    # A scrape may show what another, a moment later, had read; never what is older than its own question.
    assert all(found >= number + 1 for number, found in enumerate(reads))
    begun = time.monotonic()
    age = collected(collector)["metrics_age_seconds"]
    assert 0 <= age <= time.monotonic() - begun  # They are no older than the question.


def test_a_loop_that_hangs_does_not_hang_the_scrape(loop: asyncio.AbstractEventLoop) -> None:
    source = Source()
    collector = LoopCollector("here", loop, source.read, 30)
    assert collected(collector)["reads"] == 1
    collector._patience = PATIENCE  # Only now, since a busy machine may let the loop wait for as long.
    ended = hang(loop)
    for least in (PATIENCE, 2 * PATIENCE):
        begun = time.monotonic()
        stale = collected(collector)
        assert time.monotonic() - begun < 20  # and not the half minute for which it hangs
        assert stale["reads"] == 1
        assert stale["metrics_age_seconds"] >= least
        assert stale["event_loop_lag_seconds"] >= PATIENCE
    ended.set()
    fresh = collected(LoopCollector("here", loop, source.read, 10))
    # Nobody waited any more for the two scrapes that gave up.
    assert fresh["reads"] == 2


def test_before_the_loop_has_ever_answered(loop: asyncio.AbstractEventLoop) -> None:
    ended = hang(loop)
    collector = LoopCollector("here", loop, Source().read, PATIENCE)
    assert collected(collector).keys() == {"metrics_age_seconds", "event_loop_lag_seconds"}
    ended.set()


def test_a_loop_that_has_ended() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    assert collected(LoopCollector("here", loop, Source().read)).keys() == {
        "metrics_age_seconds", "event_loop_lag_seconds",
    }  # fmt: skip


def test_a_fault_in_reading_fails_the_scrape_and_not_the_loop(loop: asyncio.AbstractEventLoop) -> None:
    source = Source()
    collector = LoopCollector("here", loop, source.read)
    for fault in (ZeroDivisionError("a bug"), TimeoutError("a bug"), RuntimeError("a bug")):
        source.fault = fault
        with pytest.raises(type(fault), match="a bug"):
            collected(collector)
    source.fault = None
    assert collected(collector)["reads"] == 4


def test_a_port_that_is_taken(loop: asyncio.AbstractEventLoop) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} cannot be listened on: Address already in use"):
            MetricsPage(port, LoopCollector("here", loop, Source().read))


def test_a_store_counts_what_becomes_of_requests(tmp_path: Path) -> None:
    folder = FolderStore(tmp_path)
    store = CountedStore(folder)
    assert (store.swap_interval, store.mail_interval) == (folder.swap_interval, folder.mail_interval)
    with pytest.raises(NotFound):
        store.read("a")
    token = store.create("a", b"1")
    with pytest.raises(Conflict):
        store.create("a", b"2")
    token = store.replace("a", b"2", token)
    assert store.read("a") == (b"2", token)
    store.create("b/c", b"")
    assert store.list("") == ["a", "b/c"]
    store.delete("b/c")
    with pytest.raises(BadName):
        store.delete("..")
    requests, seconds = store.counts()
    assert {request: count for request, count in requests.items() if count} == {
        ("read", "missing"): 1, ("read", "done"): 1, ("create", "done"): 2, ("create", "conflict"): 1,
        ("replace", "done"): 1, ("list", "done"): 1, ("delete", "done"): 1, ("delete", "fault"): 1,
    }  # fmt: skip
    assert len(requests) == 5 * 6
    assert all(0 < took < 60 for took in seconds.values())


def test_a_bucket_that_lets_nobody_in_counts_as_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_store: FolderStore, _name: str) -> tuple[bytes, int]:
        raise AccessError(Problem.NO_PERMISSION, "lacks storage.objects.get")

    monkeypatch.setattr(FolderStore, "read", refuse)
    store = CountedStore(FolderStore(tmp_path))
    with pytest.raises(AccessError):
        store.read("cluster")
    assert store.counts()[0]["read", "unavailable"] == 1


def test_a_store_loses_no_count_to_threads(tmp_path: Path) -> None:
    store = CountedStore(FolderStore(tmp_path))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(store.list, [""] * 800))
    assert store.counts()[0]["list", "done"] == 800


def test_slow_clients_take_neither_threads_without_end_nor_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "REQUEST_SECONDS", 4.0)  # All have to be seen first, also by one who stalls.
    served = page.MetricsPage(0, Empty())
    slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(60)]

    def serving() -> int:
        return sum("process_request" in thread.name for thread in threading.enumerate())

    wait_for(lambda: serving() == page.MOST_REQUESTS, "as many threads as there may be")

    def is_served() -> bool:
        for connection in slow:
            with contextlib.suppress(OSError):  # it was hung up on
                connection.send(b"X")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/metrics", timeout=5) as answer:
                return b"process_cpu_seconds_total" in answer.read()
        except OSError:
            return False

    wait_for(is_served, "the page, once the slow are given up")
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("accepted", ["text/plain;version=abc", "application/openmetrics-text; version=1.x"])
def test_whatever_a_stranger_accepts_is_no_fault(accepted: str, capfd: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{page.MetricsPage(0, Empty()).port}/metrics"
    asked = urllib.request.Request(url, headers={"Accept": accepted})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert b"process_cpu_seconds_total" in answer.read()
    assert capfd.readouterr().err == ""


def test_requests_for_which_no_thread_was_left_take_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{page.MetricsPage(0, Empty()).port}/metrics"

    def lacking(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")  # As Python says it.

    with monkeypatch.context() as starved:
        starved.setattr(threading.Thread, "start", lacking)
        for _ in range(2 * page.MOST_REQUESTS):
            with pytest.raises(OSError, match=r"closed|reset|Broken pipe"):
                urllib.request.urlopen(url, timeout=30)
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.status == 200


def test_the_page_is_served_at_addresses_of_both_families() -> None:
    port = page.MetricsPage(0, Empty()).port
    for host in ("127.0.0.1", "[::1]") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=30) as answer:
            assert b"process_cpu_seconds_total" in answer.read()


class Empty:
    """A collector with nothing of its own."""

    def collect(self) -> list[Metric]:
        return []


def test_the_page_needs_no_name_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_answer(*_: object) -> str:
        raise UnicodeError("label too long")  # As of a name of 64 letters, which a machine may have; others take long.

    monkeypatch.setattr(socket, "gethostbyaddr", no_answer)
    monkeypatch.setattr(socket, "getfqdn", no_answer)
    port = page.MetricsPage(0, Empty()).port
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert answer.status == 200
