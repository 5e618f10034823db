"""Platforms that are drained or asked to end while others die, or while they are cut off themselves."""

from __future__ import annotations

from tests.support.cluster import EASY, ROOMY, SLOW, Cluster, within
from tests.support.daemon import Daemon
from tests.support.hosts import Network, requires_namespaces

pytestmark = requires_namespaces
ALL = ("a", "b", "c")
FEW = {"data": {"t": SLOW}, "islands_per_task": 2}
"""A run of which one platform alone can have all islands in hand."""
TTL = 5.0
"""Of the lease, in these clusters."""
STORE_UNAVAILABLE = 9
"""Exit code of a platform that could not write its last checkpoint."""
STOP_SECONDS = 5.0
"""SIGTERM is obeyed within them, whatever happens."""


def begun(cluster: Cluster, **run: object) -> str:
    """Submit a run; wait until it evolves and some of each task is durable."""
    name = cluster.submit("a", **run)
    cluster.wait_working(ALL, 10)
    cluster.wait_durable(name)
    return name


def drain(cluster: Cluster, member: str, through: str) -> None:
    """Ask that a platform is let go; returns once the plan in force says so."""
    cluster.daemons[through].ask(do="command", verb="drain", member=member)


def ended(daemon: Daemon, seconds: float = 20) -> int:
    """Wait until a daemon has ended by itself; its exit status."""
    assert daemon.process is not None
    return daemon.process.wait(seconds)


def test_whoever_takes_over_from_a_drained_platform_dies(three: Cluster) -> None:
    run = begun(three, **FEW)
    coordinator = three.record().holder
    leaver = next(member for member in three.followers_first() if member != coordinator and three.owned(member))
    islands = three.owned(leaver)
    drain(three, leaver, through=coordinator)
    within(5, lambda: not three.owned(leaver), "its islands to be given away")
    heir = next(member for member in ALL if islands & three.owned(member))
    (last,) = set(ALL) - {leaver, heir}
    three.kill(heir)
    assert ended(three.daemons[leaver]) == 0
    assert "drained: nothing is left here" in three.daemons[leaver].log.read_text()
    three.wait_members({last: "alive", leaver: "left", heir: "dead"})
    within(TTL + 10, lambda: three.record().holder == last, "the last one to coordinate")
    three.wait_working([last], 15)
    three.finish(run, last)


def test_a_platform_dies_while_it_is_drained(three: Cluster) -> None:
    leaver, *rest = three.followers_first()
    run = begun(three, **ROOMY)
    orphans = three.owned(leaver)
    with three.hosts[leaver].frozen():  # So that it does nothing of what it is asked to.
        drain(three, leaver, through=rest[0])
        within(5, lambda: not three.owned(leaver), "its islands to be given away")
        three.kill(leaver)
    three.wait_working(rest, 8, orphans)  # Nothing is waited for from who is known to be dead.
    three.wait_members({**dict.fromkeys(rest, "alive"), leaver: "dead"})
    three.daemons[leaver].start()  # Its new life is not a draining one.
    three.wait_members(dict.fromkeys(ALL, "alive"))
    within(10, lambda: three.owned(leaver), "work for the one that is back")
    assert not three.plan().members[leaver].is_draining
    three.wait_working(ALL, 10)
    three.finish(run, *ALL)


def test_the_coordinator_is_drained_and_its_successor_dies(three: Cluster) -> None:
    *rest, leaver = three.followers_first()
    run = begun(three, **FEW)
    epoch = three.record().epoch
    confirmed = three.submit(leaver, **EASY)
    drain(three, leaver, through=rest[0])
    assert ended(three.daemons[leaver]) == 0
    within(10, lambda: three.record().holder in rest, "another coordinator")
    successor = three.record().holder
    last = next(member for member in rest if member != successor)
    three.kill(successor)
    within(10, lambda: three.record().holder == last, "the last one to coordinate")
    assert three.record().epoch == epoch + 2
    three.wait_members({last: "alive", successor: "dead", leaver: "left"})
    three.wait_working([last], 15, {island for island in three.places() if island.run == run})
    three.finish(run, last)
    assert three.daemons[last].wait_done(confirmed)["fit"] == 1


def test_a_platform_is_stopped_while_it_has_no_links(three: Cluster, network: Network) -> None:
    leaver, *rest = three.followers_first()
    run = begun(three, **ROOMY)
    orphans = three.owned(leaver)
    network.silence(three.hosts[leaver])
    known = [(leaver, rest[0]), (leaver, rest[1]), (rest[0], leaver), (rest[1], leaver)]
    within(15, lambda: all(three.members(one, "path")[other] == "mail" for one, other in known), "mail between them")
    assert three.daemons[leaver].stop(STOP_SECONDS) == 0
    three.wait_members({**dict.fromkeys(rest, "alive"), leaver: "left"})
    three.wait_working(rest, 10, orphans)
    three.finish(run, *rest)


def test_the_coordinator_is_stopped_while_it_reaches_nothing(three: Cluster, network: Network) -> None:
    *rest, leaver = three.followers_first()
    run = begun(three, **ROOMY)
    epoch, orphans = three.record().epoch, three.owned(leaver)
    network.silence(three.hosts[leaver])
    three.cut_store(leaver)
    assert three.daemons[leaver].stop(STOP_SECONDS) == STORE_UNAVAILABLE
    within(TTL + 10, lambda: three.record().holder in rest, "another coordinator")
    assert three.record().epoch == epoch + 1
    three.wait_working(rest, 15, orphans)
    three.wait_members({**dict.fromkeys(rest, "alive"), leaver: "dead"})
    network.heal()
    three.mend_store(leaver)
    three.daemons[leaver].start()
    three.wait_members(dict.fromkeys(ALL, "alive"))
    three.wait_working(ALL, 15)
    three.finish(run, *ALL)
