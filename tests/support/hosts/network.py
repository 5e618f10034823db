"""Hosts on one bridge, and the faults of the lines between them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from distevo_ctl.hosts.bridge import GATEWAY, Bridge, Line
from distevo_ctl.hosts.bridge import NAME as BRIDGE
from distevo_ctl.hosts.groups import Group
from distevo_ctl.hosts.namespaces import Namespace
from tests.support.hosts import nat
from tests.support.hosts.delay import Delay
from tests.support.hosts.host import Host
from tests.support.hosts.leftovers import sweep

_QUEUE_MS = 200
"""What waits longer than this for a limited line is lost."""


class Network:
    """Hosts with addresses in 10.77.0.0/16, and nothing else that they could reach. Everything is removed at the end.

    Each network is apart from every other, so that two may use the same addresses at the same time. A line that
    drops packets drops them silently, on the side of the receiver: no sender sees an error, and no connection ends.
    """

    def __init__(self) -> None:
        self._lines: dict[Host, Line] = {}
        self._loss: dict[tuple[Host, Host], float] = {}
        self._limited: set[Host] = set()
        self._delays: dict[Host, Delay] = {}

    def __enter__(self) -> Self:
        sweep()
        with ExitStack() as self._stack:
            self._bridge = Bridge()
            self._stack.callback(self._bridge.close)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self._end_delays()

    def host(self, name: str, cpus: float | None = None) -> Host:
        """A host that all others reach. Its processes share `cpus` seconds of CPU in a second; None: no limit."""
        namespace = self._namespace(name)
        line = self._bridge.lay_line(namespace)
        return self._add(name, namespace, cpus, line, line.address)

    def nat_host(self, name: str, cpus: float | None = None) -> Host:
        """A host behind a router of its own that dials out and lets nothing in, which is proved at once."""
        namespace, router = self._namespace(name), self._namespace(f"{name}-router")
        line = self._bridge.lay_line(router)
        nat.lay_behind(router, namespace)
        host = self._add(name, namespace, cpus, line, nat.BEHIND)
        self.prove_nat(host)
        return host

    def isolated_host(self, name: str, cpus: float | None = None) -> Host:
        """A host that reaches nobody: all that it shares with others are files."""
        return self._add(name, self._namespace(name), cpus, None, "")

    def prove_nat(self, host: Host) -> None:
        """Show that a host dials out and lets nothing in. Raises AssertionError; takes 0.2 s."""
        nat.prove(host, self._bridge.namespace, GATEWAY)

    def cut(self, sender: Host, receiver: Host, *, is_one_way: bool = False) -> None:
        """Nothing gets from one to the other, nor back unless it is one way."""
        self._lose(1, [(sender, receiver)] if is_one_way else _both_ways(sender, receiver))

    def partition(self, *groups: Iterable[Host]) -> None:
        """Hosts of different groups are cut from each other; a host in none of them reaches all."""
        for one, other in itertools.combinations(map(list, groups), 2):
            self._lose(1, [pair for a, b in itertools.product(one, other) for pair in _both_ways(a, b)])

    def silence(self, host: Host) -> None:
        """Cut a host from all that are there now."""
        self.partition([host], [other for other in self._lines if other is not host])

    def lose(self, fraction: float, *hosts: Host) -> None:
        """Each packet between these hosts, or else between all, is lost with this probability, either way."""
        self._lose(fraction, itertools.permutations(hosts or self._lines, 2))

    def limit_rate(self, host: Host, bits_per_second: float) -> None:
        """No more than that, to and from the host each."""
        line = self._lines[host]
        burst = max(5_000, int(bits_per_second / 8 / 100))  # Bytes: three frames, or what 10 ms carry.
        limit = f"root tbf rate {int(bits_per_second)}bit burst {burst} latency {_QUEUE_MS}ms"
        self._bridge.namespace.tc(f"qdisc replace dev {line.port} {limit}")
        self._limited.add(host)
        line.end.tc(f"qdisc replace dev eth0 {limit}")

    def delay(self, host: Host, seconds: float) -> None:
        """All to and from the host comes that much later, so that a round trip takes twice that."""
        if host in self._delays:
            self._delays.pop(host).close()
        self._delays[host] = Delay(self._bridge.namespace, BRIDGE, self._lines[host].port, seconds)

    def heal(self) -> None:
        """End all cuts, losses, limits and delays."""
        receivers = {receiver for _, receiver in self._loss}
        self._loss.clear()
        for receiver in receivers:
            self._write_rules(receiver)
        for host in self._limited:
            self._bridge.namespace.tc(f"qdisc delete dev {self._lines[host].port} root")
            self._lines[host].end.tc("qdisc delete dev eth0 root")
        self._limited.clear()
        self._end_delays()

    def _namespace(self, label: str) -> Namespace:
        namespace = Namespace(label)
        self._stack.callback(namespace.close)
        return namespace

    def _add(self, name: str, namespace: Namespace, cpus: float | None, line: Line | None, own_address: str) -> Host:
        host = Host(name, namespace, Group(name), line.address if line else "", own_address)
        self._stack.callback(host.close)
        host.limit_cpu(cpus)
        if line:
            self._lines[host] = line
        return host

    def _lose(self, fraction: float, pairs: Iterable[tuple[Host, Host]]) -> None:
        """Set the loss from senders to receivers."""
        joined = [pair for pair in pairs if all(host in self._lines for host in pair)]
        self._loss |= dict.fromkeys(joined, fraction)
        for receiver in {receiver for _, receiver in joined}:
            self._write_rules(receiver)

    def _write_rules(self, receiver: Host) -> None:
        rules = [_rule(sender.address, loss) for (sender, to), loss in self._loss.items() if to is receiver]
        receiver.namespace.iptables("*filter", *rules, "COMMIT")

    def _end_delays(self) -> None:
        while self._delays:
            self._delays.popitem()[1].close()


def _both_ways(one: Host, other: Host) -> list[tuple[Host, Host]]:
    return [(one, other), (other, one)]


def _rule(source: str, loss: float) -> str:
    # In OUTPUT the sender would be told; in INPUT nobody is.
    chance = "" if loss == 1 else f"-m statistic --mode random --probability {loss} "
    return f"-A INPUT -s {source} {chance}-j DROP"
