"""The store is away, or its disk is full, in the middle of a run: work goes on under the plan in force.

Nothing is decided meanwhile, and whoever asks for a decision is told so. With the store back one coordinates.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import pytest

from distevo.outbox import LONGEST_RETRY_SECONDS
from tests.cluster.conftest import CPUS
from tests.support.cluster import EASY, LISTENING, ROOMY, SLOW, Cluster, within
from tests.support.daemon import DaemonError
from tests.support.hosts import Network, full_disk, requires_namespaces

pytestmark = requires_namespaces
ALL = ("a", "b", "c")
ALIVE = dict.fromkeys(ALL, "alive")
TTL = 5.0
"""Of the lease, in these clusters."""
RECOVERY = LONGEST_RETRY_SECONDS + TTL
"""So long after the store is back somebody coordinates, however long it was away."""
AWAY = "its store does not answer"
"""What a platform notes of a run that it could not begin."""
BUSY = {"migration": {"interval": 3}}
"""Of a run whose programs leave often."""
log = logging.getLogger(__name__)


def arrived(cluster: Cluster, member: str) -> int:
    """Programs of islands of this member that islands elsewhere have answered for: in time they know most of them."""
    edges = cluster.daemons[member].status()["migrations"]
    return sum(edge["accepted"] + edge["known"] for edge in edges if edge["owner"].rpartition("-")[0] != member)


def migration_goes_on(cluster: Cluster, members: Collection[str], seconds: float = 10) -> None:
    """Wait until more programs of each of these have arrived elsewhere."""
    before = {member: arrived(cluster, member) for member in members}
    within(seconds, lambda: all(arrived(cluster, m) > before[m] for m in members), "programs to travel")


def unrenewed_seconds(cluster: Cluster, member: str) -> float:
    """For how long a member has not seen the lease renewed."""
    return cluster.scrape(member).figure("lease_unchanged_seconds")


def coordinator_by(cluster: Cluster, member: str) -> set[str]:
    """Who coordinates, as a member sees it; nobody once the lease has run out."""
    return {name for name in cluster.coordinators(member) if name is not None}


def evolving(cluster: Cluster, member: str) -> float:
    """How many islands a member is evolving."""
    return cluster.scrape(member).figure("islands", stage="evolving")


def checkpoints(cluster: Cluster, member: str) -> int:
    """How many a member has written."""
    return int(cluster.daemons[member].status()["checkpoints"]["saved"])


def notes(cluster: Cluster, member: str) -> set[str]:
    """What a member notes of runs."""
    return {run["note"] for run in cluster.daemons[member].status()["runs"]}


def submission_is_refused(cluster: Cluster, member: str, message: str) -> None:
    """A run that cannot be kept is refused."""
    with pytest.raises(DaemonError, match=message) as refused:
        cluster.submit(member, run="refused")
    assert refused.value.kind == "store_unavailable"


def command_is_refused(cluster: Cluster, member: str, message: str) -> None:
    """A command that cannot be kept is refused."""
    with pytest.raises(DaemonError, match=message) as refused:
        cluster.daemons[member].ask(do="command", verb="drain", member="b")
    assert refused.value.kind == "store_unavailable"


def test_the_store_is_away_for_all(three: Cluster) -> None:
    run = three.submit("a", **BUSY)
    three.wait_working(ALL, 10)
    three.wait_durable(run)
    for member in ALL:
        three.cut_store(member)
    within(TTL + 5, lambda: all(not coordinator_by(three, m) for m in ALL), "the coordinator to step down")
    before = three.record()
    for member in ALL:
        submission_is_refused(three, member, "store")
        command_is_refused(three, member, "store")
    within(4 * TTL, lambda: all(unrenewed_seconds(three, m) > 3 * TTL for m in ALL), "a long time without the store")
    assert three.record() == before
    three.wait_members(ALIVE, 0)
    three.wait_working(ALL, 10)
    migration_goes_on(three, ALL)
    for member in ALL:
        three.mend_store(member)
    within(RECOVERY, lambda: len(coordinator_by(three, "a")) == 1, "a coordinator")
    within(TTL + 5, lambda: len({frozenset(coordinator_by(three, m)) for m in ALL}) == 1, "all to follow it")
    log.info("epoch %d after %d", three.record().epoch, before.epoch)
    assert three.record().epoch <= before.epoch + 1
    three.wait_members(ALIVE)
    three.wait_working(ALL, 10)
    migration_goes_on(three, ALL)
    assert "refused" not in three.plan().runs
    three.finish(run, *ALL)


def test_the_store_is_away_for_the_coordinator_alone(three: Cluster) -> None:
    *others, alone = three.followers_first()
    run = three.submit(alone, **ROOMY | {"migration": BUSY["migration"]})
    three.wait_working(ALL, 10)
    three.wait_durable(run)
    epoch = three.record().epoch
    three.cut_store(alone)
    submission_is_refused(three, alone, "store")
    within(2 * TTL + 5, lambda: three.record().holder in others, "another coordinator")
    assert three.record().epoch == epoch + 1
    within(5, lambda: not coordinator_by(three, alone), "the former one to have stepped down")
    three.wait_members(ALIVE)
    three.wait_working(ALL, 10)
    migration_goes_on(three, ALL)
    confirmed = three.submit(others[0], **EASY)
    three.mend_store(alone)
    within(RECOVERY, lambda: coordinator_by(three, alone) == {three.record().holder}, "the former one to follow")
    assert three.record().epoch == epoch + 1
    three.wait_working(ALL, 10, {island for island in three.places() if island.run == run})
    three.finish(run, *ALL)
    assert three.daemons[others[0]].wait_done(confirmed)["fit"] == 1


def test_the_store_is_away_for_all_but_the_coordinator(three: Cluster) -> None:
    *blind, coordinator = three.followers_first()
    run = three.submit(coordinator, **BUSY)
    three.wait_working(ALL, 10)
    three.wait_durable(run)
    before = three.record()
    for member in blind:
        three.cut_store(member)
    within(2 * TTL, lambda: all(unrenewed_seconds(three, m) > TTL for m in blind), "both to miss the store")
    # What is decided now reaches them over links, from the holder of the lease itself.
    for verb, state in (("pause", "paused"), ("resume", "running")):
        three.daemons[coordinator].ask(do="command", verb=verb, run=run)
        within(10, lambda: {three.daemons[m].run(run)["state"] for m in ALL} == {state}, f"all to {verb}")  # noqa: B023
        within(5, lambda: {evolving(three, m) > 0 for m in ALL} == {verb == "resume"}, f"{verb} at work")  # noqa: B023
    three.wait_working(ALL, 10)
    migration_goes_on(three, ALL)
    for member in blind:
        three.mend_store(member)
    assert (three.record().epoch, three.record().holder) == (before.epoch, before.holder)
    three.wait_working(ALL, 10)
    three.finish(run, *ALL)


def test_nothing_new_waits_for_a_platform_that_has_lost_the_store(three: Cluster) -> None:
    blind, *rest = three.followers_first()
    three.cut_store(blind)
    within(2 * TTL, lambda: unrenewed_seconds(three, blind) > TTL, "it to miss the store")
    # It lives, and has links; so it is given islands of this one, which fills all places that there are, and is over
    # when all its islands are.
    run = three.submit(rest[0], data={"t": SLOW}, islands_per_task=6, evaluations=3000)
    within(10, lambda: AWAY in notes(three, blind), "the blind one to say that it cannot begin")
    assert three.daemons[rest[0]].wait_done(run, 20)["tasks_done"] == 1
    three.wait_members(ALIVE)
    three.mend_store(blind)
    within(RECOVERY, lambda: AWAY not in notes(three, blind), "it to take back what it said")
    next_run = three.submit(rest[0], **BUSY)
    within(10, lambda: three.owned(blind), "the one that sees again to have work")
    three.wait_working(ALL, 10)
    three.results(run, *ALL)
    three.wait_durable(next_run)
    three.finish(next_run, *ALL)


def test_a_disk_is_full_on_one_platform(network: Network, tmp_path: Path) -> None:
    """On the one with its state folder, its log, and what it submits; its way to the store is whole."""
    with full_disk(tmp_path / "b", mib=1) as disk, Cluster(tmp_path, *LISTENING) as cluster:
        cluster.start(network.host("a", CPUS))
        within(10, lambda: cluster.coordinators("a") == {"a"}, "a coordinator")
        cluster.start(network.host("b", CPUS))
        cluster.wait_members(dict.fromkeys("ab", "alive"))
        # Not through `b`: a second note of a submission might find room in the file of the first.
        run = cluster.submit("a", **ROOMY | {"islands_per_task": 2})
        cluster.wait_working("ab", 10)
        cluster.wait_durable(run)
        epoch = cluster.record().epoch
        disk.fill()
        submission_is_refused(cluster, "b", r"cannot write .*; make room there")
        saved = checkpoints(cluster, "b")
        within(10, lambda: checkpoints(cluster, "b") > saved + 1, "checkpoints in the store")
        cluster.kill("a")
        within(15, lambda: cluster.record().holder == "b", "another coordinator")
        cluster.wait_working("b", 10)
        disk.free()
        cluster.daemons["a"].start()
        cluster.wait_members(dict.fromkeys("ab", "alive"))
        within(10, lambda: cluster.owned("a"), "work for the one that is back")
        cluster.wait_working("ab", 10)
        assert cluster.record().epoch == epoch + 1
        confirmed = cluster.submit("b", **EASY)
        cluster.finish(run, *"ab")
        assert cluster.daemons["a"].wait_done(confirmed)["fit"] == 1
        assert cluster.daemons["b"].stop(5) == 0


def test_the_disk_of_the_store_is_full(network: Network, tmp_path: Path) -> None:
    """All can read, and nobody can write."""
    with full_disk(tmp_path / "store", mib=4) as disk, Cluster(tmp_path, *LISTENING) as cluster:
        for name in "ab":
            cluster.start(network.host(name, CPUS))
            within(10, lambda: cluster.coordinators("a") == {"a"}, "a coordinator")
        cluster.wait_members(dict.fromkeys("ab", "alive"))
        run = cluster.submit("b", **BUSY)
        cluster.wait_working("ab", 10)
        cluster.wait_durable(run)
        disk.fill()
        within(TTL + 5, lambda: not coordinator_by(cluster, "a"), "the coordinator to step down")
        before = cluster.record()
        for member in "ab":
            submission_is_refused(cluster, member, "space|full")
        within(3 * TTL, lambda: unrenewed_seconds(cluster, "b") > 1.5 * TTL, "a long time without room")
        assert cluster.record() == before
        cluster.wait_members(dict.fromkeys("ab", "alive"), 0)
        cluster.wait_working("ab", 10)
        migration_goes_on(cluster, "ab")
        disk.free()
        within(RECOVERY, lambda: cluster.record() != before, "the lease to be written again")
        within(TTL + 5, lambda: coordinator_by(cluster, "a") == coordinator_by(cluster, "b") != set(), "a coordinator")
        assert cluster.record().epoch <= before.epoch + 1
        cluster.wait_working("ab", 10)
        cluster.finish(run, *"ab")
