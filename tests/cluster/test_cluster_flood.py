"""A member that says far more than it should, sound and unsound: all others are heard as always, and work goes on."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest
import zmq

from distevo.codec import encode
from distevo.messages import (
    Code,
    Control,
    ControlVerb,
    ErrorReport,
    Forward,
    Goodbye,
    Heartbeat,
    Migrants,
    PlanHint,
    PreVote,
)  # fmt: skip
from tests.support.cluster import Cluster, within
from tests.support.hosts import Network, requires_namespaces
from tests.support.speaker import Line, Speaker

pytestmark = requires_namespaces
ALL = ("a", "b", "c")
TTL = 5.0
"""Of the lease, in these clusters."""
SECONDS = 4.0
"""At least so long it goes on."""
SOUND_PER_SECOND = 500
"""As many sound frames are heard at least, though the machine be slow; it is several times as many."""
MAX_GROWTH_MIB = 64
"""What is on its way to a daemon, and what it has to say to who reads nothing; what came is several times as much."""
MAX_LOG_BYTES = 8192
"""What is complained of is said once in a while, not each time."""
MIB = 2**20
log = logging.getLogger(__name__)


def sound(cluster: Cluster, run: str) -> list[bytes]:
    """One of each that a member might send often, though none of them is right just now."""
    record, island = cluster.record(), next(iter(cluster.places()))
    block = b"\x96\x90\x90\x90\x90\x90\x90"
    beat = encode(Heartbeat(incarnation=0, progress=1, interval=1.0))
    heads = [
        (Migrants(run=run, task=island.task, source=island.island, target=1, number=1, grant=1), block),
        (PreVote(round=1, epoch=record.epoch, holder=record.holder, boot=record.boot), b""),
        (PlanHint(epoch=record.epoch + 1, version=1, name="plans/9-1-abc"), b""),
        (Control(verb=ControlVerb.INBOX), b""),
        (ErrorReport(code=Code.BUSY, reason="too much"), b""),
        (Forward(to="b"), beat),
        (Forward(to="nobody"), beat),
    ]
    return [beat, *(encode(head, payload) for head, payload in heads)]


def large(cluster: Cluster, run: str) -> list[bytes]:
    """Sound ones of a mebibyte, which no compression makes smaller."""
    return [encode(Migrants(run=run, task="t1", source=0, target=1, number=1, grant=1), secrets.token_bytes(MIB))]


def pour(spy: Speaker, victim: str, frames: list[bytes], is_over: threading.Event) -> int:
    """Send these again and again over one link as fast as they are taken, and read no answer; returns how many."""
    count = 0
    with spy.linked(victim) as line:
        for frame in cycle(frames):
            if is_over.is_set():
                break
            count += _sent(line, frame)
    return count


def break_links(spy: Speaker, victim: str, _frames: list[bytes], is_over: threading.Event) -> int:
    """Make links and send nonsense until each is hung up, again and again; returns how many frames."""
    count = 0
    while not is_over.is_set():
        with spy.linked(victim) as line:
            count += sum(_sent(line, secrets.token_bytes(1000)) for _ in range(100))
            line.heard(0.02)
    return count


def _sent(line: Line, frame: bytes) -> bool:
    """Whether it was taken; a daemon that is slow, or has hung up, takes none."""
    try:
        line.send(frame)
    except zmq.Again:
        return False
    return True


class Watch:
    """A daemon's memory since this was made."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # The highest so far is the present one.
        self._begun = self._mib("VmRSS")

    @property
    def growth_mib(self) -> float:
        """How much higher it was at its highest."""
        return self._mib("VmHWM") - self._begun

    def _mib(self, field: str) -> float:
        line = next(line for line in self._status.read_text().splitlines() if line.startswith(field))
        return int(line.split()[1]) / 1024


@contextmanager
def flooded(flood: Callable[[threading.Event], int]) -> Iterator[list[int]]:
    """Meanwhile it is flooded; at the end the list holds how many frames were sent."""
    is_over, sent = threading.Event(), list[int]()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(flood, is_over)
        try:
            yield sent
        finally:
            is_over.set()
        sent.append(future.result())


def event(cluster: Cluster, member: str, family: str, name: str) -> float:
    """What a member has counted under a name; 0 while it never happened."""
    found = cluster.scrape(member).figures(f"{family}_events_total", "event")
    return sum(value for (_, event), value in found.items() if event == name)


def received(cluster: Cluster, member: str) -> float:
    """Messages that a member has received."""
    return sum(cluster.scrape(member).figures("messages_received_total", "command").values())


def listings(cluster: Cluster, member: str) -> float:
    """How often a member has listed objects of the store, which costs money in a bucket."""
    return cluster.scrape(member).figure("store_requests_total", kind="list", outcome="done")


KINDS = {"sound": (pour, sound), "large": (pour, large), "nonsense": (break_links, lambda *_: [])}


@pytest.mark.parametrize("kind", KINDS)
def test_the_coordinator_is_flooded(three: Cluster, network: Network, kind: str) -> None:
    run = three.submit("a")
    three.wait_working(ALL, 10)
    three.wait_durable(run)
    spy = Speaker(three, network.host(f"spy-{kind}"))
    spy.join()
    before = three.record()
    victim = before.holder
    other = next(member for member in ALL if member != victim)
    flood, frames = KINDS[kind]
    logged, listed = len(three.daemons[victim].log.read_bytes()), listings(three, victim)
    watch, begun, heard = Watch(three.daemons[victim].pid), time.monotonic(), received(three, victim)
    unrenewed: list[float] = []
    with flooded(partial(flood, spy, victim, frames(three, run))) as sent:
        while time.monotonic() < begun + SECONDS:
            unrenewed.append(three.scrape(other).figure("lease_unchanged_seconds"))
            assert {three.members(seen_by)[member] for seen_by in ALL for member in ALL} == {"alive"}
            three.wait_working(ALL, 10)
    seconds, heard = time.monotonic() - begun, received(three, victim) - heard
    log.info("%d frames in %.1f s, %d messages heard", sent[0], seconds, heard)
    log.info("%.0f MiB more, renewed within %.1f s", watch.growth_mib, max(unrenewed))
    if kind == "sound":
        assert heard > SOUND_PER_SECOND * SECONDS
    elif kind == "large":
        assert sent[0] > 2 * MAX_GROWTH_MIB
    else:
        broken = event(three, victim, "routing", "links_with_too_many_faults")
        log.info("%d links broken", broken)
        assert broken > SECONDS
        assert event(three, victim, "transport", "malformed") > 8 * broken
    assert max(unrenewed) < TTL
    assert len(three.daemons[victim].log.read_bytes()) - logged < MAX_LOG_BYTES
    assert listings(three, victim) - listed < 5 + 2 * seconds
    assert watch.growth_mib < MAX_GROWTH_MIB
    after = three.record()
    assert (after.epoch, after.holder) == (before.epoch, before.holder)
    with spy.linked(victim) as line:
        line.say(Goodbye(reason="done"))
    within(10, lambda: spy.entry().state.value == "left", "its end to be known")
    three.wait_working(ALL, 10)
    three.finish(run, *ALL)
