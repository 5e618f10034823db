"""The control socket: a ZeroMQ ROUTER on a Unix socket of mode 0600, one JSON request and one JSON answer a message.

A request is `{"do": NAME, ...}`, its answer `{"ok": {...}}` or `{"error": {"kind": ..., "message": ...}}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Any

import orjson
import zmq
import zmq.asyncio

from distevod.paths import PathError
from distevod.refusal import kind_of_any
from distevod.service import Service
from distevod.transport.errors import in_words

MAX_REQUEST_BYTES = 128 * 2**20
LINGER_MS = 500

log = logging.getLogger("distevod.control")


class Control:
    """Answers requests until closed. Several are answered at once; a slow one holds nobody up."""

    def __init__(self, path: Path, service: Service) -> None:
        self._path, self._service = path, service
        self._context = zmq.asyncio.Context(io_threads=1)
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._tasks: set[asyncio.Task[None]] = set()

    def bind(self) -> None:
        """Listen. The umask makes the socket's mode 0600 from its first moment. Raises PathError."""
        old = os.umask(0o177)
        try:
            self._path.unlink(missing_ok=True)
            self._socket.bind(f"ipc://{self._path}")
        except IsADirectoryError as error:
            raise PathError(f"cannot replace {self._path}: {error.strerror}; move away what is there") from error
        except (OSError, zmq.ZMQError) as error:
            reason = in_words(error) if isinstance(error, zmq.ZMQError) else error.strerror
            raise PathError(
                f"cannot make the control socket {self._path}: {reason}; not every file system has sockets: give a "
                "--state-dir on a local disk, or set XDG_RUNTIME_DIR to a folder on one"
            ) from error
        finally:
            os.umask(old)
        self._spawn(self._serve())

    async def close(self) -> None:
        """Answer what is being answered, and stop listening."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close()
        self._context.term()
        with contextlib.suppress(OSError):  # where it could not be made
            self._path.unlink()

    async def _serve(self) -> None:
        while True:
            peer, *frames = await self._socket.recv_multipart()
            self._spawn(self._answer(peer, frames))

    async def _answer(self, peer: bytes, frames: list[bytes]) -> None:
        *envelope, body = frames or [b""]
        answer = await self._carry_out(body)
        await self._socket.send_multipart([peer, *envelope, answer])

    async def _carry_out(self, body: bytes) -> bytes:
        try:
            request = orjson.loads(body)
            if not isinstance(request, dict):
                raise TypeError
        except (orjson.JSONDecodeError, TypeError):
            return _error("usage", "a request is a JSON object")
        action = self._service.requests.get(str(request.get("do")))
        if action is None:
            return _error("usage", f"no such request: {request.get('do')!r}")
        try:
            return orjson.dumps({"ok": await action(request)}, option=orjson.OPT_NON_STR_KEYS)
        except Exception as error:
            kind = kind_of_any(error)
            if kind == "internal_error":
                log.exception("a request failed")
            return _error(kind, str(error) or type(error).__name__)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _error(kind: str, message: str) -> bytes:
    return orjson.dumps({"error": {"kind": kind, "message": message}})
