"""Hosts of their own on one machine: network namespaces joined by a bridge, each with a fixed part of the CPU.

    with Network() as network:
        a, b, notebook = network.host("a", cpus=0.5), network.host("b"), network.nat_host("notebook")
        with a.daemon(folder / "a"), b.daemon(folder / "b"):
            network.cut(a, b)
            ...
            network.heal()

Needs root, iproute2, iptables and util-linux; a test that uses it carries `@requires_namespaces`. All of it is inside
this machine: no namespace is joined to the machine's own network. In the reading order: `network`, `host`, `nat`,
`delay`, then what they stand on: `namespaces`, `groups`, `leftovers`, `owners`, `tools`; and apart from these `disks`
and `requirements`.
"""

from tests.support.hosts.disks import Disk, full_disk
from tests.support.hosts.host import Host
from tests.support.hosts.leftovers import sweep
from tests.support.hosts.network import Network
from tests.support.hosts.requirements import requires_namespaces

__all__ = ["Disk", "Host", "Network", "full_disk", "requires_namespaces", "sweep"]
