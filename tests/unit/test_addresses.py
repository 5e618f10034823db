"""Where a machine can be dialled."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from distevod.addresses import MOST, advertised


@pytest.mark.parametrize("endpoint", ["tcp://10.1.2.3:5670", "tcp://a.example:1", "tcp://[fe80::1]:5"])
def test_an_address_of_its_own_is_advertised_as_it_is(endpoint: str) -> None:
    assert advertised(endpoint) == (endpoint,)


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "[::]"])
def test_every_address_becomes_those_of_this_machine_and_each_can_be_dialled(host: str) -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        endpoints = advertised(f"tcp://{host}:{port}")
        assert 1 <= len(endpoints) <= MOST
        assert len(set(endpoints)) == len(endpoints)
        for endpoint in endpoints:
            address, number = endpoint.removeprefix("tcp://").rsplit(":", 1)
            assert number == str(port)
            socket.create_connection((address, port), timeout=5).close()
        loopback = [ipaddress.ip_address(endpoint[6:].rsplit(":", 1)[0]).is_loopback for endpoint in endpoints]
        assert not any(loopback) or loopback == [True]
