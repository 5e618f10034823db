"""Clusters on a bucket, 50 ms away: each kind of fault of a store, in the middle of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import CPUS
from tests.support.bucket_cluster import BucketCluster
from tests.support.cluster import EASY, LISTENING, ROOMY, within
from tests.support.gcs import Emulator
from tests.support.hosts import Network, requires_namespaces

pytestmark = requires_namespaces
ALL = ("a", "b", "c")
TTL = 5.0


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def shared(network: Network, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketCluster]:
    with BucketCluster(tmp_path_factory.mktemp("bucket"), network, emulator, *LISTENING) as cluster:
        for name in ALL:
            cluster.start(network.host(name, CPUS))
        cluster.wait_members(dict.fromkeys(ALL, "alive"))
        yield cluster


@pytest.fixture
def three(shared: BucketCluster, network: Network) -> BucketCluster:
    """The cluster whole, with nothing to do, whatever the test before has left of it."""
    network.heal()
    shared.proxy.faults.clear()
    shared.revive()
    return shared


def test_the_coordinator_is_killed(three: BucketCluster) -> None:
    *rest, victim = three.followers_first()
    run = three.submit(victim, **ROOMY)
    three.wait_working(ALL, 15)
    epoch, orphans = three.record().epoch, three.owned(victim)
    three.note_durable(run)
    confirmed = three.submit(victim, **EASY)
    three.kill(victim)
    within(10, lambda: three.record().holder in rest, "another coordinator")
    three.wait_working(rest, 15, orphans)
    assert three.record().epoch == epoch + 1
    three.finish(run, *rest)
    assert three.daemons[rest[0]].wait_done(confirmed)["fit"] == 1


FAULTS = {
    "lost answers": [("lose", {})],
    "answers that are untrue": [("refuse_done", {"status": 503}), ("refuse_done", {"status": 429})],
    "late writes": [("late", {"method": "POST", "seconds": 3.0})],
    "refusals": [("refuse", {"status": 503}), ("refuse", {"status": 429}), ("refuse", {"status": 500})],
    "stalls": [("stall", {"seconds": 4.0})],
    "damage": [("truncate", {"method": "GET"}), ("flip", {"method": "GET"})],
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_run_among_faults(kind: str, three: BucketCluster) -> None:
    """One request in eight goes wrong; the cluster works, takes runs in, and loses nothing that it confirmed."""
    for name, fields in FAULTS[kind]:
        three.proxy.fault(name, probability=0.125 / len(FAULTS[kind]), times=10**9, **fields)
    run = three.submit("b", **ROOMY)
    three.wait_working(ALL, 40)
    confirmed = three.submit("c", **EASY)
    three.note_durable(run)
    three.daemons["a"].ask(do="command", verb="cancel", run=run)
    for member in ALL:
        assert three.daemons[member].wait_done(confirmed, 40)["fit"] == 1
    three.proxy.faults.clear()
    three.wait_members(dict.fromkeys(ALL, "alive"), 40)
    within(20, lambda: three.coordinators(*ALL) == {three.record().holder}, "all to follow one coordinator")
    three.judge(run, *ALL)


def test_the_bucket_is_away_for_all(three: BucketCluster) -> None:
    run = three.submit("a", **ROOMY)
    three.wait_working(ALL, 15)
    three.note_durable(run)
    before = {island: held[0].generation for island, held in three.in_hand(ALL).items()}
    three.proxy.fault("refuse", times=10**9)
    within(3 * TTL, lambda: three.coordinators(*ALL) == {None}, "the lease to run out")
    within(10, lambda: all(h[0].generation > before[i] + 20 for i, h in three.in_hand(ALL).items()), "work to go on")
    three.proxy.faults.clear()
    within(30, lambda: three.coordinators(*ALL) == {three.record().holder}, "one coordinator")
    three.wait_members(dict.fromkeys(ALL, "alive"), 40)
    three.wait_working(ALL, 20)
    three.finish(run, *ALL)


def test_the_bucket_is_out_of_reach_for_the_coordinator(three: BucketCluster) -> None:
    *rest, alone = three.followers_first()
    run = three.submit(rest[0], **ROOMY)
    three.wait_working(ALL, 15)
    epoch = three.record().epoch
    three.note_durable(run)
    three.cut_store(alone)
    within(5 * TTL, lambda: three.record().holder in rest, "another coordinator")
    assert three.record().epoch == epoch + 1
    three.mend_store(alone)
    within(30, lambda: three.coordinators(*ALL) == {three.record().holder}, "one coordinator")
    three.wait_working(ALL, 20)
    three.finish(run, *ALL)


def test_all_are_killed_and_others_finish_the_run(network: Network, emulator: Emulator, tmp_path: Path) -> None:
    with BucketCluster(tmp_path, network, emulator, *LISTENING) as cluster:
        for name in ("p", "q", "r"):
            cluster.start(network.host(name, CPUS))
        cluster.wait_members(dict.fromkeys("pqr", "alive"))
        run = cluster.submit("p")
        confirmed = cluster.submit("q", **EASY)
        cluster.wait_working("pqr", 15, {island for island in cluster.places() if island.run == run})
        within(10, lambda: len(cluster.store.list("checkpoints/")) >= 3, "checkpoints")
        cluster.note_durable(run)
        islands = set(cluster.places())
        for name in "pqr":
            cluster.kill(name)
        for name in "st":
            cluster.start(network.host(name, CPUS))
        cluster.wait_working("st", 60, {island for island in islands if island.run == run})
        cluster.finish(run, "s", "t")
        assert cluster.daemons["t"].wait_done(confirmed)["fit"] == 1
