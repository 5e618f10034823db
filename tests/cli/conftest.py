"""Both commands as a user has them: real processes, in a home of their own."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

SECONDS = 60


class Home:
    """A home folder, and the commands run in it. A command with another exit code than expected fails the test.

    Attribute `seconds`: how long `run` waits for a command.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = SECONDS
        self.state_dir = folder / ".local/state/distevo"
        own = ("DISTEVO_", "XDG_", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "NO_COLOR", "COLUMNS", "FORCE_COLOR")
        self.environ = {key: value for key, value in os.environ.items() if not key.startswith(own)}
        self.environ |= {"HOME": str(folder), "TMPDIR": str(folder)}

    def processes(self) -> list[str]:
        """Command lines of the processes that know this home."""
        found = []
        for process in psutil.process_iter():
            try:
                is_ours = process.environ().get("TMPDIR") == str(self.folder)
                if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def distevod(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        return self.run("daemon", *arguments, code=code)

    def ctl(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        return self.run("main", *arguments, code=code)

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What `distevo-ctl … --json` prints, read."""
        return json.loads(self.ctl(*arguments, "--json", code=code).stdout)

    def error(self, *arguments: str, code: int) -> dict[str, Any]:
        """The error that `distevo-ctl … --json` prints on standard error, and nothing else anywhere."""
        done = self.ctl(*arguments, "--json", code=code)
        assert done.stdout == ""
        error: dict[str, Any] = json.loads(done.stderr)["error"]
        assert error["code"] == code
        return error

    def command(self, module: str, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", f"distevo_ctl.{module}", *arguments]

    def run(self, module: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(module, *arguments), env=self.environ, cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=self.seconds,
        )  # fmt: skip
        assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def popen(self, module: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(module, *arguments),
            **{"env": self.environ, "cwd": self.folder, "stdin": subprocess.DEVNULL, "text": True} | options,
        )

    def terminal(self, *arguments: str, code: int = 0, **environ: str) -> str:
        """What `distevo-ctl …` writes to a terminal of 100 columns and 40 lines that shows all colours."""
        ours, theirs = pty.openpty()
        shown = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "100", "LINES": "40"}
        process = self.popen(
            "main", *arguments, env=self.environ | shown | environ, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        written = b""
        try:
            while data := os.read(ours, 1 << 16):
                written += data
        except OSError:  # how Linux says that nobody writes to the terminal any more
            pass
        finally:
            os.close(ours)
        text = written.decode().replace("\r\n", "\n")
        assert process.wait(SECONDS) == code, text
        return text


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home in which nothing runs."""
    return Home(tmp_path)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with a daemon of two workers, shared by the tests that leave it as they found it, but for runs."""
    found = Home(tmp_path_factory.mktemp("home"))
    found.distevod("start", "--detach", "--workers", "2", "--metrics-port", "0", "--id", "here")
    yield found
    found.distevod("stop")


@pytest.fixture(scope="session")
def solved(platform: Home) -> str:
    """A run of three real tasks that is done: the first two are solved at once, the third is not."""
    tasks = "007bbfb7,00d62c1b,025d127b"
    view = platform.json(
        "submit", "--problem", "grids", "--tasks", tasks, "--name", "solved", "--seed", "1", "--wait",
        "--evaluations", "3000", "--islands-per-task", "2",
    )  # fmt: skip
    assert view["state"] == "done"
    return "solved"
