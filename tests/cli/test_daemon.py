"""`distevod start --detach` and `stop`: what they say, and that a stopped daemon is gone."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from pathlib import Path

from tests.cli.conftest import Home
from tests.cli.test_submit import MINE
from tests.hosts.processes import is_running
from tests.store.test_store_faults import mount


def test_a_taken_metrics_port_is_said_and_a_stopped_daemon_is_gone(home: Home) -> None:
    folder = str(home.folder / "other")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = home.distevod(
            "start", "--detach", "--workers", "1", "--state-dir", folder, "--metrics-port", str(port)
        ).stdout
    assert f"no metrics    port {port} is taken" in shown
    pid = int(shown.partition(", pid ")[2].split()[0])
    stopped = json.loads(home.distevod("stop", "--json", "--state-dir", folder).stdout)
    assert stopped["pid"] == pid
    assert not is_running(pid)


def test_a_state_folder_on_a_full_disk_is_told_as_one(home: Home) -> None:
    disk = home.folder / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=64k", "none", str(disk))
    try:
        with contextlib.suppress(OSError):
            (disk / "full").write_bytes(bytes(100_000))
        told = home.distevod("start", "--detach", "--metrics-port", "0", "--state-dir", str(disk / "state"), code=2)
        assert "is full" in told.stderr
        assert "make room there" in told.stderr
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_taken_id_is_an_error_of_start_and_is_told_again(home: Home) -> None:
    folders = {name: str(home.folder / name) for name in ("first", "second")}
    start = ("start", "--detach", "--id", "same", "--workers", "1", "--metrics-port", "0")
    shared = ("--store", str(home.folder / "store"))
    first = json.loads(home.distevod(*start, *shared, "--json", "--state-dir", folders["first"]).stdout)
    try:
        assert first["is_taken_in"]
        assert first["metrics"].endswith("/metrics")
        taken = "another platform is called 'same': start this one with another --id"
        assert taken in home.distevod(*start, *shared, "--state-dir", folders["second"], code=4).stderr
        for command in (("daemon", "stop"), ("main", "status")):
            shown = home.run(*command, "--state-dir", folders["second"], code=3).stderr
            assert f"the last one ended with: the cluster does not take this platform in: {taken}" in shown
        home.distevod("start", "--detach", "--workers", "1", "--metrics-port", "0", "--state-dir", folders["second"])
        home.distevod("stop", "--state-dir", folders["second"])
        assert "the last one" not in home.distevod("stop", "--state-dir", folders["second"], code=3).stderr
    finally:
        home.distevod("stop", "--state-dir", folders["first"])


def test_whoever_submits_a_file_to_several_platforms_is_told_who_runs_it(home: Home) -> None:
    (home.folder / "mine.py").write_text(MINE)
    folders = [str(home.folder / name) for name in ("first", "second")]
    run = ("submit", "--problem", "mine.py:Mine", "--evaluations", "10", "--state-dir", folders[0])
    told = "only this platform runs it, unless others were started with --allow-problems store"
    started = []
    try:
        for folder in folders:
            home.distevod(
                "start", "--detach", "--workers", "1", "--metrics-port", "0", "--state-dir", folder,
                "--store", str(home.folder / "store"), "--id", Path(folder).name,
            )  # fmt: skip
            started.append(folder)
            assert (told in home.ctl(*run).stderr) == (len(started) > 1)
    finally:
        for folder in started:
            home.distevod("stop", "--state-dir", folder)


def test_a_stop_whose_last_checkpoint_the_store_did_not_take_says_so(home: Home) -> None:
    folder, store = str(home.folder / "mine"), home.folder / "elsewhere"
    start = ("start", "--detach", "--workers", "1", "--metrics-port", "0", "--state-dir", folder, "--id", "me")
    home.distevod(*start, "--store", str(store))
    again = f"`distevod start --detach --state-dir {folder} --id me --store {store}` goes on from there"
    home.ctl("submit", "--problem", "onemax", "--tasks", "5000", "--cpu-seconds", "600", "--state-dir", folder)
    store.rename(home.folder / "away")
    store.write_text("")
    error = json.loads(home.distevod("stop", "--json", "--state-dir", folder, code=9).stderr)["error"]
    assert "not cleanly: the store did not take the last checkpoint" in error["message"]
    assert error["hint"] == again
    store.unlink()
    (home.folder / "away").rename(store)
    home.distevod(*start, "--store", str(store))
    assert again in home.distevod("stop", "--state-dir", folder).stdout
    told = home.error("status", "--state-dir", folder, code=3)["hint"]
    assert told.startswith(
        f"start one with: distevod start --detach --state-dir {folder}, with the options that it had"
    )
