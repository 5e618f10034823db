"""Cuts drop packets without a word, losses some of them, and limits and delays hold; all of it heals."""

from __future__ import annotations

import itertools
import socket
import time
from functools import partial
from threading import Thread

import pytest

from tests.hosts.sockets import (
    SOON,
    SURELY,
    arrives,
    can_dial,
    connection,
    dial,
    is_there,
    least,
    listen,
    mailboxes,
    round_trip,
)
from tests.support.hosts import Host, Network, requires_namespaces

pytestmark = requires_namespaces
Hosts = tuple[Host, Host, Host]


def test_each_host_reaches_the_others_and_nobody_else(hosts: Hosts) -> None:
    for one, other in itertools.permutations(hosts, 2):
        assert can_dial(one, other)
    a = hosts[0]
    with listen(a) as server:
        port = server.getsockname()[1]
        dial(a, "127.0.0.1", port).close()
        dial(a, a.address, port).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), SURELY)  # This machine's loopback is another one.
    with pytest.raises(TimeoutError):
        dial(a, "192.168.1.2", port, SOON)


def test_a_partition_is_silent_both_ways_and_heals(network: Network, hosts: Hosts) -> None:
    a, b, c = hosts
    with connection(a, c) as (near, far), connection(a, b) as (within, beside):
        assert arrives(near, far)
        assert arrives(far, near)
        network.partition([a, b], [c])
        assert not arrives(near, far)
        assert not arrives(far, near)
        for one, other in ((a, c), (c, b)):
            assert not can_dial(one, other)
        assert arrives(within, beside)
        assert can_dial(b, a)
        network.heal()
        assert is_there(far, b"now", SURELY)  # What was on its way is sent again: no end was told anything.
        assert is_there(near, b"now", SURELY)
        assert can_dial(a, c)


def test_a_cut_between_two(network: Network, hosts: Hosts) -> None:
    a, b, c = hosts
    network.cut(a, b)
    assert not can_dial(a, b)
    assert not can_dial(b, a)
    assert can_dial(a, c)
    assert can_dial(c, b)


def test_a_cut_one_way(network: Network, hosts: Hosts) -> None:
    a, b, _ = hosts
    with mailboxes(a, b) as (here, there):
        here.connect(there.getsockname())
        there.connect(here.getsockname())
        network.cut(a, b, is_one_way=True)
        assert not arrives(here, there)
        assert arrives(there, here)


def test_a_silent_host_reaches_nobody_while_the_others_do(network: Network, hosts: Hosts) -> None:
    a, b, c = hosts
    with connection(a, b) as (near, far):
        network.silence(b)
        assert not arrives(near, far)
        assert not can_dial(b, c)
        assert can_dial(a, c)
        assert can_dial(b, b)


def test_the_fraction_that_is_lost(network: Network, hosts: Hosts) -> None:
    a, b, c = hosts
    network.lose(0.3, a, b)
    assert count_lost(a, b, 1000) == pytest.approx(300, abs=75)  # Five standard deviations.
    assert count_lost(b, a, 1000) == pytest.approx(300, abs=75)
    assert count_lost(a, c, 1000) == 0
    network.heal()
    assert count_lost(a, b, 1000) == 0


def count_lost(sender: Host, receiver: Host, count: int) -> int:
    """How many of so many packets do not arrive."""
    with mailboxes(sender, receiver) as (here, there):
        received = 0
        for number in range(count):
            here.sendto(number.to_bytes(2), there.getsockname())
        # The last word is sent until it is heard, since it may be lost itself.
        there.settimeout(0.01)
        while True:
            try:
                if there.recv(2) == b"!":
                    return count - received
                received += 1
            except TimeoutError:
                here.sendto(b"!", there.getsockname())


@pytest.mark.parametrize("is_upwards", [False, True], ids=["down", "up"])
def test_the_rate_of_a_line(network: Network, hosts: Hosts, is_upwards: bool) -> None:
    a, b, _ = hosts
    with connection(a, b) as ends:
        source, target = ends if is_upwards else ends[::-1]
        send = partial(seconds_to_send, source, target, 500_000)
        assert least(send) < 0.2
        network.limit_rate(a, 8e6)
        assert least(send) == pytest.approx(0.5, rel=0.3)
        network.heal()
        assert least(send) < 0.2


def seconds_to_send(source: socket.socket, target: socket.socket, size: int) -> float:
    """Until all of it is received."""
    start = time.monotonic()
    sender = Thread(target=source.sendall, args=(bytes(size),))
    sender.start()
    while size:
        size -= len(target.recv(1 << 16))
    sender.join()
    return time.monotonic() - start


def test_the_delay_of_a_line(network: Network, hosts: Hosts) -> None:
    a, b, c = hosts
    with connection(a, b) as (near, far), connection(b, c) as others:
        network.delay(a, 0.05)
        assert least(partial(round_trip, near, far)) == pytest.approx(0.1, abs=0.04)
        assert least(partial(round_trip, *others)) < 0.04
        network.delay(a, 0.1)
        assert least(partial(round_trip, near, far)) == pytest.approx(0.2, abs=0.04)
        network.cut(a, b)
        assert not arrives(near, far)  # And no end is told.
        network.heal()
        assert is_there(far, b"now", SURELY)
    with connection(b, a) as ends:
        assert least(partial(round_trip, *ends)) < 0.04
