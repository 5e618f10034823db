"""Answers that end: connections on which no answer takes much longer than its bytes need.

The time-outs of `requests` and `urllib3`, their `total` too, count the seconds in which nothing comes. An answer of
which a byte comes now and then outlasts them all, and whoever asked waits: a lease is not renewed meanwhile, a thread
that reads is taken. A proxy that scans what it lets through sends such answers, to keep its client patient.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

MOST_SILENCES = 5
"""How many times the silence that it is allowed an answer may take,"""
LEAST_RATE = 1000
"""and a second more for each so many of its bytes: no line is slower on which anything works."""


class _Bytes(io.RawIOBase):
    """What comes of one answer. Reading raises TimeoutError when nothing came for too long, or too little."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._raw, self._silence = sock, sock.makefile("rb", buffering=0), sock.gettimeout()
        self._begun, self._came = time.monotonic(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._silence is not None:
            left = self._begun + MOST_SILENCES * self._silence + self._came / LEAST_RATE - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self._came} bytes of the answer came in {time.monotonic() - self._begun:.0f} s")
            self._sock.settimeout(min(self._silence, left))
        count = self._raw.readinto(buffer)
        self._came += count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Socket:
    """All of a socket that an answer asks for."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What comes, to be read."""
        return io.BufferedReader(_Bytes(self._sock))


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(_Socket(sock), *args, **named)  # type: ignore[arg-type]  # it makes a file of it, and that is all


class _Connection(HTTPConnection):
    response_class = _Answer


class _SafeConnection(HTTPSConnection):
    response_class = _Answer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SafePool(HTTPSConnectionPool):
    ConnectionCls = _SafeConnection


POOLS = {"http": _Pool, "https": _SafePool}
"""For `PoolManager.pool_classes_by_scheme`."""
