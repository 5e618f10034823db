"""What members say of themselves when a link opens counts from that moment on."""

from __future__ import annotations

import pytest

from distevo.cluster import decode_cluster
from distevo.events import LinkOpened, Received
from distevo.members import State
from distevo.messages import Hello
from tests.node.world import World

KEY = "k" * 40


@pytest.mark.parametrize(("interval", "timeout"), [(5.0, 15.0), (20.0, 60.0)])
def test_a_member_has_three_of_its_own_intervals_from_its_greeting_on(interval: float, timeout: float) -> None:
    world = World(heartbeat_interval=5.0, heartbeat_timeout=15.0, mail_interval=5.0)
    world.join("n", "b9", key=KEY)
    world.feed(LinkOpened(1, KEY, None))
    cluster = decode_cluster(world.objects["cluster"][0]).cluster
    hello = Hello(versions=[1], cluster=cluster, member="n", boot="b9", incarnation=0, heartbeat_interval=interval)
    world.feed(Received(1, hello, b""))
    assert world.node.router.is_linked("n")
    # Its first heartbeat is due an interval later: longer than others here are waited for.
    world.pass_time(timeout - 0.1)
    assert world.node.table.state("n") is State.ALIVE
    world.pass_time(0.2)
    assert world.node.table.state("n") is State.SUSPECT
