"""Dialling: from a member's endpoints to a link."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import zmq

from distevo.events import DialFailed
from distevo.instructions import Dial
from distevod.settings.value import HOST
from distevod.threads import in_daemon_thread
from distevod.transport import socks
from distevod.transport.attempt import NO_CONNECTION, Attempt
from distevod.transport.dialled import DialledWire
from distevod.transport.errors import in_words
from distevod.transport.keys import KeyPair, is_key
from distevod.transport.options import dialling
from distevod.transport.race import AllFailed, Race
from distevod.transport.socks import Tunnel
from distevod.transport.wire import Wires

DIAL_SECONDS = 6.0
"""For all endpoints of a member together."""
STAGGER_SECONDS = 0.25
"""The next endpoint is tried beside the one before if that has not come to anything by then (RFC 8305)."""
MOST_ENDPOINTS = 32
MOST_ADDRESSES = 4
"""Of one name."""
DIAGNOSIS_SECONDS = 0.5
_ENDPOINT = re.compile(rf"tcp://(?P<host>{HOST}):(?P<port>[0-9]{{1,5}})")

log = logging.getLogger("distevod.transport")


class Dialler:
    """Makes connections to members and keeps those that are there."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], keys: KeyPair, wires: Wires, socks_proxy: str | None
    ) -> None:
        self._context, self._keys, self._wires, self._socks_proxy = context, keys, wires, socks_proxy
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[DialledWire] = set()
        self._tunnels: set[Tunnel] = set()

    def dial(self, instruction: Dial) -> None:
        """Begin to connect; LinkOpened or DialFailed follows."""
        task = asyncio.get_running_loop().create_task(self._dial(instruction))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    @property
    def is_sending(self) -> bool:
        """Whether anything waits to be sent, on links that were hung up too."""
        return any(wire.queue for wire in self._open)

    async def stop(self) -> None:
        """Make no more connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """End all connections; what libzmq has taken may still leave."""
        for wire in list(self._open):
            wire.close()

    async def close_tunnels(self) -> None:
        """To be called when nothing can leave any more."""
        await asyncio.gather(*(tunnel.close() for tunnel in list(self._tunnels)))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a fault while dialling", exc_info=error)

    async def _dial(self, instruction: Dial) -> None:
        counts = self._wires.counts
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                attempt = await self._race(
                    [partial(self._reach, endpoint, instruction.key) for endpoint in instruction.endpoints]
                )
        except (AllFailed, TimeoutError) as failure:
            counts["dials_failed"] += 1
            reason = str(failure) or f"time-out: {', '.join(instruction.endpoints[:MOST_ENDPOINTS])}"
            self._wires.deliver(DialFailed(instruction.member, reason))
        except Exception as fault:
            # The node waits for an answer, and would never dial this member again.
            counts["dials_failed"] += 1
            log.exception("a fault while dialling")
            self._wires.deliver(DialFailed(instruction.member, f"a fault here: {fault}"))
        else:
            wire = DialledWire(self._wires, instruction.key, attempt, self._open.discard)
            self._open.add(wire)
            self._wires.opened(wire, instruction.member)

    async def _race(self, tries: Sequence[Callable[[], Awaitable[Attempt]]]) -> Attempt:
        return await Race(tries[:MOST_ENDPOINTS], STAGGER_SECONDS, Attempt.close).run()

    async def _reach(self, endpoint: str, key: str) -> Attempt:
        """Connect to an endpoint. Raises AllFailed."""
        found = _ENDPOINT.fullmatch(endpoint)
        if found is None or not 0 < int(found["port"]) < 2**16:
            # Endpoints come from others: nothing but tcp, least of all an address within this process.
            raise AllFailed(f"{endpoint[:100]!r} is no tcp://HOST:PORT")
        if not is_key(key):
            raise AllFailed("the plan shows no valid key")
        host, port = found["host"], int(found["port"])
        if self._socks_proxy is not None or _is_literal(host):
            return await self._connect(host, port, key)
        try:
            # Not left to libzmq, which would hold up all connections while it asks for a name.
            addresses = await in_daemon_thread(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise AllFailed(f"{endpoint}: {error.strerror if isinstance(error, OSError) else error}") from error
        hosts = list(dict.fromkeys(_literal(str(address[4][0])) for address in addresses))[:MOST_ADDRESSES]
        return await self._race([partial(self._connect, literal, port, key) for literal in hosts])

    async def _connect(self, host: str, port: int, key: str) -> Attempt:
        address = f"tcp://{host}:{port}"
        tunnel = None
        if self._socks_proxy is not None:
            tunnel = Tunnel(*await socks.connect(self._socks_proxy, host, port))
            self._tunnels.add(tunnel)
            tunnel.on_end = self._tunnels.discard
            await tunnel.open()
        try:
            attempt = Attempt(dialling(self._context, self._keys, key, address), tunnel.address if tunnel else address)
        except zmq.ZMQError as error:
            raise AllFailed(f"{address}: {in_words(error)}") from error
        try:
            reason = await attempt.outcome
        except asyncio.CancelledError:
            attempt.close()
            raise
        if reason:
            attempt.close()
            raise AllFailed(f"{address}: {await _explained(reason, host, port)}")
        return attempt


async def _explained(reason: str, host: str, port: int) -> str:
    """libzmq does not say why a connection cannot be made; the system does when asked for it once more."""
    if reason != NO_CONNECTION:
        return reason
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        async with asyncio.timeout(DIAGNOSIS_SECONDS):
            with socket.socket(family, socket.SOCK_STREAM) as asking:
                asking.setblocking(False)
                await asyncio.get_running_loop().sock_connect(asking, (host.strip("[]"), port))
    except TimeoutError:
        return "time-out"
    except OSError as error:
        return os.strerror(error.errno).lower() if error.errno else str(error)
    return reason


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address
