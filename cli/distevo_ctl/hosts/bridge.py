"""A bridge, and the lines that are laid from it to other namespaces."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from distevo_ctl.hosts.namespaces import Namespace

GATEWAY = "10.77.0.1"
"""The bridge itself. It forwards nothing, so what is sent to an address that no host has is lost without a word."""
NAME = "bridge0"


class Line(NamedTuple):
    """From a port of the bridge to `eth0` of a host or of the router before it."""

    port: str
    end: Namespace
    address: str


class Bridge:
    """A namespace with a bridge in it: hosts with addresses in 10.77.0.0/16, and nothing else that they could reach.

    Each bridge is apart from every other, so that two may use the same addresses at the same time.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(2)
        self.namespace = Namespace("bridge")
        try:
            self.namespace.ip(
                f"link add {NAME} address 02:00:00:00:00:01 type bridge",  # Or it would be that of some port.
                f"address add {GATEWAY}/16 dev {NAME}",
                f"link set {NAME} up",
            )
        except BaseException:
            self.close()
            raise

    def lay_line(self, end: Namespace) -> Line:
        """Join a namespace, under the next address."""
        number = next(self._numbers)
        line = Line(f"port{number}", end, f"10.77.{number >> 8}.{number & 255}")
        self.namespace.ip(
            f"link add {line.port} type veth peer name eth0 netns {end.name}",
            f"link set {line.port} master {NAME} up",
        )
        end.ip(f"address add {line.address}/16 dev eth0", "link set eth0 up", f"route add default via {GATEWAY}")
        return line

    def close(self) -> None:
        """Remove it, and with it all lines."""
        self.namespace.close()
