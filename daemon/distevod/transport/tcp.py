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

_ROUND_TRIP = 68, Struct("=I")
"""Offset and type of `tcpi_rtt`, in microseconds, in Linux's `struct tcp_info`."""
_RECEIVED = 128, Struct("=Q")
"""The same of `tcpi_bytes_received`."""


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
    return _info(fd, expected, *_RECEIVED) or 0


def round_trip(fd: int, expected: Ends) -> float | None:
    """Seconds that a packet and its acknowledgement take, smoothed; None if it is no longer this connection."""
    found = _info(fd, expected, *_ROUND_TRIP)
    return None if found is None else found / 1e6


def _info(fd: int, expected: Ends, offset: int, field: Struct) -> int | None:
    try:
        with socket.socket(fileno=os.dup(fd)) as connection:
            if _ends(connection) != expected:
                return None
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, offset + field.size)
    except OSError:
        return None
    return int(field.unpack_from(info, offset)[0]) if len(info) >= offset + field.size else None


def _ends(connection: socket.socket) -> Ends | None:
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    return Ends(connection.getsockname(), connection.getpeername())
