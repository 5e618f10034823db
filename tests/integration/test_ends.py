"""How a daemon ends: in time whatever hangs, and at once where it would only limp on."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from distevo.checkpoint import decode_checkpoint
from distevo.events import Tick
from distevo_ctl import start
from distevod import runtime as shell
from distevod.evolution.pool import Pool
from distevod.paths import control_socket
from distevod.runtime import Runtime
from distevod.settings import load_settings
from distevod.store import open_store
from tests.support.daemon import Daemon, wait_for

HEADER_BYTES = 50
"""Of a checkpoint."""
END_SECONDS = 10
"""A daemon ends within five, also where the machine has half the time for it."""
PATIENCE = 20
"""Seconds for what begins, too. What hangs here does so for half a minute and more."""


def test_a_stop_does_not_wait_for_a_problem_that_is_being_checked(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path).start()
    sign = tmp_path / "importing"
    source = f"import time\nopen({str(sign)!r}, 'w').close()\ntime.sleep(60)"

    def submit() -> None:
        with pytest.raises(TimeoutError):
            daemon.ask(do="submit", reference="slow.py:Slow", source=source, cpu_seconds=1, timeout_ms=2000)

    thread = threading.Thread(target=submit)
    thread.start()
    wait_for(sign.exists, "the import to begin")
    assert daemon.stop(END_SECONDS) == 0
    assert daemon.log.read_text().rstrip().endswith("stopped")
    thread.join()


def test_the_last_checkpoint_is_compressed_fast(tmp_path: Path) -> None:
    """An end waits for it, and for no more than some seconds."""
    with Daemon(tmp_path, "--batch-size", "5") as daemon:
        daemon.submit(reference="onemax", data={"t": {"bits": 8192, "cost_us": 500}}, evaluations=10**9)
        wait_for(lambda: daemon.status()["checkpoints"]["saved"] > 1, "checkpoints")
        daemon.stop()
    *_, before, last = sorted((daemon.state_dir / "store/checkpoints").glob("*/*"), key=lambda file: int(file.name))
    # How hard zlib tried stands in its stream's second byte (RFC 1950: FLEVEL), which follows the header.
    assert [file.read_bytes()[HEADER_BYTES + 1] >> 6 for file in (before, last)] == [2, 0]
    assert decode_checkpoint(last.read_bytes()).islands


def test_a_stop_does_not_wait_for_a_store_that_hangs(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path).start()
    run = daemon.submit(reference="onemax", data={"t": {"bits": 8}}, evaluations=10**6)
    daemon.wait_done(run)
    (stored,) = (daemon.state_dir / "store" / "inbox").iterdir()
    stored.unlink()
    os.mkfifo(stored)  # Reading it waits for a writer, as reading from a dead file server waits for ever.
    with pytest.raises(TimeoutError):
        daemon.ask(do="results", run=run, task="t", timeout_ms=500)
    assert daemon.stop(END_SECONDS) == 0
    assert daemon.log.read_text().rstrip().endswith("stopped")


def test_an_end_takes_no_longer_where_many_threads_hang() -> None:
    """As where several people have asked for results, each of which is read by some threads of its own."""
    may_end = threading.Event()
    threads = [threading.Thread(target=may_end.wait) for _ in range(70)]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    try:
        assert start._is_held_up()
        assert time.monotonic() < begun + 7  # and not 0.2 s for each
    finally:
        may_end.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_does_not_wait_for_a_store_that_is_being_opened(tmp_path: Path, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        emulator = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        daemon = Daemon(tmp_path, "--store", "gs://bucket/prefix", environ=emulator).start(wait=False)
        assert daemon.process is not None
        silent.settimeout(30)
        try:
            with silent.accept()[0]:
                daemon.process.send_signal(number)
                assert daemon.process.wait(END_SECONDS) == 0
        finally:
            daemon.kill()
    assert daemon.log.read_text().rstrip().endswith("stopped")


def test_a_socket_that_cannot_be_bound_ends_the_daemon_at_once(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    control_socket(daemon.state_dir, daemon.environ).mkdir(mode=0o700, parents=True)
    begun = time.monotonic()
    process = subprocess.run(
        daemon.command, env=daemon.environ, capture_output=True, text=True, timeout=90, check=False
    )
    assert time.monotonic() < begun + PATIENCE
    assert process.returncode == 2
    assert "Is a directory; move away what is there" in process.stderr


def test_a_fault_while_an_event_is_taken_in_ends_the_daemon(tmp_path: Path) -> None:
    """No matter who fed the event: a timer and a socket would only log the exception and go on."""
    flags = {"state_dir": tmp_path / "state", "store": tmp_path / "store", "workers": 1, "id": "here"}
    settings = load_settings(flags, {"HOME": str(tmp_path)})
    calls: list[float] = []

    def stumble() -> None:
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise ZeroDivisionError("a fault")

    async def scene() -> None:
        settings.state_dir.mkdir()  # as whoever locks it has done
        runtime = Runtime(settings, open_store(settings.store), "0" * 16, random.Random(1), frozenset())

        def ring() -> None:
            runtime.watchers.append(stumble)
            runtime.feed(Tick())

        asyncio.get_running_loop().call_later(0.2, ring)
        try:
            async with asyncio.timeout(PATIENCE):
                await runtime.run(lambda: None)
        finally:
            await runtime.pool.finish(5)

    with pytest.raises(ZeroDivisionError, match="a fault"):
        asyncio.run(scene())
    assert len(calls) == 1


FAULTY = """
from distevo.errors import BadName
from distevod import runtime

