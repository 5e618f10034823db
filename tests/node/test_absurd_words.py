"""What a member may say over its link that is well-formed and absurd: it costs little, and nobody else anything."""

from __future__ import annotations

from distevo.block import pack
from distevo.codec import MAX_TOLD_PROGRAMS
from distevo.events import LinkOpened, Received
from distevo.instructions import HangUp, Instruction, Send
from distevo.link import MAX_FAULTS
from distevo.messages import Code, ErrorReport, Fit, Hello
from distevo.program import Program
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


def test_payloads_that_are_none_are_faults_of_a_link_and_with_one_too_many_it_is_hung_up() -> None:
    world = with_another()
    out: list[Instruction] = []
    do = world.do

    def noting(instructions: list[Instruction]) -> None:
        out.extend(instructions)
        do(instructions)

    world.do = noting  # type: ignore[method-assign]
    world.feed(LinkOpened(1, "key of n", None))
    world.feed(
        Received(1, Hello(versions=[1], cluster="", member="n", boot="c0", incarnation=0, heartbeat_interval=1.0))
    )
    head = Fit(run="r", task="t0", first_grant=world.plan.runs["r"].first_grant, problem="toy", problem_version="1")
    for _ in range(MAX_FAULTS):
        world.feed(Received(1, head, b"no block"))
    said = [order.head for order in out if isinstance(order, Send) and isinstance(order.head, ErrorReport)]
    assert [(report.code, report.about) for report in said] == [(Code.MALFORMED, head.command)] * MAX_FAULTS
    assert HangUp(1) not in out
    world.feed(Received(1, head, b"no block"))
    assert HangUp(1) in out
    assert world.node.router.counts()["malformed"] == MAX_FAULTS + 1
