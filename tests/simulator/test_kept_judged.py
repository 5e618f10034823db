"""The judge of deleted checkpoints: what two others hold or nobody needs may go, and nothing else."""

from __future__ import annotations

import pytest

from distevo.checkpoint import IslandSnapshot
from distevo.keeper import Keeper, Mark
from distevo.plan import Plan, RunState, TaskState
from distevo.simulator import expand, simulate
from distevo.simulator.invariants.kept import HELD_TWICE, KeptJudge
from tests.simulator.stories import A, B, a_plan, snapshot, violates


def saved(
    grant: int, sequence: int, cover: dict[int, int] | None = None, *, fitness: float = 1.0, island: int = 0
) -> IslandSnapshot:
    return snapshot(grant, fitness, sequence=sequence, cover=cover or {}, island=island)


def told(*snapshots: IslandSnapshot) -> KeptJudge:
    """A judge that has seen an object with each of these: "0", "1", ..."""
    judge = KeptJudge()
    for at, held in enumerate(snapshots):
        judge.created(str(at), [held])
    return judge


def test_what_two_others_hold_may_go_whoever_wrote_them() -> None:
    judge = told(*(saved(4, sequence) for sequence in (1, 2, 3)), *[saved(5, 1, {4: 3})] * 2)
    for name in "0", "1", "2":
        judge.deleted(name, a_plan(B, 5))
    judge.deleted("of no judge's concern", a_plan(B, 5))


@pytest.mark.parametrize(
    "others",
    [
        [],
        [saved(4, 3)],
        [saved(4, 3), saved(4, 1)],
        [saved(4, 3), saved(4, 2)],
        [saved(4, 3), saved(5, 7)],
        [saved(4, 3), saved(5, 7, {4: 1})],
        [saved(4, 3), saved(4, 3, island=1)],
        # What says to hold it has nothing as good.
        [saved(4, 3), saved(4, 4, fitness=0.5)],
        [saved(4, 3), snapshot(4, 1.0, sequence=4, population=b"")],
    ],
)
def test_what_fewer_hold_may_not(others: list[IslandSnapshot]) -> None:
    judge = told(saved(4, 2), *others)
    with violates(HELD_TWICE):
        judge.deleted("0", a_plan(B, 5))


def test_what_is_gone_itself_holds_nothing() -> None:
    judge = told(*(saved(4, sequence) for sequence in (1, 2, 3)))
    judge.deleted("0", a_plan(A, 4))
    with violates(HELD_TWICE):
        judge.deleted("1", a_plan(A, 4))


def with_first_grant(grant: int) -> Plan:
    """The task was extended, or is on another rung: grants below this one are over."""
    plan = a_plan(B, 5)
    plan.runs["r"].tasks["t"].first_grant = grant
    return plan


@pytest.mark.parametrize(
    "plan",
    [
        a_plan(B, 5, first_grant=5),
        with_first_grant(5),
        a_plan(B, 5, task=TaskState.DONE),
        a_plan(runs={}),
    ],
)
def test_what_nobody_needs_may_go(plan: Plan) -> None:
    told(saved(4, 2)).deleted("0", plan)


@pytest.mark.parametrize(
    "plan",
    [
        with_first_grant(4),
        a_plan(B, 5, run=RunState.CANCELLED),
        a_plan(B, 5, run=RunState.FAILED),  # its object cannot be read, and it goes on when it is extended
        a_plan(runs={}, next_grant=4),  # whoever gave this grant knows a later plan
    ],
)
def test_what_somebody_may_need_stays(plan: Plan) -> None:
    with violates(HELD_TWICE):
        told(saved(4, 2)).deleted("0", plan)


@pytest.mark.parametrize("who", [Keeper, Mark])
def test_a_node_that_covers_with_what_it_has_not_is_found_out(monkeypatch: pytest.MonkeyPatch, who: type) -> None:
    monkeypatch.setattr(who, "covers", lambda *_: True)
    finding = simulate(expand(0), 0).finding
    assert finding is not None
    assert finding.invariant == HELD_TWICE
