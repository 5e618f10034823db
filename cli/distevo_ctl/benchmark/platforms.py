"""The daemons of one measurement: a cluster on a store of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from distevo_ctl.benchmark.figures import Figures, read_figures
from distevo_ctl.benchmark.isolation import Hold, Place, Places
from distevo_ctl.demo.platforms import USERS_OWN, Platform
from distevo_ctl.detach import daemon_command, spawn, wait_until_ready
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.patience import wait_for
from distevod import profiling
from distevod.evolution import trace
from distevod.state_lock import holder

STOP_SECONDS = 8.0
PATIENCE_SECONDS = 120.0
"""Until a cluster is as it should be; a small part of a core makes everything slow."""
MORE = "give the platforms more: --cpus, or fewer of them"
CREDENTIALS = "DISTEVO_GCS_CREDENTIALS"
"""The one variable of ours that reaches these daemons: without it a bucket may be closed to them."""
MEMORY_MB = 4096
"""For each worker: room enough for two islands. It is a limit, and not taken from the machine."""


class Daemon(NamedTuple):
    """One platform, and where it runs."""

    platform: Platform
    place: Place
    url: str
    """Of its metrics page, from its own place."""

    def figures(self) -> Figures:
        """What it tells of itself now. Raises CliError."""
        workers = self.platform.ask("status", {})["workers"].values()  # Those that die are replaced.
        try:
            with self.place.entered():
                return read_figures(self.url, self.platform.process.pid, workers)
        except OSError as error:
            raise CliError(ExitCode.NO_DAEMON, f"{self.platform.id} does not answer: {error}") from error


class Cluster:
    """`count` platforms that start together and end when the context does, at once if something went wrong."""

    def __init__(
        self,
        folder: Path,
        store: str,
        places: Places,
        hold: Hold,
        count: int,
        workers: int,
        *,
        profiles: Path | None = None,
    ) -> None:
        self._folder, self._store, self._places, self._hold = folder, store, places, hold
        self._workers, self._profiles = workers, profiles
        self._names = [f"platform-{number}" for number in range(1, count + 1)]
        self._begun: list[tuple[Platform, Place]] = []
        self.daemons: list[Daemon] = []

    def __enter__(self) -> Self:
        try:
            for name in self._names:
                with self._hold():
                    self._begun.append(self._start(name))
            for platform, place in self._begun:
                self.daemons.append(self._ready(platform, place))
        except BaseException:
            self._kill_all()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._stop()
        finally:
            with self._hold():
                self._kill_all()

    @property
    def traces(self) -> list[Path]:
        """What each worker wrote down, so far."""
        return sorted(self._folder.glob("*/traces/*.trace"))

    @property
    def running(self) -> list[Daemon]:
        """Those that were not killed."""
        return [daemon for daemon in self.daemons if not daemon.platform.is_killed]

    def figures(self) -> list[Figures]:
        """Of all that run."""
        return [daemon.figures() for daemon in self.running]

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """The answer of the first that runs."""
        return self.running[0].platform.ask(do, fields)

    def wait_linked(self) -> None:
        """Wait until each hears all others over a link of their own. Raises CliError."""

        def are_linked() -> bool:
            for daemon in self.running:
                members = daemon.platform.ask("status", {})["members"]
                near = [member for member in members if member["path"] in {"self", "direct"}]
                if [member["state"] for member in near] != ["alive"] * len(self.running):
                    return False
            return True

        self.wait(are_linked, "the platforms to be linked", every=0.1)

    def wait_working(self) -> None:
        """Wait until all of them have evaluated something. Raises CliError."""
        self.wait(lambda: all(figures.evaluations for figures in self.figures()), "all platforms to work", every=0.5)

    def wait(self, condition: Callable[[], object], what: str, every: float = 0.02) -> None:
        """Wait for something that has to come. Raises CliError: TIMED_OUT, or NO_DAEMON when a platform ends."""

        def is_so() -> object:
            for daemon in self.running:
                if (code := daemon.platform.process.poll()) is not None:
                    raise CliError(ExitCode.NO_DAEMON, f"{daemon.platform.id} ended with {code}{self._tail(daemon)}")
            return condition()

        try:
            wait_for(is_so, what, PATIENCE_SECONDS, every)
        except TimeoutError as error:
            raise CliError(ExitCode.TIMED_OUT, str(error), MORE) from error

    def kill(self, daemon: Daemon) -> None:
        """SIGKILL to a platform's processes, all of them at once where they are kept together."""
        _end(daemon.platform, daemon.place)

    # --- inside ----------------------------------------------------------------------------------

    def _start(self, name: str) -> tuple[Platform, Place]:
        place, state_dir, log = self._places.make(name), self._folder / name / "state", self._folder / name / "log"
        values = {
            "id": name,
            "state_dir": state_dir,
            "store": self._store,
            "kind": "local",
            "workers": self._workers,
            "memory_mb": MEMORY_MB * self._workers,
            "islands_per_platform": 2 * self._workers,
            "listen": place.listen,
            "metrics_port": 0,
            "allow_problems": "store",
        }
        own = {key: value for key, value in os.environ.items() if not key.startswith(USERS_OWN) or key == CREDENTIALS}
        own |= {"XDG_CONFIG_HOME": str(self._folder), trace.VARIABLE: str(self._folder / name / "traces")}
        own |= {} if self._profiles is None else {profiling.VARIABLE: str(self._profiles / name)}
        with place.starting():
            process = spawn([*place.prefix, *daemon_command(values, log)], log, own)
        return Platform(name, state_dir, process, log.open("rb")), place

    def _ready(self, platform: Platform, place: Place) -> Daemon:
        try:
            wait_until_ready(platform.process, platform.state_dir, platform.log)
        except CliError as error:
            # Its log does not stay, so nobody is sent there.
            error.message = f"{platform.id}: {error.message}"
            error.hint = MORE if error.code is ExitCode.TIMED_OUT else None
            raise
        platform.is_ready = True
        status: dict[str, Any] = {}

        def has_page() -> object:
            status.update(platform.ask("status", {}))
            return status["metrics"] and len(status["workers"]) == self._workers

        self.wait(has_page, f"the metrics page and workers of {platform.id}")
        return Daemon(platform, place, str(status["metrics"]))

    def _tail(self, daemon: Daemon) -> str:
        lines = daemon.platform.log.read().decode(errors="replace").splitlines()[-8:]
        return "".join(f"\n  {line}" for line in lines)

    def _stop(self) -> None:
        """Stop all that run, so that they can write what they have to. Raises CliError if one does not end well."""
        for daemon in self.running:
            daemon.platform.process.terminate()
        end = time.monotonic() + STOP_SECONDS
        for daemon in self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):  # A small part of a core makes everything slow.
                code = daemon.platform.process.wait(max(end - time.monotonic(), 0.1))
                if code not in {0, -signal.SIGTERM}:
                    raise CliError(
                        ExitCode.INTERNAL_ERROR, f"{daemon.platform.id} ended with {code}{self._tail(daemon)}"
                    )

    def _kill_all(self) -> None:
        for platform, place in self._begun:
            _end(platform, place)


def _end(platform: Platform, place: Place) -> None:
    """Kill what still runs of a platform."""
    found = holder(platform.state_dir)
    place.kill()
    platform.kill()
    if found is not None and found.socket is not None:
        found.socket.unlink(missing_ok=True)  # Which is in /tmp where our folder's name is too long for a socket.
