"""The daemons of the demonstration: a cluster on one folder, linked over the loopback interface."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from distevo_ctl.client import Client
from distevo_ctl.detach import daemon_command, spawn, wait_until_ready
from distevo_ctl.exits import CliError, ExitCode
from distevod.state_lock import holder

STOP_SECONDS = 8.0
USERS_OWN = ("DISTEVO_", "XDG_", "STATE_", "RUNTIME_")
"""Variables that begin so are the user's settings and folders: none of them reaches these daemons."""

SETTINGS = {
    "kind": "local",
    "workers": 1,
    "memory_mb": 512,
    "islands_per_platform": 1,
    "listen": "tcp://127.0.0.1:0",
    # What a platform has in hand is shown as it was last said, so that is said often; a second without a word is no
    # evidence of death on a machine that is busy.
    "heartbeat_interval": 1,
    "heartbeat_timeout": 10,
    "metrics_port": 0,
    "allow_problems": "none",
}


@dataclass(eq=False)
class Platform:
    """One daemon and how it is asked."""

    id: str
    state_dir: Path
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    client: Client | None = None
    is_ready: bool = False
    is_missing: bool = False
    """Whether it did not answer when it was asked."""
    is_killed: bool = False

    def ask(self, do: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Its answer. Raises CliError."""
        if self.client is None:
            self.client = Client(self.state_dir)
        return self.client.ask(do, **fields)

    def close(self) -> None:
        """Ask it nothing more."""
        if self.client is not None:
            self.client.close()
            self.client = None

    def kill(self) -> None:
        """Ask it nothing more, and end all of it that runs still."""
        self.is_killed = True
        self.close()
        self.log.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # it leads a group, which its workers are in
            self.process.wait()


class Platforms:
    """Several daemons that start together, and end when the context does.

    Attributes: `ids`, of all; `killed`, of those that were killed by `kill`; `stopped_in`, how many seconds it took to
    end the rest, None before.
    """

    def __init__(self, folder: Path, ids: tuple[str, ...]) -> None:
        self._folder, self.ids = folder, ids
        self.killed: list[str] = []
        self.stopped_in: float | None = None
        self._all: list[Platform] = []

    def __enter__(self) -> Self:
        try:
            for id in self.ids:  # noqa: A001
                self._all.append(self._started(id))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        begun = time.monotonic()
        self._end()
        self.stopped_in = time.monotonic() - begun

    @property
    def running(self) -> list[Platform]:
        """Those that may be asked; the first of them is."""
        return [platform for platform in self._all if not (platform.is_killed or platform.is_missing)]

    def wait_until_ready(self) -> list[CliError]:
        """Wait until each answers or has failed to; returns the failures. Raises CliError when no platform is left."""
        failures = []
        for platform in self.running:
            try:
                wait_until_ready(platform.process, platform.state_dir, platform.log)
                platform.is_ready = True
            except CliError as error:
                error.message, error.hint = f"{platform.id}: {error.message}", None  # its log does not stay
                failures.append(error)
                self._kill(platform)
        if not self.running:
            raise failures[0]
        return failures

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """The answer of the first that is there. Raises CliError: what it refuses, NO_DAEMON when nobody is left."""
        while True:
            asked = self.running[0]
            try:
                return asked.ask(do, fields)
            except CliError as error:
                if error.code is not ExitCode.NO_DAEMON or len(self.running) == 1:
                    raise
                asked.is_missing = True
                asked.close()

    def kill(self, id: str) -> None:  # noqa: A002
        """SIGKILL to a daemon and its workers, which have no time to do anything, and wait for its end."""
        platform = next(platform for platform in self.running if platform.id == id)
        self.killed.append(id)
        self._kill(platform)

    # --- inside ----------------------------------------------------------------------------------

    def _started(self, id: str) -> Platform:  # noqa: A002
        state_dir, log = self._folder / id, self._folder / f"{id}.log"
        values = SETTINGS | {"id": id, "state_dir": state_dir, "store": self._folder / "store"}
        log.touch()
        own = {key: value for key, value in os.environ.items() if not key.startswith(USERS_OWN)}
        process = spawn(daemon_command(values, log), log, own | {"XDG_CONFIG_HOME": str(self._folder)})
        return Platform(id, state_dir, process, log.open("rb"))

    def _kill(self, platform: Platform) -> None:
        found = holder(platform.state_dir)
        platform.kill()
        if found is not None and found.socket is not None:
            found.socket.unlink(missing_ok=True)  # which is in /tmp where our folder's name is too long for a socket

    def _end(self) -> None:
        """Stop all. Raises CliError when one did not end well that was not killed here."""
        for platform in self._all:
            platform.process.terminate()
        end = time.monotonic() + STOP_SECONDS
        wrong = []
        for platform in self._all:
            try:
                code = platform.process.wait(max(end - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                wrong.append(f"{platform.id} did not stop within {STOP_SECONDS:g} s")
            else:
                # One that has not come far yet ends of the signal itself.
                is_well = code == 0 or (code == -signal.SIGTERM and not platform.is_ready)
                if not (is_well or platform.is_killed):
                    wrong.append(f"{platform.id} ended with exit code {code}")
            platform.kill()
        if wrong:
            raise CliError(ExitCode.INTERNAL_ERROR, "; ".join(wrong))
