"""Who should not be heard, or says what it should not: foreign clusters, versions and keys, and frames gone bad.

Each is told what SPEC.md says, is counted where a person looks, and changes nothing: the run of the cluster goes on.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import zmq

from distevo.codec import MAX_FRAME_BYTES, encode
from distevo.messages import (
    Code,
    Command,
    Control,
    ControlVerb,
    ErrorReport,
    Goodbye,
    Heartbeat,
    Migrants,
    MigrantsAck,
    PlanHint,
    Welcome,
)  # fmt: skip
from distevod.transport.keys import KeyPair, load
from tests.support.cluster import LISTENING, Cluster, within
from tests.support.hosts import Host, Network, requires_namespaces
from tests.support.speaker import Speaker

pytestmark = requires_namespaces
ALL = ("a", "b", "c")


@pytest.fixture(scope="module")
def outside(network: Network) -> Host:
    """A host on the same network."""
    return network.host("spy")


@pytest.fixture
def busy(three: Cluster) -> Iterator[tuple[Cluster, str]]:
    """The cluster with a run in hand, of which nothing may be lost in a test; its coordinator may not change."""
    run = three.submit("a")
    three.wait_working(ALL, 10)
    three.note_durable(run)
    before = three.record()
    places = {island: (place.owner, place.grant) for island, place in three.places().items()}
    yield three, run
    three.wait_working(ALL, 10)
    after = three.record()
    assert (after.epoch, after.holder) == (before.epoch, before.holder)
    assert {island: (place.owner, place.grant) for island, place in three.places().items()} == places
    assert {state for member in ALL for id, state in three.members(member).items() if id in ALL} == {"alive"}  # noqa: A001
    three.finish(run, *ALL)


def failures(cluster: Cluster, member: str, layer: str, kind: str) -> float:
    """Handshakes with a member that came to nothing."""
    return cluster.scrape(member).figure("handshake_failures_total", layer=layer, kind=kind)


def event(cluster: Cluster, member: str, family: str, name: str) -> float:
    """What a member has counted under a name; 0 while it never happened."""
    found = cluster.scrape(member).figures(f"{family}_events_total", "event")
    return sum(value for (_, event), value in found.items() if event == name)


def test_a_daemon_of_another_cluster(busy: tuple[Cluster, str], network: Network) -> None:
    cluster, _ = busy
    endpoint = cluster.plan().members["a"].endpoints[0]
    key = cluster.plan().members["a"].key
    before = failures(cluster, "a", "greeting", "cluster")
    with Cluster(cluster.folder / "foreign", *LISTENING) as foreign:
        daemon = foreign.start(network.host("f"), "--peer", endpoint)
        within(10, lambda: foreign.coordinators("f") == {"f"}, "the other cluster to have a coordinator")
        # It looks at that address for every member of its own that is not linked; one of them has a's key.
        ours = Speaker(foreign, network.host("x"), KeyPair(key, KeyPair.make().secret))
        ours.join()
        within(20, lambda: failures(cluster, "a", "greeting", "cluster") > before, "the foreigner to be refused")
        within(10, lambda: "another member refuses us" in daemon.log.read_text(), "the foreigner to say why")
        assert set(foreign.members("f")) == {"f", "x"}
    assert not {"f", "x"} & {member for seen_by in ALL for member in cluster.members(seen_by)}


def test_another_version_and_another_cluster_are_told_so(busy: tuple[Cluster, str], outside: Host) -> None:
    cluster, _ = busy
    spy = Speaker(cluster, outside)
    spy.join()
    for kind, wrong in (("version", {"versions": [2, 3]}), ("cluster", {"cluster": "0123456789abcdef"})):
        before = failures(cluster, "a", "greeting", kind)
        with spy.dial("a") as line:
            line.greet(spy.hello(**wrong))
            report = line.complaint(Command.HELLO)
            assert report.code == Code[kind.upper()]
            assert "no protocol version in common" in report.reason or "this is cluster" in report.reason
            within(5, lambda: failures(cluster, "a", "greeting", kind) == before + 1, "the refusal")  # noqa: B023
            line.beat()  # The link was hung up: nobody hears this.
            assert line.heard(0.5) == []
    with spy.linked("a") as line:
        frame = bytearray(encode(Heartbeat(incarnation=0, progress=9, interval=1.0)))
        frame[4] = 2  # A frame of a later version, on a link of this one.
        line.send(bytes(frame))
        assert line.complaint().code == Code.VERSION
        line.say(Goodbye(reason="done"))
    within(10, lambda: spy.entry().state.value == "left", "its end to be known")


def test_a_key_that_nobody_knows_and_one_that_is_somebody_elses(busy: tuple[Cluster, str], outside: Host) -> None:
    cluster, _ = busy
    strangers = event(cluster, "a", "routing", "strangers")
    with Speaker(cluster, outside).dial("a") as line:
        line.greet()
        report = line.complaint(Command.HELLO)
        assert (report.code, report.reason) == (Code.NOT_YET_KNOWN, "no member of this cluster is known by this key")
        assert event(cluster, "a", "routing", "strangers") > strangers
        # Until the plan shows it, it is told nothing, and nothing that it says is heard.
        received = cluster.scrape("a").figure("messages_received_total", command="plan")
        for _ in range(20):
            line.say(PlanHint(epoch=99, version=1, name="plans/99-1-abc"))
        within(5, lambda: event(cluster, "a", "routing", "unexpected") > 0, "what it says to be counted")
        assert {type(head) for head in line.heard(0.5)} <= {ErrorReport}
        assert cluster.scrape("a").figure("messages_received_total", command="plan") <= received + 20
    b = cluster.plan().members["b"]
    for claims in ({"member": "b", "boot": b.boot}, {"member": "a", "boot": cluster.plan().members["a"].boot}):
        before = failures(cluster, "a", "greeting", "identity")
        with Speaker(cluster, outside).dial("a") as line:
            line.greet(
                line.hello.__class__(**{f: getattr(line.hello, f) for f in line.hello.__struct_fields__} | claims)
            )
            assert line.complaint(Command.HELLO).code == Code.IDENTITY
        within(5, lambda: failures(cluster, "a", "greeting", "identity") == before + 1, "the refusal")  # noqa: B023
    assert cluster.members("a").get("spy") in {None, "left"}


def test_no_key_at_all(busy: tuple[Cluster, str], outside: Host) -> None:
    cluster, _ = busy
    before = event(cluster, "a", "transport", "connections_ended_silent")
    with zmq.Context() as context:
        with outside.entered():
            plain = context.socket(zmq.DEALER)
            plain.connect(cluster.plan().members["a"].endpoints[0])
        with plain:
            plain.setsockopt(zmq.LINGER, 0)
            plain.send(encode(Speaker(cluster, outside).hello()))
            ended = "connections_ended_silent"
            within(10, lambda: event(cluster, "a", "transport", ended) > before, "the connection to be ended")
            assert not plain.poll(500)


def handshakes(cluster: Cluster, member: str) -> dict[tuple[str, ...], float]:
    found = cluster.scrape(member).figures("handshake_failures_total", "layer", "kind")
    return {key: value for key, value in found.items() if key[1] == "transport"}


def test_frames_that_were_mangled_on_the_way(busy: tuple[Cluster, str], outside: Host) -> None:
    cluster, run = busy
    spy = Speaker(cluster, outside)
    spy.join()
    good = encode(Migrants(run=run, task="t1", source=0, target=1, number=1, grant=1), b"\x96\x90\x90\x90\x90\x90\x90")
    flipped = bytearray(encode(Heartbeat(incarnation=0, progress=2, interval=1.0)))
    flipped[20] ^= 0x40
    cases = {
        b"GET / HTTP/1.1": Code.MALFORMED,
        good[: len(good) // 2]: Code.MALFORMED,
        good + b"x": Code.MALFORMED,
        bytes(flipped): Code.MALFORMED,
        good[:5] + b"\xee" + good[6:]: Code.UNKNOWN_COMMAND,
        good[:8] + b"\xff\xff\xff\xff" + good[12:]: Code.TOO_LARGE,
    }
    for frame, code in cases.items():
        with spy.linked("b") as line:
            before = event(cluster, "b", "transport", "malformed")
            line.send(frame)
            assert line.complaint().code == code
            assert event(cluster, "b", "transport", "malformed") == before + 1
            line.beat()  # One fault is forgiven.
            assert not [head for head in line.heard(0.2) if isinstance(head, ErrorReport)]
    with spy.linked("b") as line:
        for _ in range(9):
            line.send(b"nonsense")
        within(5, lambda: event(cluster, "b", "routing", "links_with_too_many_faults") > 0, "the link to be hung up")
    with spy.linked("b") as line:
        line.send(bytes(MAX_FRAME_BYTES + 1))
        line.heard(0.5)
    with spy.linked("b") as line:
        line.say(Goodbye(reason="done"))


def test_what_was_said_before_is_said_again(busy: tuple[Cluster, str], outside: Host) -> None:
    """An authenticated member repeats old words of its own, and gives words of others out as its own."""
    cluster, run = busy
    spy = Speaker(cluster, outside)
    spy.join()
    record = cluster.record()
    island = next(iter(cluster.places()))
    place = cluster.places()[island]
    with spy.linked("a") as line:
        old = line.beat()
        for _ in range(3):
            line.send(old)
            line.greet()
        # A plan that never was, and one that is long past.
        line.say(PlanHint(epoch=record.epoch + 7, version=1, name="plans/9-1-abc"))
        line.say(PlanHint(epoch=0, version=0, name="plans/0-0-abc"))
        # Migrants of an island that is not its own, twice; and an acknowledgement of what was never sent to it.
        foreign = Migrants(run=run, task=island.task, source=island.island, target=0, number=1, grant=place.grant)
        for _ in range(2):
            line.say(foreign, b"\x96\x90\x90\x90\x90\x90\x90")
            ack = line.hear(MigrantsAck)
            assert (ack.accepted, ack.known) == (0, 0)
            assert "not yours" in (ack.refused or "")
        line.say(
            MigrantsAck(
                run=run, task=island.task, source=island.island, target=0, number=1, grant=place.grant, accepted=9
            )
        )
        line.say(Control(verb=ControlVerb.INBOX))
        line.say(Control(verb=ControlVerb.VERDICT, run=run, task=island.task, fit=True, fitness=[1.0]), b"forged")
        line.beat()
        cluster.wait_working(ALL, 10)
        line.say(Goodbye(reason="done"))
        line.beat()  # After its goodbye nothing brings it back.
    within(10, lambda: spy.entry().state.value == "left", "its end to be known")
    with spy.dial("a") as line:
        line.greet()
        assert line.complaint(Command.HELLO).code == Code.NOT_YET_KNOWN
    assert load(cluster.folder / "a" / "state" / "key").public == cluster.plan().members["a"].key
    assert {run.state.value for run in cluster.plan().runs.values()} <= {"running", "cancelled", "done"}


def test_a_revoked_key(busy: tuple[Cluster, str], outside: Host) -> None:
    cluster, _ = busy
    spy = Speaker(cluster, outside)
    spy.join()
    with spy.linked("a") as line:
        cluster.daemons["b"].ask(do="command", verb="revoke", member="spy")
        report = line.hear(ErrorReport, 10)
        assert report.code == Code.DENIED
    with spy.dial("a") as line:
        line.greet()
        with pytest.raises(TimeoutError):
            line.hear(Welcome, 1)
    within(5, lambda: handshakes(cluster, "a")["a", "transport", "denied"] > 0, "the refusal to be counted")
