"""Platforms that are cut off, stand still and come back in the middle of a run."""

from __future__ import annotations

from tests.support.cluster import EASY, ROOMY, SLOW, Cluster, within
from tests.support.hosts import Network, requires_namespaces

pytestmark = requires_namespaces
ALL = ("a", "b", "c")
ALIVE = dict.fromkeys(ALL, "alive")
TIMEOUT = 3
"""The heartbeat timeout in these clusters."""


def all_linked(cluster: Cluster) -> bool:
    return all(cluster.members(m, "path") == {**dict.fromkeys(ALL, "direct"), m: "self"} for m in ALL)


def test_a_follower_that_is_cut_off_goes_on_by_mail(three: Cluster, network: Network) -> None:
    run = three.submit("a")
    three.wait_working(ALL, 10)
    epoch = three.record().epoch
    network.silence(three.hosts["c"])
    within(
        2 * TIMEOUT + 5, lambda: three.members("c", "path") == {"a": "mail", "b": "mail", "c": "self"}, "mail from c"
    )
    within(TIMEOUT + 5, lambda: {three.members(m, "path")["c"] for m in "ab"} == {"mail"}, "mail to c")
    three.wait_members(ALIVE)
    within(10, lambda: three.owned("c"), "work for the one that is cut off")
    three.wait_working(ALL, 10)
    network.heal()
    within(40, lambda: all_linked(three), "links again")
    assert three.record().epoch == epoch
    three.finish(run, *ALL)


def test_a_platform_that_falls_silent_and_is_heard_again(three: Cluster, network: Network) -> None:
    run = three.submit("a")
    three.wait_working(ALL, 10)
    orphans = three.owned("c")
    three.note_durable(run)
    network.silence(three.hosts["c"])
    three.cut_store("c")
    three.wait_working("ab", TIMEOUT + 8, orphans)
    within(5, lambda: {three.members(member)["c"] for member in "ab"} == {"dead"}, "both to know")
    kept = {island: three.in_hand("c")[island][0] for island in orphans}
    within(5, lambda: all(three.in_hand("c")[i][0].generation > kept[i].generation for i in orphans), "c to go on")
    network.heal()
    three.mend_store("c")
    three.wait_members(ALIVE, 40)
    within(10, lambda: three.owned("c"), "the one that is back to have work")
    three.wait_working(ALL, 10)
    three.finish(run, *ALL)


def test_a_coordinator_that_sleeps_wakes_up_as_a_follower(three: Cluster) -> None:
    zombie = three.record().holder
    others = [member for member in ALL if member != zombie]
    closed = three.submit(zombie, data={"t": SLOW}, islands_per_task=3, evaluations=3000)
    run = three.submit(zombie, **ROOMY)
    three.wait_working(ALL, 10, {island for island in three.places() if island.run == closed})
    epoch = three.record().epoch
    with three.hosts[zombie].frozen():
        within(TIMEOUT + 10, lambda: three.record().epoch == epoch + 1, "another coordinator")
        assert three.record().holder in others
        three.daemons[others[0]].wait_done(closed)
        three.wait_working(others, 10)
    three.wait_members(ALIVE)
    within(10, lambda: three.coordinators(*ALL) == {three.record().holder}, "the zombie to follow")
    within(10, lambda: three.owned(zombie), "the zombie to have work")
    three.wait_working(ALL, 10)
    assert three.record().epoch == epoch + 1
    assert three.record().holder in others
    three.results(closed, *ALL)
    three.finish(run, *ALL)


def test_a_coordinator_that_is_cut_off_from_the_others(three: Cluster, network: Network) -> None:
    run = three.submit("a")
    three.wait_working(ALL, 10)
    epoch, alone = three.record().epoch, three.record().holder
    others = [member for member in ALL if member != alone]
    network.partition([three.hosts[alone]], [three.hosts[member] for member in others])
    # No path is told of whom it holds to be dead meanwhile; by mail they find each other again.
    within(2 * TIMEOUT + 5, lambda: "direct" not in three.members(alone, "path").values(), "the links to end")
    three.wait_members(ALIVE)
    three.wait_working(ALL, 10)
    confirmed = three.submit(alone, **EASY)
    network.heal()
    within(40, lambda: all_linked(three), "links again")
    assert three.record().epoch <= epoch + 1
    three.finish(run, *ALL)
    assert three.daemons[others[0]].wait_done(confirmed)["fit"] == 1
