"""A network for each module, healed after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Host, Network


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture(scope="module")
def three(network: Network) -> tuple[Host, Host, Host]:
    return network.host("a"), network.host("b"), network.host("c")


@pytest.fixture
def hosts(network: Network, three: tuple[Host, Host, Host]) -> Iterator[tuple[Host, Host, Host]]:
    """Three hosts that reach each other."""
    yield three
    network.heal()
