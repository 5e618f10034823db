"""A proxy before a storage server, which loses, delays, refuses, cuts and damages what it is told to.

It reads whole requests, and sends them on over a connection of its own, one each. It rewrites nothing but what a fault
says; the addresses that the server gives for uploads in several requests are those that it was asked by.
"""

from __future__ import annotations

import gzip
import http.client
import io
import random
import re
import socket
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Fault:
    """What happens to requests of a method whose path and query match.

    `kind`: `lose` (carried out, and the connection ends without an answer), `late` (the connection ends at once, and
    the request is carried out `seconds` later), `refuse` (answered with `status` and `body`, and not carried out),
    `refuse_done` (the same, and carried out), `stall` (not answered for `seconds`), `choke` (its body is not taken for
    `seconds`), `truncate` (half of the answer's body), `trickle` (the answer one byte at a time, `seconds` apart),
    `trickle_body` (its body so), `strip` (the answer without Google's headers), `flip` (one bit of the answer's body is
    turned over), `flip_sent` (one of what is sent), `gzip` (the answer is compressed, if whoever asks takes that).
    """

    kind: str
    method: str = ".*"
    path: str = ".*"
    status: int = 503
    body: bytes = b"refused by the test"
    seconds: float = 1.0
    times: float = 1
    """How often at most."""
    probability: float = 1.0

    def strikes(self, method: str, path: str, rng: random.Random) -> bool:
        """Whether it befalls this request; counts it."""
        if self.times < 1 or not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        if rng.random() >= self.probability:
            return False
        self.times -= 1
        return True


class Proxy:
    """Listens on a free port, or on a socket that is given, which may be of another network namespace."""

    def __init__(self, upstream: int, listener: socket.socket | None = None, seed: int = 1) -> None:
        """`upstream`: the server's port on the loopback interface."""
        self.upstream, self._rng, self._lock = upstream, random.Random(seed), threading.Lock()
        self.faults: list[Fault] = []
        self.latency = 0.0
        """Seconds that each request takes longer."""
        self.requests: Counter[str] = Counter()
        """That came, by method."""
        self.done: Counter[str] = Counter()
        """That were carried out, by method."""
        listener = listener or socket.create_server(("127.0.0.1", 0), backlog=512)
        self._server = _Server(listener.getsockname(), _Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener
        self._server.daemon_threads = True
        self._server.proxy = self  # type: ignore[attr-defined]
        host, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault(self, kind: str, **fields: object) -> Fault:
        """From now on this goes wrong."""
        fault = Fault(kind, **fields)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    def struck(self, method: str, path: str) -> Fault | None:
        """The fault that befalls a request."""
        with self._lock:
            self.requests[method] += 1
            return next((fault for fault in self.faults if fault.strikes(method, path, self._rng)), None)

    def flipped(self, data: bytes) -> bytes:
        """The same with one bit turned over."""
        if not data:
            return data
        at = self._rng.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << self._rng.randrange(8)]) + data[at + 1 :]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that no longer waits for its answer is no trouble of the proxy's."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Trickle(io.BufferedIOBase):
    """Passes on what is written one byte at a time."""

    def __init__(self, file: Any, pause: float) -> None:
        self._file, self._pause = file, pause

    def write(self, data: Any) -> int:
        for byte in bytes(data):
            self._file.write(bytes([byte]))
            time.sleep(self._pause)
        return len(data)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # Or each answer, of two writes, waits 40 ms for an acknowledgement of the first.

    def do_GET(self) -> None:
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        fault = proxy.struck(self.command, self.path)
        kind = fault.kind if fault is not None else ""
        if fault is not None and kind == "choke":
            time.sleep(fault.seconds)
        body = self._read_body()
        if proxy.latency:
            time.sleep(proxy.latency)
        if fault is not None and kind in {"late", "refuse_late"}:
            threading.Timer(fault.seconds, self._ask, (proxy, body)).start()
        if kind in {"late", "lose"}:
            if kind == "lose":
                self._ask(proxy, body)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault is not None and kind.startswith("refuse"):
            if kind == "refuse_done":
                self._ask(proxy, body)
            self._answer(fault.status, [], fault.body)
            return
        if fault is not None and kind == "stall":
            time.sleep(fault.seconds)
        if kind == "flip_sent":
            body = proxy.flipped(body)
        status, headers, content = self._ask(proxy, body)
        if kind == "strip":
            headers = [(name, value) for name, value in headers if not name.lower().startswith("x-goog-")]
        if kind == "gzip" and "gzip" in self.headers.get("Accept-Encoding", ""):
            headers, content = [*headers, ("Content-Encoding", "gzip")], gzip.compress(content)
        if kind == "flip":
            content = proxy.flipped(content)
        pause = fault.seconds if fault is not None and kind.startswith("trickle") else 0.0
        if kind == "trickle":
            self.wfile = _Trickle(self.wfile, pause)
        self._answer(status, headers, content, is_cut=kind == "truncate", pause=pause)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the base class's names

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _ask(self, proxy: Proxy, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", proxy.upstream, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            upstream.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            answer = upstream.getresponse()
            found = answer.status, answer.getheaders(), answer.read()
            proxy.done[self.command] += 1
            return found
        finally:
            upstream.close()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, is_cut: bool = False, pause: float = 0.0
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if is_cut:
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif self.command != "HEAD":
            (_Trickle(self.wfile, pause) if pause else self.wfile).write(content)
        if pause:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
