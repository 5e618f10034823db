"""The tests themselves under `nohup`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HANGING_UP = """
import os, signal, subprocess, sys
import tests.conftest

os.kill(os.getpid(), signal.SIGHUP)
started = subprocess.run([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGHUP)"])
print(started.returncode == -signal.SIGHUP)
"""


def test_they_outlive_their_terminal_and_what_they_start_does_not() -> None:
    shell = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-c", HANGING_UP]
    ended = subprocess.run(shell, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "True\n"), ended.stderr
