"""A host behind NAT dials out and lets nothing in, which is proved; an isolated one reaches nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.sockets import SOON, SURELY, arrives, can_dial, connection, dial, is_there, listen
from tests.support.hosts import Host, Network, nat, requires_namespaces

pytestmark = requires_namespaces
Hosts = tuple[Host, Host, Host]

PORT_FORWARDING = (
    "*filter",
    "COMMIT",
    "*nat",
    "-A POSTROUTING -o eth0 -j MASQUERADE",
    f"-A PREROUTING -i eth0 -p tcp -j DNAT --to-destination {nat.BEHIND}",
    "COMMIT",
)


@pytest.fixture(scope="module")
def notebook(network: Network) -> Host:
    return network.nat_host("notebook")


def test_a_notebook_dials_out_and_answers_come_back(network: Network, hosts: Hosts, notebook: Host) -> None:
    network.prove_nat(notebook)
    server = hosts[0]
    with connection(notebook, server) as (near, far):
        assert far.getpeername()[0] == notebook.address != notebook.own_address == near.getsockname()[0]
        assert arrives(near, far)
        assert arrives(far, near)


def test_nothing_gets_in_to_a_notebook(network: Network, hosts: Hosts, notebook: Host) -> None:
    other = network.nat_host("other")
    assert other.own_address == notebook.own_address
    assert other.address != notebook.address
    with listen(notebook) as server:
        port = server.getsockname()[1]
        for host in (hosts[0], other):
            with pytest.raises(TimeoutError):
                dial(host, notebook.address, port, SOON)
        with pytest.raises(TimeoutError):
            dial(hosts[0], notebook.own_address, port, SOON)
        with pytest.raises(ConnectionRefusedError):
            dial(other, notebook.own_address, port, SURELY)  # It dials itself: its own address is the same.


def test_the_proof_fails_for_a_host_that_is_open(
    network: Network, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError, match=f"a is seen as {hosts[0].address}"):
        network.prove_nat(hosts[0])
    monkeypatch.setattr(nat, "RULES", PORT_FORWARDING)
    with pytest.raises(AssertionError, match=r"forwarded lets a connection to .* in"):
        network.nat_host("forwarded")


def test_a_notebook_is_cut_like_the_others(network: Network, hosts: Hosts, notebook: Host) -> None:
    a, b, _ = hosts
    with connection(notebook, a) as (near, far):
        network.cut(notebook, a)
        assert not arrives(near, far)
        assert not arrives(far, near)
        assert can_dial(notebook, b)
        network.silence(notebook)
        assert not can_dial(notebook, b)
        network.heal()
        assert is_there(far, b"now", SURELY)
        assert is_there(near, b"now", SURELY)


def test_an_isolated_host_shares_nothing_but_files(network: Network, hosts: Hosts, tmp_path: Path) -> None:
    alone = network.isolated_host("alone")
    assert alone.address == ""
    with listen(hosts[0]) as server:
        port = server.getsockname()[1]
        with pytest.raises(OSError, match="Network is unreachable"):
            dial(alone, hosts[0].address, port)
    with listen(alone) as server:
        dial(alone, "127.0.0.1", server.getsockname()[1]).close()
    alone.run("cp", "/proc/net/dev", str(tmp_path / "file"))
    devices = [line.split(":")[0].strip() for line in (tmp_path / "file").read_text().splitlines()[2:]]
    assert "lo" in devices
    assert "eth0" not in devices
