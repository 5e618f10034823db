"""What a member may say over its link that is well-formed and absurd: it costs little, and nobody else anything."""

from __future__ import annotations

from distevo.block import pack
from distevo.codec import MAX_TOLD_PROGRAMS
from distevo.messages import Code, Fit
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
