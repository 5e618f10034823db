"""The TCP connections beneath libzmq's sockets, which it knows by file descriptors.

A ROUTER cannot close a connection. We can: `shutdown` on its descriptor, after which libzmq sees its end. Descriptors
are used again as soon as they are closed, by whomever; so each is looked at through a duplicate, and touched only if
it is still the same connection by the addresses of both ends.
"""

from __future__ import annotations

import os
import socket
from struct import Struct
from typing import NamedTuple

_RECEIVED_AT, _COUNTER = 128, Struct("=Q")
"""`tcpi_bytes_received` in Linux's `struct tcp_info`."""


class Ends(NamedTuple):
    """The addresses of a TCP connection: what tells it from all others."""

    here: tuple[object, ...]
    there: tuple[object, ...]

    def __str__(self) -> str:
        """The other end."""
        host, port, *_ = self.there
        return f"{host}:{port}"


def ends(fd: int) -> Ends | None:
    """The connection that is under this descriptor now; None if there is none."""
    try:
        with socket.socket(fileno=os.dup(fd)) as connection:
            return _ends(connection)
    except OSError:
        return None


def cut(fd: int, expected: Ends) -> bool:
    """End the connection if it is still under this descriptor; whether it was."""
    try:
        with socket.socket(fileno=os.dup(fd)) as connection:
            if _ends(connection) != expected:
                return False
            connection.shutdown(socket.SHUT_RDWR)
            return True
    except OSError:
        return False


def received_bytes(fd: int, expected: Ends) -> int:
    """How many bytes have come over the connection, if it is still under this descriptor; else 0."""
    try:
        with socket.socket(fileno=os.dup(fd)) as connection:
            if _ends(connection) != expected:
                return 0
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED_AT + _COUNTER.size)
    except OSError:
        return 0
    return int(_COUNTER.unpack_from(info, _RECEIVED_AT)[0]) if len(info) >= _RECEIVED_AT + _COUNTER.size else 0


def _ends(connection: socket.socket) -> Ends | None:
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    return Ends(connection.getsockname(), connection.getpeername())
