"""Plain sockets on hosts, and whether anything gets through them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.hosts import Host

SOON = 0.25
"""Seconds in which nothing may arrive; TCP has sent a second time by then (after 200 ms)."""
SURELY = 10.0
"""Seconds in which all has to arrive."""


def listen(host: Host) -> socket.socket:
    """A server on all addresses of a host."""
    with host.entered():
        return socket.create_server(("0.0.0.0", 0))


def dial(host: Host, address: str, port: int, seconds: float = SURELY) -> socket.socket:
    """A connection from a host."""
    with host.entered():
        return socket.create_connection((address, port), seconds)


def can_dial(host: Host, other: Host) -> bool:
    """Whether a new connection is made; raises what the kernel says against it, unless it says nothing at all."""
    with listen(other) as server:
        try:
            dial(host, other.address, server.getsockname()[1], SOON).close()
        except TimeoutError:
            return False
        return True


@contextmanager
def connection(host: Host, other: Host) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection that `host` dials."""
    with listen(other) as server, dial(host, other.address, server.getsockname()[1]) as near:
        far, _ = server.accept()
        with far:
            far.settimeout(SURELY)
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield near, far


@contextmanager
def mailboxes(*hosts: Host) -> Iterator[list[socket.socket]]:
    """A bound UDP socket on each host."""
    boxes = []
    try:
        for host in hosts:
            with host.entered():
                box = socket.socket(type=socket.SOCK_DGRAM)
            boxes.append(box)
            box.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
            box.bind((host.address, 0))
        yield boxes
    finally:
        for box in boxes:
            box.close()


def arrives(near: socket.socket, far: socket.socket) -> bool:
    """Whether what is sent now arrives soon. Raises ConnectionError if either end is told that there is none."""
    near.sendall(b"now")
    return is_there(far, b"now", SOON)


def is_there(end: socket.socket, wanted: bytes, seconds: float) -> bool:
    """Whether exactly this can be received in that time."""
    end.settimeout(seconds)
    try:
        received = end.recv(1 << 16)
    except TimeoutError:
        return False
    finally:
        end.settimeout(SURELY)
    assert received == wanted
    return True


def least(measure: Callable[[], float]) -> float:
    """The least of five measurements of seconds: where the machine stalls it adds to some, and takes from none."""
    return min(measure() for _ in range(5))


def round_trip(near: socket.socket, far: socket.socket) -> float:
    """Seconds until an answer is there."""
    start = time.monotonic()
    near.sendall(b"?")
    assert far.recv(1) == b"?"
    far.sendall(b"!")
    assert near.recv(1) == b"!"
    return time.monotonic() - start
