"""A network for each module, and a cluster of three with links."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import LISTENING, Cluster, within
from tests.support.hosts import Network

CPUS = 0.5


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture(scope="module")
def shared(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Platforms a, b and c with links, of which `a` coordinates first, for all tests of a module."""
    with Cluster(tmp_path_factory.mktemp("cluster"), *LISTENING) as cluster:
        for name in "abc":
            cluster.start(network.host(name, CPUS))
            if name == "a":
                within(10, lambda: cluster.coordinators("a") == {"a"}, "a coordinator")
        yield cluster


@pytest.fixture
def three(shared: Cluster, network: Network) -> Cluster:
    """The cluster whole, with nothing to do, whatever the test before has left of it."""
    network.heal()
    shared.revive()
    return shared
