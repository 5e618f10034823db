"""A real daemon in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import zmq

from distevo_ctl.patience import wait_for
from distevod.paths import control_socket

__all__ = ["Daemon", "DaemonError", "wait_for"]

ANSWER_MS = 60_000


class DaemonError(Exception):
    """The daemon answered with an error. Attributes: `kind`, and the message as text."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Daemon:
    """`distevod start` as a process, with its log in `<folder>/daemon.log`.

    `prefix` goes before the command line, say to run it on a host of its own; it must become the command by exec.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        workers: int = 1,
        id: str = "here",  # noqa: A002
        prefix: tuple[str, ...] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`environ`: variables that it has beside what any has."""
        self.folder, self.options, self.prefix = folder, options, prefix
        self._more = dict(environ or {})
        self.state_dir = folder / "state"
        self.workers, self.id = workers, id
        self.log = folder / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def environ(self) -> dict[str, str]:
        """An environment in which nothing of this machine's user is touched."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DISTEVO_", "XDG_"))}
        root = str(Path(__file__).parents[2])  # For problems that the tests bring.
        return kept | {"HOME": str(self.folder), "TMPDIR": str(self.folder), "PYTHONPATH": root} | self._more

    @property
    def command(self) -> list[str]:
        """The command line."""
        return [
            *self.prefix, sys.executable, "-m", "distevo_ctl.daemon", "start", "--state-dir", str(self.state_dir),
            "--id", self.id, "--workers", str(self.workers), "--metrics-port", "0", *self.options,
        ]  # fmt: skip

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self.process is not None
        return self.process.pid

    def start(self, wait: bool = True) -> Self:
        """Start the process; wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until the daemon answers."""
        assert self.process is not None
        pid = self.process.pid

        def answers() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.log.read_text()}")
            try:
                return bool(self.ask(do="ping", timeout_ms=200)["pid"] == pid)
            except TimeoutError:
                return False

        wait_for(answers, "the daemon to answer")

    def ask(self, timeout_ms: int = ANSWER_MS, **request: Any) -> dict[str, Any]:
        """Send a request to the control socket; returns what it answers. Raises DaemonError or TimeoutError."""
        context = zmq.Context.instance()
        with context.socket(zmq.REQ) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVTIMEO, timeout_ms)
            socket.connect(f"ipc://{control_socket(self.state_dir, self.environ)}")
            socket.send(orjson.dumps(request))
            try:
                answer = orjson.loads(socket.recv())
            except zmq.Again as error:
                raise TimeoutError(f"no answer to {request.get('do')} in {timeout_ms} ms") from error
        if "error" in answer:
            raise DaemonError(answer["error"]["kind"], answer["error"]["message"])
        found: dict[str, Any] = answer["ok"]
        return found

    def status(self) -> dict[str, Any]:
        """The daemon's status."""
        return self.ask(do="status")

    def submit(self, **request: Any) -> str:
        """Submit a run; returns its name."""
        return str(self.ask(do="submit", **request)["run"])

    def run(self, name: str) -> dict[str, Any]:
        """One run of the status."""
        found: dict[str, Any] = next(run for run in self.status()["runs"] if run["id"] == name)
        return found

    def wait_done(self, name: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until a run is over; returns its view."""
        wait_for(lambda: self.run(name)["state"] in {"done", "failed", "cancelled"}, f"run {name} to end", seconds)
        return self.run(name)

    def results(self, name: str) -> dict[str, dict[str, Any]]:
        """A run's results by task."""
        return {task["id"]: task for task in self.ask(do="results", run=name)["tasks"]}

    def kill(self) -> None:
        """SIGKILL, and wait."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 10) -> int:
        """SIGTERM, and wait; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
                raise
