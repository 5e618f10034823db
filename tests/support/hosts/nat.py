"""A router with NAT, and the proof that it is one."""

from __future__ import annotations

import socket

from distevo_ctl.hosts.namespaces import Namespace
from tests.support.hosts.host import Host

ROUTER, BEHIND = "192.168.1.1", "192.168.1.2"
"""The same private addresses behind every router, as at home: nobody else can do anything with them."""

RULES = (
    "*filter",
    ":INPUT DROP",
    ":FORWARD DROP",
    "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    "-A FORWARD -i lan -j ACCEPT",
    "COMMIT",
    "*nat",
    "-A POSTROUTING -o eth0 -j MASQUERADE",
    "COMMIT",
)


def lay_behind(router: Namespace, inside: Namespace) -> None:
    """Join `inside` to a router that is already joined to the rest by `eth0`; who dials it gets no answer at all."""
    router.ip(
        f"link add lan type veth peer name eth0 netns {inside.name}",
        f"address add {ROUTER}/24 dev lan",
        "link set lan up",
    )
    inside.ip(f"address add {BEHIND}/24 dev eth0", "link set eth0 up", f"route add default via {ROUTER}")
    router.sysctl("net/ipv4/ip_forward", 1)
    router.iptables(*RULES)


def prove(host: Host, outside: Namespace, address: str, patience: float = 0.1) -> None:
    """Show that `host` reaches `address` in `outside` and that nothing from there gets in. Raises AssertionError.

    `patience` is how long a connection may take; without NAT it takes less than a millisecond.
    """
    with outside.entered():
        listener = socket.create_server((address, 0))
    with host.entered():
        inner = socket.create_server(("0.0.0.0", 0))
        out = socket.create_connection(listener.getsockname(), 5)
    inner_port = inner.getsockname()[1]
    with listener, inner, out:
        listener.settimeout(5)
        inner.settimeout(5)
        accepted, (seen, mapped_port) = listener.accept()
        with accepted:
            accepted.settimeout(5)
            assert seen == host.address != host.own_address, f"{host.name} is seen as {seen}"
            for target in ((host.address, inner_port), (host.address, mapped_port), (host.own_address, inner_port)):
                with outside.entered():
                    assert not _connects(target, patience), f"{host.name} lets a connection to {target} in"
            for one, other in ((out, accepted), (accepted, out)):
                one.sendall(b"through")
                assert other.recv(7) == b"through"
        with host.entered():
            assert _connects(("127.0.0.1", inner_port), 5), "the port that was dialled was not open"
        knock, (source, _) = inner.accept()
        knock.close()
        assert source == "127.0.0.1", f"{source} got in to {host.name}"


def _connects(target: tuple[str, int], patience: float) -> bool:
    """Whether somebody accepts there; refused, unreachable and silent are all the same."""
    try:
        socket.create_connection(target, patience).close()
    except OSError:
        return False
    return True
