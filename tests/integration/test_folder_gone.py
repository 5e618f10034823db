"""A state folder that is removed while its daemon runs: no command finds that daemon, so it does not stay."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from distevod.state_lock import StateLock, holder
from tests.cli.conftest import Home
from tests.support.daemon import wait_for

LOOKS_OFTEN = """
from distevod import boot
from distevo_ctl.daemon import main
boot.FOLDER_SECONDS = 0.1
main(prog_name="distevod")
"""


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_daemon_without_its_state_folder_ends_and_says_why(tmp_path: Path, is_replaced: bool) -> None:
    home, store = Home(tmp_path), tmp_path / "elsewhere"
    arguments = ["start", "--workers", "1", "--metrics-port", "0", "--store", str(store)]
    daemon = subprocess.Popen(
        [sys.executable, "-c", LOOKS_OFTEN, *arguments], env=home.environ, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: (store / "cas/cluster").is_dir() and holder(home.state_dir) is not None, "the daemon")
    if is_replaced:
        home.state_dir.rename(tmp_path / "moved")
        home.state_dir.mkdir(mode=0o700)
        (home.state_dir / "lock").touch()
    else:
        shutil.rmtree(home.state_dir)
    try:
        assert "the state folder was removed under the daemon" in daemon.communicate(timeout=20)[1]
    finally:
        daemon.kill()
    assert daemon.returncode == 4


HANGS = """
import time
from distevod import boot

def is_found(_lock):
    print("looking", flush=True)
    time.sleep(300)

boot.FOLDER_SECONDS = 0.1
boot.StateLock.is_found = is_found

from distevo_ctl.daemon import main
main(prog_name="distevod")
"""


def test_a_state_folder_on_a_file_server_that_is_dead_holds_up_no_end(tmp_path: Path) -> None:
    home = Home(tmp_path)
    arguments = ["start", "--workers", "1", "--metrics-port", "0", "--store", str(tmp_path / "elsewhere")]
    with subprocess.Popen(
        [sys.executable, "-c", HANGS, *arguments], env=home.environ, stdout=subprocess.PIPE, text=True
    ) as daemon:
        try:
            assert daemon.stdout is not None
            assert daemon.stdout.readline() == "looking\n"
            daemon.terminate()
            assert daemon.wait(60) == 0
        finally:
            daemon.kill()


def test_a_lock_is_found_where_its_folder_is(tmp_path: Path) -> None:
    with StateLock(tmp_path / "state").acquire(tmp_path / "socket") as lock:
        assert lock.is_found()
        (tmp_path / "state").rename(tmp_path / "other")
        assert not lock.is_found()
        (tmp_path / "other").rename(tmp_path / "state")
        assert lock.is_found()
