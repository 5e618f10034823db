"""What lies in the inbox is bounded before it stands in all plans: else one object would bring down whoever
coordinates and whoever comes next, or make every plan large."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from distevo.command import Verb
from distevo.member import MAX_ENDPOINT, MAX_ENDPOINTS, MAX_KEY, MAX_KIND, MAX_NUMBER
from distevo.messages import MAX_TEXT_BYTES
from distevo.names import inbox_command
from distevo.orders import check_run
from distevo.plan import encode_plan
from distevo.run import MAX_CPU_SECONDS, MAX_EVALUATIONS, Budget, MigrationSettings, ProblemUse, Run, RunSettings
from distevo.sealed import seal
from distevo.topology import check
from tests.node.world import World

MORE = 10**400
"""JSON holds it, and no float does."""


class Strange(msgspec.Struct):
    """A command with a verb of its own."""

    verb: str


@pytest.mark.parametrize(
    ("says", "most"),
    [
        ({"workers": MORE}, MAX_NUMBER),
        ({"memory_mb": MORE}, MAX_NUMBER),
        ({"batch_size": MORE}, MAX_NUMBER),
        ({"islands": -MORE}, MAX_NUMBER),
        ({"priority": -MORE}, MAX_NUMBER),
        ({"kind": ""}, MAX_KIND),
        ({"kind": "x" * 10**6}, MAX_KIND),
        ({"key": "x" * 10**6}, MAX_KEY),
        ({"endpoints": ["tcp://a:1"] * 10**5}, MAX_ENDPOINTS),
        ({"endpoints": ["tcp://" + "a" * 10**6]}, MAX_ENDPOINT),
    ],
)
def test_a_platform_is_refused_that_would_make_every_plan_large_or_end_who_coordinates(
    says: dict[str, Any], most: int
) -> None:
    world = World()
    world.submit(tasks=1)
    world.join("c", **says)
    assert world.exit is None
    assert "c" not in world.node.following.plan.members
    (log,) = [log for log in world.logs if log.message == "an inbox object is refused"]
    assert str(most) in str(log.fields["reason"])
    assert len(encode_plan(world.plan)) < 1000


def test_what_is_the_coordinators_to_say_an_announcement_does_not() -> None:
    world = World()
    world.join("c", gone_s=10**9, slowness=9.0, joined=10**9)
    entry = world.plan.members["c"]
    assert (entry.gone_s, entry.slowness, entry.joined) == (0, 1.0, 2)


@pytest.mark.parametrize("budget", [Budget(None, MAX_EVALUATIONS + 1), Budget(None, MORE)])
def test_no_run_is_extended_to_more_than_one_may_begin_with(budget: Budget) -> None:
    world = World()
    world.submit(tasks=1, evaluations=100)
    assert str(MAX_EVALUATIONS) in world.command(Verb.EXTEND, budget=budget)
    assert world.command(Verb.EXTEND, budget=Budget(None, MAX_EVALUATIONS)) == "accepted"
    assert world.exit is None


def test_no_run_is_extended_to_more_seconds_than_one_may_begin_with() -> None:
    world = World()
    world.submit(tasks=1, cpu_seconds=1.0, evaluations=None)
    assert "1000000000 CPU seconds" in world.command(Verb.EXTEND, budget=Budget(1e300, None))
    assert world.command(Verb.EXTEND, budget=Budget(MAX_CPU_SECONDS, None)) == "accepted"


def test_why_an_object_is_refused_is_told_in_no_more_than_a_text() -> None:
    world = World()
    name = inbox_command("1")
    world.objects[name] = seal(b"CMND", Strange("v" * 10**6)), 1
    world.pass_time(15)
    assert len(world.node.outcome(name) or "") == MAX_TEXT_BYTES


def test_a_topology_has_no_more_edges_than_there_can_be() -> None:
    with pytest.raises(ValueError, match="there are 5 edges, more than 2 islands can have"):
        check(MigrationSettings(topology="free_form", edges=((0, 1),) * 5), 2)


@pytest.mark.parametrize("part", ["reference", "digest", "name", "version"])
def test_a_run_whose_problem_has_a_long_name_is_refused(part: str) -> None:
    use = msgspec.structs.replace(ProblemUse("toy", "", "toy", "1"), **{part: "x" * (MAX_TEXT_BYTES + 1)})
    settings = RunSettings(seed=1, evaluations=10)
    run = Run(
        name="r", nonce="1", problem=use, settings=settings, tasks={"t": msgspec.Raw(b"{}")}, submitted_through=""
    )
    assert f"at most {MAX_TEXT_BYTES} are allowed" in (check_run(run) or "")
