"""Launching a worker: its process, the daemon's end of its socket, and its page.

Apart from the pool, and light: a daemon launches its first workers before it has imported all that it needs itself, so
that they come up side by side.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections import deque
from typing import NamedTuple

from distevod.evolution.page import Page

NICENESS = 5
"""Below the daemon, whose start, heartbeats and answers must not wait for what workers do."""
KILLED_SECONDS = 1.0
"""How long the end of a worker that was killed is waited for when the daemon ends: a moment, if it ends at all, which
one does not that asks something of a disk or a file server that does not answer."""


class Launched(NamedTuple):
    """A worker process that is coming up."""

    popen: subprocess.Popen[bytes]
    socket: socket.socket
    page: Page


class Launcher:
    """Starts worker processes; some ahead of when they are asked for."""

    def __init__(self, memory_mb: int) -> None:
        """`memory_mb` is for each worker."""
        self._memory_mb = memory_mb
        self._ahead: deque[Launched] = deque()

    def launch_ahead(self, count: int) -> None:
        """Start as many processes for the next to ask; where the platform has none left, they will hear of it."""
        with contextlib.suppress(OSError):
            while len(self._ahead) < count:
                self._ahead.append(self._launch())

    def launch(self) -> Launched:
        """A worker process. Raises OSError where the platform has none left."""
        return self._ahead.popleft() if self._ahead else self._launch()

    def close(self) -> None:
        """End the processes that nobody has asked for."""
        for launched in self._ahead:
            launched.popen.kill()
        end = time.monotonic() + KILLED_SECONDS
        while self._ahead:
            popen, ours, page = self._ahead.popleft()
            with contextlib.suppress(subprocess.TimeoutExpired):  # It is left to the kernel.
                popen.wait(max(end - time.monotonic(), 0.0))
            ours.close()
            page.close()

    def _launch(self) -> Launched:
        with contextlib.ExitStack() as undo:
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            with theirs:
                page = Page.create()
                undo.callback(page.close)
                popen = self._popen(theirs, page)
            undo.pop_all()
        ours.setblocking(False)
        return Launched(popen, ours, page)

    def _popen(self, theirs: socket.socket, page: Page) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-P",  # A stray random.py where the daemon was started is not what workers import.
            "-m",
            "distevod.evolution.worker",
            str(theirs.fileno()),
            str(page.descriptor),
            str(os.getpid()),
            str(self._memory_mb),
        ]
        # One thread for each worker: the cores are shared out among workers already.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        popen = subprocess.Popen(
            command,
            pass_fds=(theirs.fileno(), page.descriptor),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            process_group=0,  # What a problem starts ends with the worker.
        )
        with contextlib.suppress(OSError):  # Where a sandbox forbids it, rather a worker beside the daemon than none.
            os.setpriority(os.PRIO_PROCESS, popen.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
        return popen
