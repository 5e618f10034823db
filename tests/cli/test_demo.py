"""`demo`: it solves, draws, stops its daemon and leaves nothing behind, interrupted or not."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.cli.conftest import Home

SHORT = ("demo", "--tasks", "training:0-1", "--cpu-seconds", "0.3")


def leftovers(home: Home) -> list[str]:
    """Processes that know this home, and folders of demonstrations in it."""
    found = [str(path) for path in home.folder.glob("distevo-demo-*")]
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(home.folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_it_draws_what_it_solved(home: Home) -> None:
    shown = home.ctl(*SHORT).stdout
    assert re.search(r"solved  007bbfb7 +\d+\.\d s  ", shown)
    assert "2 of 2 tasks solved" in shown
    assert "│077│" in shown
    assert "stopped cleanly" in shown
    assert "  distevo-ctl submit --problem grids --tasks training:0-1 --cpu-seconds 0.3 --wait\n" in shown
    assert leftovers(home) == []
    assert list(home.folder.iterdir()) == []


def test_a_set_that_does_not_exist_is_said_and_nothing_stays(home: Home) -> None:
    done = home.ctl("demo", "--tasks", "training:9-1", code=4)
    assert "from the lower to the higher" in done.stderr
    assert leftovers(home) == []


def test_ctrl_c_stops_its_daemon(home: Home) -> None:
    demo = home.popen("main", "demo", "--cpu-seconds", "20", stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1)
    assert demo.stdout is not None
    while not demo.stdout.readline().startswith("demo: running"):
        assert demo.poll() is None
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=20)
    assert demo.returncode == 130
    assert "stopped cleanly" in out
    assert err.endswith("error: interrupted\n")
    assert "Traceback" not in err
    assert leftovers(home) == []


def test_what_to_type_next_begins_with_the_path_where_it_is_needed(home: Home) -> None:
    home.environ["PATH"] = "/usr/bin:/bin"
    shown = home.ctl(*SHORT).stdout
    assert f'platform that stays:\n  export PATH="{Path(sys.executable).parent}:$PATH"\n  distevod start' in shown
