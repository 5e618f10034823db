"""Platforms that nobody can dial, or that reach nobody: through a relay, and by mail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import CPUS
from tests.support.cluster import EASY, LISTENING, SLOW, Cluster, within
from tests.support.hosts import Network, requires_namespaces
from tests.support.told import FOUND

pytestmark = requires_namespaces
MUTE = ("--listen", "none")
"""A notebook's setting."""


@pytest.fixture(scope="module")
def notebooks(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """`n` and `m` behind routers, and a relay `r`, all that they can dial; the tests share them in their order."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.start(network.host("r", CPUS), *LISTENING)
        within(10, lambda: cluster.coordinators("r") == {"r"}, "a coordinator")
        for name in "nm":
            cluster.start(network.nat_host(name, CPUS), *MUTE)
        cluster.wait_members(dict.fromkeys("rnm", "alive"))
        yield cluster


def paths(cluster: Cluster, one: str, other: str) -> set[str]:
    """The paths between two, as each has it."""
    return {cluster.members(one, "path")[other], cluster.members(other, "path")[one]}


def accepted(cluster: Cluster, source: str, target: str) -> int:
    """Programs that islands of a member have sent and islands of another one have taken."""
    sources, targets = cluster.owned(source), cluster.owned(target)
    return sum(
        edge["accepted"]
        for edge in cluster.daemons[source].status()["migrations"]
        if any((edge["task"], edge["source"]) == (i.task, i.island) and edge["run"] == i.run for i in sources)
        and any((edge["task"], edge["target"]) == (i.task, i.island) and edge["run"] == i.run for i in targets)
    )


def test_two_behind_nat_reach_each_other_through_a_relay(notebooks: Cluster) -> None:
    within(10, lambda: paths(notebooks, "n", "m") == {"via r"}, "the path through the relay")
    assert paths(notebooks, "n", "r") == paths(notebooks, "m", "r") == {"direct"}
    topology = {"topology": "fully_connected", "interval": 2}
    run = notebooks.submit("n", data={"t": SLOW}, islands_per_task=3, migration=topology)
    notebooks.wait_working("rnm", 10)
    for source, target in ("nm", "mn", "nr", "rm"):
        within(10, lambda: accepted(notebooks, source, target), f"programs of {source} on {target}")  # noqa: B023
    assert paths(notebooks, "n", "m") == {"via r"}
    notebooks.finish(run, *"rnm")


def test_an_isolated_platform_takes_part_by_mail(notebooks: Cluster, network: Network) -> None:
    notebooks.start(network.isolated_host("i", CPUS), *MUTE)
    within(15, lambda: notebooks.members("r").get("i") == "alive", "the isolated to be taken in")
    notes = notebooks.folder / "notes.t"
    data = {"t": {"path": str(notes), "cost": 0.002}}
    run = notebooks.submit("r", reference="tests.support.told:Told", data=data, islands_per_task=4)
    notebooks.wait_working("rnmi", 15)
    # Now and then another path is tried, until it is refused.
    within(10, lambda: set().union(*(paths(notebooks, "i", other) for other in "rnm")) == {"mail"}, "mail to all")
    (notebooks.folder / "i" / "find.t").touch()
    for member in "rnmi":
        assert notebooks.daemons[member].wait_done(run, 15)["fit"] == 1
    assert notebooks.results(run, *"rnmi")["t"]["program"] == str(FOUND)
    assert notebooks.daemons["i"].stop(5) == 0
    within(10, lambda: notebooks.members("n")["i"] == "left", "the end of it to be known")


def test_the_relay_dies(notebooks: Cluster, network: Network) -> None:
    run = notebooks.submit("m")
    notebooks.wait_working("rnm", 10)
    orphans = notebooks.owned("r")
    notebooks.note_durable(run)
    notebooks.kill("r")
    within(20, lambda: paths(notebooks, "n", "m") == {"mail"}, "the path by mail")
    within(20, lambda: notebooks.record().holder in {"n", "m"}, "another coordinator")
    notebooks.wait_working("nm", 20, orphans)
    for member, other in ("nm", "mn"):
        within(10, lambda: notebooks.members(member)["r"] == "dead", "the death to be known")  # noqa: B023
        within(10, lambda: notebooks.members(member)[other] == "alive", "the other to be alive")  # noqa: B023
    notebooks.start(network.host("s", CPUS), *LISTENING)
    within(20, lambda: paths(notebooks, "n", "m") == {"via s"}, "the path through another relay")
    within(10, lambda: notebooks.owned("s"), "work for the new relay")
    notebooks.wait_working("nms", 10)
    notebooks.finish(run, *"nms")


def test_all_are_isolated(network: Network, tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        for name in "xy":
            cluster.start(network.isolated_host(name, CPUS), *LISTENING)
            if name == "x":
                within(10, lambda: cluster.coordinators("x") == {"x"}, "a coordinator")
        cluster.wait_members(dict.fromkeys("xy", "alive"))
        assert paths(cluster, "x", "y") == {"mail"}
        run = cluster.submit("x", data={"t": SLOW}, migration={"interval": 2})
        confirmed = cluster.submit("y", **EASY)
        cluster.wait_working("xy", 15, {island for island in cluster.places() if island.run == run})
        for source, target in ("xy", "yx"):
            within(15, lambda: accepted(cluster, source, target), f"programs of {source} on {target}")  # noqa: B023
        cluster.finish(run, *"xy")
        for member in "xy":
            assert cluster.daemons[member].wait_done(confirmed, 20)["fit"] == 1
        assert paths(cluster, "x", "y") == {"mail"}
