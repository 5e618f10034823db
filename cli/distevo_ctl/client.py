"""Asking a daemon: one connection to its control socket, one answer to each request, and a time limit on both."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.own_log import ended_hint
from distevo_ctl.target import start_command, state_dir_option
from distevod.paths import PathError
from distevod.state_lock import Holder, holder, was_used

CONNECT_SECONDS = 3.0
"""How long a daemon that holds its state folder may take to answer a first, empty request."""
ANSWER_SECONDS = 75.0
"""The longest that a request is waited for: taking a run in may take 30 s."""
PING_SECONDS = 5.0
"""How often a daemon that is asked for something long is asked whether it is there."""
LOOK_SECONDS = 0.25
"""Between two looks at whether a daemon that has not answered is still there."""
RECONNECT_MS = 10


class Client:
    """A connection to the daemon of one state folder.

    Attribute `daemon`: its answer to `ping`, {"id", "boot", "pid", "store"}. Raises CliError with NO_DAEMON when
    none runs there, or it does not answer within `patience` seconds.
    """

    def __init__(self, state_dir: Path, patience: float = CONNECT_SECONDS) -> None:
        self._state_dir = state_dir
        end = time.monotonic() + patience
        self._holder = self._find(end)
        import zmq

        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.DEALER)
        # One that ends while asked comes back with another socket, and a request that it lost may not be sent again.
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._asked = 0
        try:
            self._socket.connect(f"ipc://{self._holder.socket}")
            try:
                self.daemon = self.ask("ping", seconds=max(end - time.monotonic(), LOOK_SECONDS))
            except CliError as error:
                if error.code is ExitCode.TIMED_OUT:
                    raise self._silent() from None
                raise
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave; what was asked and not answered is no longer waited for."""
        self._socket.close()
        self._context.term()

    def ask(
        self, do: str, *, seconds: float = ANSWER_SECONDS, waiting: Callable[[], None] | None = None, **fields: Any
    ) -> dict[str, Any]:
        """The daemon's answer to one request; fields that are None are left out.

        With `waiting` the request may take any time, and `seconds` is how long the daemon may say nothing at all: it is
        asked meanwhile whether it is there, and `waiting` is called each time that it says so.

        Raises CliError: what the daemon refuses, with the exit code of that kind; NO_DAEMON when it ends meanwhile;
        TIMED_OUT when it has not answered in `seconds`.
        """
        import orjson

        number = self._send({"do": do} | {key: value for key, value in fields.items() if value is not None})
        end, ping_at = time.monotonic() + seconds, time.monotonic() + PING_SECONDS
        while (left := end - time.monotonic()) > 0:
            if self._socket.poll(int(1000 * min(left, LOOK_SECONDS)) + 1):
                asked, _, body = self._socket.recv_multipart()
                if asked == number:
                    return _read(orjson.loads(body))
                if waiting is not None:
                    end = time.monotonic() + seconds
                    waiting()
            elif self._is_gone():
                hint = _start_hint(self._state_dir)
                raise CliError(ExitCode.NO_DAEMON, f"the daemon ended while it was asked ({do})", hint)
            if waiting is not None and time.monotonic() >= ping_at:
                ping_at = time.monotonic() + PING_SECONDS
                self._send({"do": "ping"})
        raise CliError(
            ExitCode.TIMED_OUT, f"the daemon (pid {self._holder.pid}) has not answered ({do}) in {seconds:g} s"
        )

    def _send(self, request: dict[str, Any]) -> bytes:
        """Send a request; its number, which comes back with the answer."""
        import orjson

        self._asked += 1
        number = str(self._asked).encode()
        self._socket.send_multipart([number, b"", orjson.dumps(request)])
        return number

    def _find(self, end: float) -> Holder:
        """The daemon of the folder; one that is just starting is waited for."""
        while (found := holder(self._state_dir)) is not None:
            if found.socket is not None:
                return found
            if time.monotonic() > end:
                raise CliError(ExitCode.NO_DAEMON, f"the daemon on {self._state_dir} has not begun to answer")
            time.sleep(RECONNECT_MS / 1000)
        raise CliError(ExitCode.NO_DAEMON, f"no daemon runs on {self._state_dir}", _start_hint(self._state_dir))

    def _is_gone(self) -> bool:
        try:
            return holder(self._state_dir) != self._holder
        except PathError:  # its folder is gone: so is it, for us
            return True

    def _silent(self) -> CliError:
        return CliError(
            ExitCode.NO_DAEMON,
            f"the daemon (pid {self._holder.pid}) runs on {self._state_dir} and does not answer",
            f"if it is stopped or stuck, end it with: distevod stop{state_dir_option(self._state_dir)}",
        )


def _read(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        error = answer["error"]
        raise CliError(ExitCode[error["kind"].upper()], error["message"])
    found: dict[str, Any] = answer["ok"]
    return found


def _start_hint(state_dir: Path) -> str:
    again = ", with the options that it had" if was_used(state_dir) else ""
    return f"{ended_hint(state_dir)}start one with: {start_command(state_dir)}{again}"
