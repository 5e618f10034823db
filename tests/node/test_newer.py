"""What a newer distevo writes or says is no damage and no fault: it is refused, and told as what wants an upgrade."""

from __future__ import annotations

import struct

from blake3 import blake3

from distevo.checkpoint import Checkpoint, encode_checkpoint
from distevo.events import IslandFailed, Received
from distevo.instructions import HangUp, Send
from distevo.link import MAX_FAULTS
from distevo.messages import Code, ErrorReport, Heartbeat, IslandProgress, PopulationKind, PopulationState
from distevo.names import checkpoint_name
from distevo.plan import TaskState
from tests.node.world import World


def newer(data: bytes) -> bytes:
    """A checkpoint as a later format would begin: with a right digest."""
    head = struct.Struct("<8sHII")
    magic, _, content, payload = head.unpack_from(data)
    start = head.pack(magic, 2, content, payload)
    return start + blake3(start).update(data[head.size + 32 :]).digest() + data[head.size + 32 :]


def states(world: World) -> bytes:
    """A checkpoint of what is in hand."""
    islands = world.node.foreman.snapshots()
    saved = Checkpoint(cluster="", member="n", boot="c0", sequence=1, islands=islands, resource_usage={})
    return encode_checkpoint(saved)


def test_states_of_a_newer_format_are_refused_as_such_and_cost_no_link() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    out = world.noted()
    world.link("n")
    for kind in PopulationKind:
        for _ in range(MAX_FAULTS):
            world.feed(Received(1, PopulationState(kind=kind), newer(states(world))))
    said = [order.head for order in out if isinstance(order, Send) and isinstance(order.head, ErrorReport)]
    assert [report.code for report in said] == [Code.VERSION] * (2 * MAX_FAULTS)
    assert all("upgrade" in report.reason for report in said)
    assert HangUp(1) not in out
    counts = world.node.router.counts()
    assert (counts["newer"], counts.get("malformed", 0)) == (2 * MAX_FAULTS, 0)


def test_of_a_task_that_fails_it_is_said_that_what_others_saved_is_of_a_newer_format() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1, islands=2)
    (ours,) = world.running
    (theirs,) = [index for index, at in enumerate(world.plan.runs["r"].tasks["t0"].islands) if at.owner == "n-c0"]
    grant = world.plan.runs["r"].tasks["t0"].islands[theirs].grant
    told = IslandProgress("r", "t0", theirs, grant, 7, 70, 0, 1.0, False, [0.8])
    world.hear("n", Heartbeat(incarnation=0, progress=1, interval=10.0, islands=[told]))
    world.generation(ours, fitness=0.5)
    saved = checkpoint_name("n", "c0", 1)
    world.objects[saved] = newer(states(world)), 1
    world.feed(IslandFailed(world.running[ours].slot, ours, "boom"))
    world.pass_time(5)
    world.verify()
    world.pass_time(2)
    assert world.plan.runs["r"].tasks["t0"].state is TaskState.FAILED
    (line,) = [line for line in world.logs if line.fields.get("reason", "").startswith(f"{saved}: format version 2")]
    assert line.level == "error"
