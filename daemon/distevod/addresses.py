"""Where this machine can be dialled: the addresses of its interfaces. Linux; no name is looked up."""

from __future__ import annotations

import fcntl
import socket
import struct
from itertools import zip_longest
from pathlib import Path

SIOCGIFADDR = 0x8915
"""ioctl: the IPv4 address of an interface (netdevice(7))."""
IF_INET6 = Path("/proc/net/if_inet6")
"""The IPv6 addresses of all interfaces: address, interface, length of the prefix, scope, flags (all in hex), name."""
GLOBAL_SCOPE = "00"
SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation (RFC 5737, 3849): nothing is sent there, only the route is asked for."""
MOST = 4


def advertised(endpoint: str) -> tuple[str, ...]:
    """Endpoints at which others can dial who listens at `endpoint`: itself, or if that is every address, each of
    this machine's, those of the default routes first; the loopback only where there is no other."""
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    if host not in {"*", "0.0.0.0", "[::]"}:
        return (endpoint,)
    return tuple(f"tcp://{address}:{port}" for address in _addresses(is_dual=host != "0.0.0.0"))


def _addresses(is_dual: bool) -> list[str]:
    families = zip_longest(_ipv4(), _ipv6() if is_dual else ())
    known = list(dict.fromkeys(address for both in families for address in both if address))
    return [address for address in known if not address.startswith("127.")][:MOST] or known[:1]


def _ipv4() -> list[str]:
    found = [_routed(socket.AF_INET), *(_address(name) for _, name in socket.if_nameindex())]
    return [address for address in found if address]


def _ipv6() -> list[str]:
    """Those that mean the same on every link."""
    try:
        lines = [line.split() for line in IF_INET6.read_text().splitlines()]
    except OSError:
        return []  # A kernel without IPv6.
    found = [bytes.fromhex(address) for address, _, _, scope, *_ in lines if scope == GLOBAL_SCOPE]
    routed = _routed(socket.AF_INET6)
    known = sorted((socket.inet_ntop(socket.AF_INET6, address) for address in found), key=lambda each: each != routed)
    return [f"[{address}]" for address in known]


def _routed(family: socket.AddressFamily) -> str | None:
    """This machine's address on the default route."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((SOMEWHERE[family], 9))
            return str(asking.getsockname()[0])
    except OSError:
        return None  # No route leads out, or there is no such family here.


def _address(interface: str) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, SIOCGIFADDR, struct.pack("16s240x", interface.encode()))
        except OSError:
            return None  # Without an IPv4 address.
    return socket.inet_ntoa(answer[20:24])
