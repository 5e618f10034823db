"""What a member may say over its link that is well-formed and absurd: it costs little, and nobody else anything."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest

from distevo import speech
from distevo.block import pack
from distevo.checkpoint import Checkpoint, IslandSnapshot, encode_checkpoint
from distevo.codec import MAX_PROGRAM_BYTES, MAX_STATES_BYTES, MAX_TOLD_PROGRAMS
from distevo.events import IslandId, Received
from distevo.hearing import COMPLAINT_SECONDS
from distevo.instructions import HangUp, Send
from distevo.link import MAX_FAULTS
from distevo.messages import Code, Command, ErrorReport, Fit, Head, PopulationKind, PopulationState
from distevo.news import Report
from distevo.program import MAX_GENOME_BYTES, Program
from tests.node.world import KEY_OF, World


def with_another() -> World:
    """A platform that coordinates, with a run in hand, and another one, `n`."""
    world = World(workers=1)
    world.join("n", workers=0)
    world.submit(tasks=1)
    return world


def refusals(world: World) -> list[object]:
    """The codes with which messages were refused."""
    return [line.fields["code"] for line in world.logs if line.message == "a message is refused"]


def test_of_more_programs_than_anybody_has_to_tell_none_is_taken() -> None:
    world = with_another()
    head = Fit(run="r", task="t0", first_grant=world.plan.runs["r"].first_grant, problem="toy", problem_version="1")
    programs = [Program.of(b"%d" % number, KEY_OF(b"%d" % number), (9.0,)) for number in range(MAX_TOLD_PROGRAMS + 1)]
    world.hear("n", head, pack(programs))
    assert refusals(world) == [Code.TOO_LARGE]
    assert world.node.exchange.merging.best(("r", "t0")) is None
    world.hear("n", head, pack(programs[1:]))
    assert world.node.exchange.merging.best(("r", "t0")) is not None


def test_what_is_told_of_a_task_again_and_again_has_a_limit_in_bytes() -> None:
    world = with_another()
    head = Fit(run="r", task="t0", first_grant=world.plan.runs["r"].first_grant, problem="toy", problem_version="1")
    for number in range(4):
        genomes = [b"%d/%d" % (number, index) + bytes(MAX_GENOME_BYTES - 3) for index in range(7)]
        world.hear("n", head, pack([Program.of(genome, KEY_OF(genome), (float(number),)) for genome in genomes]))
    held = world.node.exchange.merging.of(("r", "t0"))
    assert sum(program.size for program in held) <= MAX_PROGRAM_BYTES
    assert held.best is not None
    assert held.best.fitness == (3.0,)


def test_payloads_that_are_none_are_faults_of_a_link_and_with_one_too_many_it_is_hung_up() -> None:
    world = with_another()
    out = world.noted()
    world.link("n")
    head = Fit(run="r", task="t0", first_grant=world.plan.runs["r"].first_grant, problem="toy", problem_version="1")
    for _ in range(MAX_FAULTS):
        world.feed(Received(1, head, b"no block"))
    said = [order.head for order in out if isinstance(order, Send) and isinstance(order.head, ErrorReport)]
    assert [(report.code, report.about) for report in said] == [(Code.MALFORMED, head.command)] * MAX_FAULTS
    assert HangUp(1) not in out
    world.feed(Received(1, head, b"no block"))
    assert HangUp(1) in out
    assert world.node.router.counts()["malformed"] == MAX_FAULTS + 1


# --- whole states ---------------------------------------------------------------------------------

NOT_THEIRS = {"run": "x"}, {"task": "x"}, {"island": 7}, {"problem": "other"}, {"version": "2"}, {"grant": 0}


def states(world: World, **fields: Any) -> bytes:
    """What a member sends as the state of an island that it has; its programs cannot be read."""
    island = next(island for island in places(world) if places(world)[island] == "n-c0")
    grant = world.plan.runs["r"].tasks[island.task].islands[island.island].grant
    known: dict[str, Any] = {"task": island.task, "island": island.island, "grant": grant, "population": b"no block"}
    state = msgspec.structs.replace(next(iter(world.running.values())).snapshot, **(known | fields))
    content = Checkpoint(cluster="", member="n", boot="c0", sequence=0, islands=[state], resource_usage={})
    return encode_checkpoint(content, 1)


def places(world: World) -> dict[IslandId, str]:
    """Who has each island of the run."""
    tasks = world.plan.runs["r"].tasks.items()
    return {
        IslandId("r", task, index): place.owner for task, entry in tasks for index, place in enumerate(entry.islands)
    }


def with_another_at_work() -> World:
    """A platform that coordinates, and another one, `n`, which has some of the islands."""
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1, islands=4, evaluations=4000)
    assert set(places(world).values()) == {"m-b0", "n-c0"}
    return world


@pytest.mark.parametrize("kind", PopulationKind)
def test_a_state_that_is_not_its_senders_to_send_is_not_looked_into(kind: PopulationKind) -> None:
    world = with_another_at_work()
    for fields in NOT_THEIRS:
        world.hear("n", PopulationState(kind=kind), states(world, **fields))
    world.hear("x", PopulationState(kind=kind), states(world))
    assert refusals(world) == []
    world.hear("n", PopulationState(kind=kind), states(world))
    assert refusals(world) == [Code.MALFORMED]


@pytest.mark.parametrize("kind", PopulationKind)
def test_states_of_more_than_anybody_has_to_tell_are_not_read(kind: PopulationKind) -> None:
    world = with_another_at_work()
    million = msgspec.msgpack.encode([[0.0] * 10**6, [], [], [True] * 10**6, [b""] * 10**6, [b""] * 10**6])
    many, long = states(world, population=million), states(world, optimizer=bytes(2 * MAX_STATES_BYTES))
    tracemalloc.start()
    try:
        for payload in (many, long):
            world.hear("n", PopulationState(kind=kind), payload)
            world.now += COMPLAINT_SECONDS
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refusals(world) == [Code.TOO_LARGE] * 2
    assert peak < 2 * MAX_STATES_BYTES


def test_a_state_that_nobody_would_read_is_not_sent() -> None:
    world = with_another_at_work()
    said: list[Head] = []
    world.node.dispatch.router.send = lambda to, head, payload, now: said.append(head)  # type: ignore[assignment,method-assign,func-returns-value]
    state = msgspec.structs.replace(next(iter(world.running.values())).snapshot, optimizer=bytes(MAX_STATES_BYTES))
    world.node.dispatch.hand_over("n-c0", state)
    assert said == []
    world.node.dispatch.hand_over("n-c0", msgspec.structs.replace(state, optimizer=bytes(MAX_STATES_BYTES // 2)))
    assert [head.command for head in said] == [Command.POPULATION]


def test_what_is_told_of_many_programs_goes_in_several_messages_and_of_too_many_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(speech, "MAX_STATES_PROGRAMS", 3)
    state = next(iter(with_another_at_work().running.values())).snapshot

    def of(island: int, programs: int) -> IslandSnapshot:
        genomes = [b"%d" % number for number in range(programs)]
        block = pack([Program.of(genome, KEY_OF(genome), (-float(rank),)) for rank, genome in enumerate(genomes)])
        return msgspec.structs.replace(state, island=island, population=block)

    told = speech.report_messages(Report(finals=[of(0, 1), of(1, 2), of(2, 1), of(3, 7)]), "n", "c0")
    found = [speech.states_in(payload, lambda _: True) for _, payload in told]
    assert found == [[of(0, 1), of(1, 2)], [of(2, 1)], [of(3, 3)]]
