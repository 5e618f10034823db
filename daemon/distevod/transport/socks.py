"""Connections through a SOCKS 5 proxy (RFC 1928).

Not by libzmq, which knows SOCKS too: 4.3.5 ends the whole process when a socket is closed after the proxy has refused.
So this talks to the proxy, and libzmq connects to a Unix socket of ours, between which and the proxy bytes are passed.
CURVE goes from end to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import secrets
import socket
import struct
from collections.abc import Callable
from typing import Any

from distevod.threads import in_daemon_thread
from distevod.transport.race import AllFailed

_VERSION = 5
_NO_AUTHENTICATION = 0
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_ADDRESS_BYTES = {_IPV4: 4, _IPV6: 16}
_REFUSALS = {
    1: "general failure", 2: "not allowed", 3: "network is unreachable", 4: "no route to host",
    5: "connection refused", 6: "time-out", 7: "it does not know the command",
    8: "it does not know this kind of address",
}  # fmt: skip
_MAX_NAME_BYTES = 255
_CREDENTIALS = struct.Struct("3i")
CHUNK_BYTES = 2**18


class Tunnel:
    """A Unix socket, for one connection of this process, that leads to a TCP address."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The streams are those to the proxy, which has made the connection."""
        self._there = reader, writer
        self._name = f"distevo-{os.getpid()}-{secrets.token_hex(8)}"
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.on_end: Callable[[Tunnel], None] | None = None

    @property
    def address(self) -> str:
        """For libzmq."""
        return f"ipc://@{self._name}"

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_unix_server(self._accepted, f"\0{self._name}", limit=CHUNK_BYTES)

    async def close(self) -> None:
        """End it; nothing is passed on any more."""
        if self._server is not None:
            self._server.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._end()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(credentials)[0] != os.getpid() or self._task is not None:
            writer.transport.abort()
            return
        if self._server is not None:
            self._server.close()  # nobody else is to come
        self._task = asyncio.get_running_loop().create_task(self._pass_on(reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = self._there
        try:
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            writer.transport.abort()
            self._end()

    def _end(self) -> None:
        self._there[1].transport.abort()
        if self.on_end is not None:
            self.on_end(self)


async def connect(proxy: str, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to `host`, an address or a name that the proxy resolves. Raises AllFailed."""
    proxy_host, proxy_port = proxy.rsplit(":", 1)
    try:
        reader, writer = await _open(proxy_host.strip("[]"), int(proxy_port))
    except (OSError, UnicodeError) as error:
        number = error.errno or 0 if isinstance(error, OSError) else 0
        what = os.strerror(number).lower() if number > 0 else str(error)
        raise AllFailed(f"no connection to the proxy {proxy}: {what}") from error
    try:
        await _ask(reader, writer, host, port)
    except (OSError, asyncio.IncompleteReadError) as error:
        writer.transport.abort()
        raise AllFailed(f"the proxy {proxy} is no SOCKS 5 proxy, or broke off") from error
    except AllFailed as error:
        writer.transport.abort()
        raise AllFailed(f"the proxy {proxy} cannot reach it: {error}") from None
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


async def _open(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first of its addresses that takes one. Raises OSError or UnicodeError."""
    # Not left to asyncio, whose end waits until a name is found or given up.
    found = await in_daemon_thread(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    *others, last = (host_in(address) for *_, address in found)
    for other in others:
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(other, port, limit=CHUNK_BYTES)
    return await asyncio.open_connection(last, port, limit=CHUNK_BYTES)


def host_in(address: tuple[Any, ...]) -> str:
    """The host of one of the addresses of `getaddrinfo`: with its interface, where it counts on one link alone."""
    return f"{address[0]}%{address[3]}" if len(address) == 4 and address[3] else str(address[0])


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    writer.write(bytes([_VERSION, 1, _NO_AUTHENTICATION]))
    version, method = await reader.readexactly(2)
    if version != _VERSION:
        raise OSError
    if method != _NO_AUTHENTICATION:
        raise AllFailed("it wants a name and a password")
    writer.write(bytes([_VERSION, _CONNECT, 0]) + _encoded(host) + port.to_bytes(2, "big"))
    version, answer, _, kind = await reader.readexactly(4)
    if version != _VERSION:
        raise OSError
    if answer != 0:
        raise AllFailed(_REFUSALS.get(answer, f"answer {answer}"))
    size = _ADDRESS_BYTES.get(kind) or (await reader.readexactly(1))[0]
    await reader.readexactly(size + 2)  # where the proxy connects from, which nobody needs


def _encoded(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        name = host.encode("ascii", "replace")
        if len(name) > _MAX_NAME_BYTES:
            raise AllFailed(f"{host[:100]!r} is longer than a name may be") from None
        return bytes([_NAME, len(name)]) + name
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on what comes until it ends, and end it there."""
    with contextlib.suppress(OSError):  # an end like any other: who wants to know watches libzmq's socket
        while data := await source.read(CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
    sink.close()
