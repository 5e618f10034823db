"""`watch`: live on a terminal, lines elsewhere, JSON lines with --json; Ctrl-C is how it ends."""

from __future__ import annotations

import json
import signal
import subprocess

from tests.cli.conftest import Home


def test_on_a_terminal_there_are_bars(platform: Home, solved: str) -> None:
    shown = platform.terminal("watch", "--until-done", "--interval", "0.1")
    assert "━━━━━━━━━━" in shown
    assert solved in shown
    assert "Ctrl-C leaves" in shown


def test_elsewhere_there_are_lines(platform: Home, solved: str) -> None:
    lines = platform.ctl("watch", "--until-done", "--interval", "0.1").stdout.splitlines()
    assert next(line for line in lines if line.startswith("solved:")).startswith("solved: done, 3 of 3 tasks, 2 fit")


def test_ctrl_c_ends_it_well(platform: Home, solved: str) -> None:
    watching = platform.popen("main", "watch", "--json", "--interval", "0.1", stdout=subprocess.PIPE)
    assert watching.stdout is not None
    looks = [json.loads(watching.stdout.readline()) for _ in range(2)]
    assert all(look["cluster"]["coordinator"] == "here" for look in looks)
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=90)
    assert watching.returncode == 0


def test_there_must_be_a_daemon(home: Home) -> None:
    home.error("watch", code=3)
    home.error("watch", "--interval", "0", code=2)
    assert "no finite number" in home.error("watch", "--interval", "nan", code=2)["message"]
