"""`demo`: it solves, kills, draws, stops its daemons and leaves nothing behind, interrupted or not."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from distevo_ctl.demo.look import looks
from distevo_ctl.demo.platforms import Platforms
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.interrupts import Interrupts
from tests.cli.conftest import Home

SHORT = ("demo", "--tasks", "training:0-1", "--cpu-seconds", "5")
"""Two tasks that are solved within a tenth of that."""
LONG_ENOUGH = ("demo", "--tasks", "training:0-5", "--cpu-seconds", "2")
"""Half of these tasks are not fit within the budget, so the rest of the run outlasts the kill."""


def leftovers(home: Home) -> list[str]:
    """Processes that know this home, and folders of demonstrations in it."""
    return [*map(str, home.folder.glob("distevo-demo-*")), *home.processes()]


def test_it_draws_what_it_solved_though_the_coordinator_is_killed(home: Home) -> None:
    shown = home.ctl(*LONG_ENOUGH).stdout
    assert "one, two and three run after " in shown
    killed = re.search(r"SIGKILL to (\w+), which coordinates", shown)
    heir = re.search(r"(\w+) has taken over, \d+\.\d s after the kill", shown)
    assert killed
    assert heir
    assert heir[1] in {"one", "two", "three"} - {killed[1]}
    assert f"nothing was lost when {killed[1]} was killed: all 6 tasks have a result, and the " in shown
    assert re.search(r"solved  007bbfb7 +\d+\.\d s  ", shown)
    assert "│077│" in shown
    assert "stopped cleanly" in shown
    assert "  distevo-ctl submit --problem grids --tasks training:0-5 --cpu-seconds 2 --wait\n" in shown
    assert leftovers(home) == []
    assert list(home.folder.iterdir()) == []


def test_a_narrow_terminal_and_what_to_type_next_where_the_path_lacks_it(home: Home) -> None:
    home.environ["PATH"] = "/usr/bin:/bin"
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", home.terminal(*SHORT, COLUMNS="60", LINES="24"))
    assert re.search(r"PLATFORM +STATE .*\n\s*one +\w+ .*\n\s*two +\w+ .*\n\s*three +\w+ ", shown)
    assert re.search(r"\w +coordinator +[\d-]", shown)  # "-" until whoever is asked has heard it
    assert "2 of 2 tasks solved" in shown
    assert f'platform that stays:\n  export PATH="{Path(sys.executable).parent}:$PATH"\n  distevod start' in shown


def test_it_goes_on_without_a_platform_that_does_not_start(home: Home) -> None:
    code = "import os, sys\nif '--id=two' in sys.orig_argv: os.write(2, b'no room'), os._exit(9)\n"
    (home.folder / "sitecustomize.py").write_text(code)  # which Python runs before anything else
    home.environ["PYTHONPATH"] = str(home.folder)
    shown = home.ctl(*SHORT).stdout
    assert "goes on without two: the daemon ended with exit code 9 before it answered\n  no room\n" in shown
    assert "one and three run after " in shown
    assert "2 of 2 tasks solved" in shown
    assert leftovers(home) == []


def test_a_set_that_does_not_exist_is_said_and_nothing_stays(home: Home) -> None:
    done = home.ctl("demo", "--tasks", "training:9-1", code=4)
    assert "from the lower to the higher" in done.stderr
    assert leftovers(home) == []


@pytest.mark.parametrize(
    ("number", "after"), [(signal.SIGINT, "demo: running"), (signal.SIGTERM, "distevo  starting")], ids=["int", "term"]
)
def test_an_interrupt_stops_its_daemons(home: Home, number: signal.Signals, after: str) -> None:
    demo = home.popen("main", "demo", "--cpu-seconds", "20", stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1)
    assert demo.stdout is not None
    while not demo.stdout.readline().startswith(after):
        assert demo.poll() is None
    demo.send_signal(number)
    out, err = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "stopped cleanly" in out
    assert err.endswith("error: interrupted\n")
    assert "Traceback" not in err
    assert leftovers(home) == []


def test_tasks_that_are_not_there_are_refused_before_anything_starts(home: Home) -> None:
    done = home.ctl("demo", "--tasks", "nosuch", code=4)
    assert done.stdout == ""
    assert "nosuch" in done.stderr


def test_an_interrupt_waits_for_where_it_may_come_and_comes_once() -> None:
    came = False
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            with interrupts.let_in():
                raise AssertionError("it did not come")
        except KeyboardInterrupt:
            came = True
            os.kill(os.getpid(), signal.SIGINT)  # as of somebody who is impatient
    assert came


def test_an_interrupt_waits_for_what_is_held() -> None:
    done = []
    with Interrupts() as interrupts, contextlib.suppress(KeyboardInterrupt), interrupts.let_in():
        with interrupts.hold():
            done.append("not interrupted")
        with interrupts.hold():
            os.kill(os.getpid(), signal.SIGTERM)
            with interrupts.hold():
                done.append("held twice")
            done.append("held")
        done.append("not reached")
    assert done == ["not interrupted", "held twice", "held"]


def test_a_run_that_ends_as_its_time_is_up_is_no_fault(tmp_path: Path) -> None:
    class Ending(Platforms):
        """A cluster whose run ends between the last look in time and the wish to cancel it."""

        state = "running"

        def ask(self, do: str, **fields: Any) -> dict[str, Any]:
            if do == "command":
                self.state = "done"
                raise CliError(ExitCode.REFUSED, "the run is done already")
            run = {"state": self.state, "tasks_done": 1, "tasks_total": 2}
            return {"run": run, "tasks": [], "members": [], "cluster": {"coordinator": None}}

    states = [look.run["state"] for look in looks(Ending(tmp_path, ("one",)), time.monotonic())]
    assert states == ["running", "done"]
