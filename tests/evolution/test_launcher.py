"""Workers that are launched before anybody has asked for them."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from distevod.daemon import run_daemon
from distevod.evolution.launcher import KILLED_SECONDS, NICENESS, Launched, Launcher
from distevod.settings import load_settings
from distevod.settings.error import SettingsError


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    with contextlib.closing(Launcher(memory_mb=400)) as launcher:
        yield launcher


def end(launched: Launched) -> None:
    launched.popen.kill()
    launched.popen.wait()
    launched.socket.close()
    launched.page.close()


def test_what_is_launched_ahead_is_handed_out_first(launcher: Launcher) -> None:
    launcher.launch_ahead(2)
    ahead = [launched.popen.pid for launched in launcher._ahead]
    given = [launcher.launch() for _ in range(3)]
    assert [launched.popen.pid for launched in given[:2]] == ahead
    assert given[2].popen.poll() is None
    assert given[2].popen.pid not in ahead
    for launched in given:
        end(launched)


def test_what_nobody_asks_for_is_ended(launcher: Launcher) -> None:
    launcher.launch_ahead(2)
    ahead = list(launcher._ahead)
    end(launcher.launch())
    launcher.close()
    assert all(launched.popen.returncode is not None and launched.socket.fileno() < 0 for launched in ahead)


def test_workers_give_way_to_their_daemon_from_the_first_moment(launcher: Launcher) -> None:
    launched = launcher.launch()
    niceness = os.getpriority(os.PRIO_PROCESS, launched.popen.pid)
    end(launched)
    assert niceness == min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, 19)


def test_whoever_asks_hears_that_there_is_no_room_for_a_process(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left() -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(socket, "socketpair", none_left)
    launcher.launch_ahead(2)
    with pytest.raises(OSError, match="too many open files"):
        launcher.launch()


def test_a_daemon_that_cannot_boot_leaves_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[Launched] = []
    launch = Launcher._launch

    def noted(launcher: Launcher) -> Launched:
        launched.append(launch(launcher))
        return launched[-1]

    monkeypatch.setattr(Launcher, "_launch", noted)
    flags = {"state_dir": tmp_path / "state", "store": tmp_path / "store", "workers": 2, "sharding": "nowhere:shares"}
    settings = load_settings(flags, {"HOME": str(tmp_path)})
    with pytest.raises(SettingsError, match="nowhere"):
        run_daemon(settings, tmp_path / "run" / "socket")
    assert len(launched) == 2
    assert all(one.popen.returncode is not None for one in launched)


def test_workers_that_do_not_even_end_when_killed_hold_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where they ask something of a file server that is dead."""
    launcher = Launcher(memory_mb=400)
    launcher.launch_ahead(2)
    ahead = list(launcher._ahead)
    for launched in ahead:
        monkeypatch.setattr(launched.popen, "kill", lambda: None)
    begun = time.monotonic()
    launcher.close()
    took = time.monotonic() - begun
    monkeypatch.undo()
    for launched in ahead:
        launched.popen.kill()
        launched.popen.wait()
    assert took < KILLED_SECONDS + 1.0


def test_a_worker_beside_the_daemon_is_better_than_none(launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", forbidden)
    launched = launcher.launch()
    assert launched.popen.poll() is None
    end(launched)
