"""A peer at work, seen from outside: its processes, and the lines that its script prints."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

import orjson
import psutil

from tests.performance.peers.hand_loop import Stand

ROOT = Path(__file__).parents[3]
VENV = ROOT / "build/peers-venv"
UNWANTED = ("DISTEVO_", "XDG_", "RAY_", "DASK_", "PYTHON")
MARK = "PEERS_SESSION"
"""In the environment of all processes of a session, whoever started them."""


class Totals(NamedTuple):
    """What all islands together have done at one moment."""

    t: float
    """Monotonic seconds."""
    generations: int
    offspring: int
    repeats: int


class Look(NamedTuple):
    """How far each island was at one moment."""

    t: float
    """Monotonic seconds."""
    islands: list[Stand]


class Marked:
    """Processes that carry a mark of their own in their environment, and their descendants."""

    def __init__(self, home: Path) -> None:
        self.mark, self.home = uuid.uuid4().hex, home
        self._started: list[subprocess.Popen[bytes]] = []
        self._seen: dict[int, psutil.Process] = {}

    @property
    def environ(self) -> dict[str, str]:
        """For processes that are started, in which nothing of this machine's user is touched."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(UNWANTED)}
        home = dict.fromkeys(("HOME", "TMPDIR", "RAY_TMPDIR"), str(self.home))
        return kept | home | {MARK: self.mark, "PYTHONPATH": str(ROOT)}

    def start(self, command: Sequence[str], output: int | IO[bytes], errors: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a process of this session."""
        process = subprocess.Popen(
            command, env=self.environ, cwd=self.home, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        self._started.append(process)
        return process

    def processes(self) -> list[psutil.Process]:
        """Those that live."""
        started = {process.pid for process in self._started}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                # Some rewrite their title, and with it what of their environment can be read.
                is_ours = process.ppid() in self._seen or process.pid in started
                if is_ours or process.environ().get(MARK) == self.mark:
                    self._seen.setdefault(process.pid, process)
        self._seen = {pid: process for pid, process in self._seen.items() if _lives(process)}
        return list(self._seen.values())

    def kill(self) -> None:
        """SIGKILL to all of them, until none lives."""
        while processes := self.processes():
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            psutil.wait_procs(processes, timeout=5)
        for started in self._started:
            started.wait()
        self._started.clear()


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


class Session:
    """A script of a peer, from its start until all of its processes are killed."""

    def __init__(self, folder: Path, module: str, work: str, variant: str, *options: str) -> None:
        self.marked = Marked(folder)
        self.workers: list[int] = []
        self.looks: list[Look] = []
        self.log = folder / f"{module}.log"
        self.command = [
            str(VENV / "bin/python"), "-m", f"tests.performance.peers.{module}",
            "--work", work, "--variant", variant, *options,
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the script, and read along."""
        with self.log.open("ab") as log:
            self.process = self.marked.start(self.command, subprocess.PIPE, log)
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()
        return self

    def kill(self) -> None:
        """SIGKILL to all of its processes, and forget what it said."""
        self.marked.kill()
        if self.process is not None and self.process.stdout is not None:
            self._reader.join()
            self.process.stdout.close()
        self.looks.clear()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def has_ended(self) -> bool:
        """Whether the script is over, which it never is by itself."""
        return self.process is not None and self.process.poll() is not None

    def look(self) -> Look:
        """The last that was heard."""
        return self.looks[-1] if self.looks else Look(time.monotonic(), [])

    def totals(self) -> Totals:
        """Of the last that was heard."""
        look = self.look()
        sums = [sum(counts) for counts in zip(*(island[:3] for island in look.islands), strict=True)]
        return Totals(look.t, *(sums or (0, 0, 0)))

    def worker_pids(self) -> list[int]:
        """The processes that evolve."""
        return self.workers

    def _read(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            if not line.startswith(b"{"):
                continue  # libraries print what they have to say there, too
            told = orjson.loads(line)
            if "workers" in told:
                self.workers = told["workers"]
            else:
                self.looks.append(Look(told["t"], [Stand(*island) for island in told["islands"]]))
