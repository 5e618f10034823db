"""The gate: which keys may connect. A handler of ZeroMQ's authentication protocol (ZAP, RFC 27)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from functools import partial

import zmq
from zmq.utils import z85

from distevod.transport.options import ZAP_DOMAIN
from distevod.transport.reader import Reader

ADDRESS = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_OK, _NOT_NOW, _DENIED = b"200", b"300", b"400"
# After 400 libzmq's clients do not try again by themselves; so only who is revoked is answered that.

log = logging.getLogger("distevod.transport")


class Gate:
    """Answers libzmq's question about each key that has proved to have its secret part.

    Until `admit` is called everybody is told to come again. Whatever goes wrong here lets nobody in: libzmq closes a
    connection for which no answer comes.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._denied: frozenset[str] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._reader: Reader | None = None

    def open(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Begin to answer."""
        # A ROUTER and no REP: a request that cannot be answered is followed by others all the same.
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(ADDRESS)
        self._reader = Reader(self._socket, partial(self._take, self._socket))

    def admit(self, denied: Collection[str]) -> None:
        """Let all keys in but these (public ones, in Z85)."""
        self._denied = frozenset(denied)

    def _judge(self, key: str) -> bytes:
        if self._denied is None:
            return _NOT_NOW
        return _DENIED if key in self._denied else _OK

    def close(self) -> None:
        """Answer no more; nobody can connect any longer."""
        if self._reader is not None and self._socket is not None:
            self._reader.close()
            self._socket.close()

    def _take(self, socket: zmq.Socket[bytes]) -> bool:
        try:
            request = socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return False
        try:
            self._answer(socket, request)
        except Exception:
            self._counts["gate_faults"] += 1
            log.exception("a fault in the handler of ZAP; the connection is not let in")
        return True

    def _answer(self, socket: zmq.Socket[bytes], request: list[bytes]) -> None:
        to, _empty, version, number, domain, _address, _routing_id, mechanism, *credentials = request
        status, text, user = _NOT_NOW, b"not let in", b""
        if version == _VERSION and domain == ZAP_DOMAIN and mechanism == b"CURVE" and len(credentials) == 1:
            key = z85.encode(credentials[0]).decode("ascii")
            status = self._judge(key)
            if status == _OK:
                text, user = b"", key.encode("ascii")
        self._counts["gate_let_in" if status == _OK else "gate_turned_away"] += 1
        socket.send_multipart([to, b"", _VERSION, number, status, text, user, b""], zmq.NOBLOCK)
