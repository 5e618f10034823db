"""Where a machine can be dialled."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import pytest

from distevod import addresses
from distevod.addresses import MOST, advertised

IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000000000000000000a 02 40 20 80     eth0
20010db8000000000000000000000005 02 40 00 80     eth0
"""


@pytest.mark.parametrize("endpoint", ["tcp://10.1.2.3:5670", "tcp://a.example:1", "tcp://[fe80::1]:5"])
def test_an_address_of_its_own_is_advertised_as_it_is(endpoint: str) -> None:
    assert advertised(endpoint) == (endpoint,)


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "[::]"])
def test_every_address_becomes_those_of_this_machine_and_each_can_be_dialled(host: str) -> None:
    is_dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if is_dual else socket.AF_INET
    with socket.create_server(("", 0), family=family, dualstack_ipv6=is_dual) as server:
        port = server.getsockname()[1]
        endpoints = advertised(f"tcp://{host}:{port}")
        assert 1 <= len(endpoints) <= MOST
        assert len(set(endpoints)) == len(endpoints)
        for endpoint in endpoints:
            address, number = endpoint.removeprefix("tcp://").rsplit(":", 1)
            assert number == str(port)
            socket.create_connection((address.strip("[]"), port), timeout=5).close()
        hosts = [endpoint.removeprefix("tcp://").rsplit(":", 1)[0].strip("[]") for endpoint in endpoints]
        loopback = [ipaddress.ip_address(host).is_loopback for host in hosts]
        assert not any(loopback) or loopback == [True]


def test_a_machine_with_ipv6_alone_advertises_what_others_can_dial(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "if_inet6").write_text(IF_INET6)
    monkeypatch.setattr(addresses, "IF_INET6", tmp_path / "if_inet6")
    monkeypatch.setattr(addresses, "_ipv4", lambda: ["127.0.0.1"])
    assert advertised("tcp://*:5") == ("tcp://[2001:db8::5]:5",)
    assert advertised("tcp://0.0.0.0:5") == ("tcp://127.0.0.1:5",)
    (tmp_path / "if_inet6").unlink()
    assert advertised("tcp://*:5") == ("tcp://127.0.0.1:5",)