def ask_store(_store, _instruction):
    raise BadName("of our own making")

runtime.ask_store = ask_store

from distevo_ctl.daemon import main
main(prog_name="distevod")
"""


def test_an_error_that_only_we_can_have_made_is_a_fault_and_no_refusal(tmp_path: Path) -> None:
    """So it is logged in full, and a service is started again."""
    command = [sys.executable, "-c", FAULTY, "start", "--workers", "1", "--metrics-port", "0"]
    folders = ["--state-dir", str(tmp_path / "state"), "--store", str(tmp_path / "store")]
    done = subprocess.run([*command, *folders], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "BadName: of our own making" in done.stderr


def test_a_fault_of_what_watches_the_workers_ends_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would notice any more that a worker hangs, or has ended."""
    flags = {"state_dir": tmp_path / "state", "store": tmp_path / "store", "workers": 1, "id": "here"}
    settings = load_settings(flags, {"HOME": str(tmp_path)})

    def stumble(_pool: Pool, _now: float) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(Pool, "look", stumble)

    async def scene() -> None:
        settings.state_dir.mkdir()  # as whoever locks it has done
        runtime = Runtime(settings, open_store(settings.store), "0" * 16, random.Random(1), frozenset())
        try:
            async with asyncio.timeout(PATIENCE):
                await runtime.run(lambda: None)
        finally:
            await runtime.pool.finish(5)

    with pytest.raises(ZeroDivisionError, match="a fault"):
        asyncio.run(scene())


def test_a_disk_that_does_not_say_how_much_room_it_has_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file server that is dead."""
    flags = {"state_dir": tmp_path / "state", "store": tmp_path / "store", "workers": 1, "id": "here"}
    settings = load_settings(flags, {"HOME": str(tmp_path)})
    is_asked, is_over = threading.Event(), threading.Event()

    def hang(_folder: Path) -> None:
        is_asked.set()
        is_over.wait(30)
        raise OSError

    monkeypatch.setattr(os, "statvfs", hang)

    async def scene() -> None:
        settings.state_dir.mkdir()  # as whoever locks it has done
        runtime = Runtime(settings, open_store(settings.store), "0" * 16, random.Random(1), frozenset())
        asyncio.get_running_loop().call_later(1, runtime.stop)
        async with asyncio.timeout(PATIENCE):
            await runtime.run(lambda: None)

    begun = time.monotonic()
    try:
        asyncio.run(scene())
    finally:
        is_over.set()
    assert is_asked.is_set()
    assert time.monotonic() < begun + PATIENCE


def test_a_disk_is_looked_at_again_where_no_thread_was_left_to_look_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = {"state_dir": tmp_path / "state", "store": tmp_path / "store", "workers": 1, "id": "here"}
    settings = load_settings(flags, {"HOME": str(tmp_path)})
    start, looks = threading.Thread.start, []

    def lacking(thread: threading.Thread) -> None:
        if thread.name == "look":
            looks.append(thread)
            if len(looks) == 1:
                raise RuntimeError("can't start new thread")  # As Python says it.
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", lacking)
    monkeypatch.setattr(shell, "LOOK_SECONDS", 0.1)

    async def scene() -> None:
        settings.state_dir.mkdir()  # as whoever locks it has done
        runtime = Runtime(settings, open_store(settings.store), "0" * 16, random.Random(1), frozenset())
        running = asyncio.ensure_future(runtime.run(lambda: None))
        async with asyncio.timeout(30):
            while len(looks) < 2 and not running.done():
                await asyncio.sleep(0.01)
            runtime.stop()
            await running

    asyncio.run(scene())
