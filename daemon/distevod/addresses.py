"""Where this machine can be dialled: the addresses of its interfaces. Linux; no name is looked up."""

from __future__ import annotations

import fcntl
import socket
import struct

SIOCGIFADDR = 0x8915
"""ioctl: the IPv4 address of an interface (netdevice(7))."""
SOMEWHERE = ("192.0.2.1", 9)
"""An address for documentation (RFC 5737): nothing is sent there, only its route is asked for."""
MOST = 4


def advertised(endpoint: str) -> tuple[str, ...]:
    """Endpoints at which others can dial who listens at `endpoint`: itself, or if that is every address, each of
    this machine's, that of the default route first; the loopback only where there is no other."""
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    if host not in {"*", "0.0.0.0", "[::]"}:
        return (endpoint,)
    return tuple(f"tcp://{address}:{port}" for address in _addresses())


def _addresses() -> list[str]:
    found = [_routed(), *(_address(name) for _, name in socket.if_nameindex())]
    known = list(dict.fromkeys(address for address in found if address))
    return [address for address in known if not address.startswith("127.")][:MOST] or known[:1]


def _routed() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(SOMEWHERE)
        except OSError:
            return None  # No route leads out.
        return str(asking.getsockname()[0])


def _address(interface: str) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, SIOCGIFADDR, struct.pack("16s240x", interface.encode()))
        except OSError:
            return None  # Without an IPv4 address.
    return socket.inet_ntoa(answer[20:24])
