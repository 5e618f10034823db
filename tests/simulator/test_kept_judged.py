"""The judge of deleted checkpoints: what two others hold or nobody needs may go, and nothing else."""

from __future__ import annotations

import pytest

from distevo.events import IslandId
from distevo.keeper import Keeper, Mark
from distevo.plan import Plan
from distevo.simulator import expand, simulate
from distevo.simulator.invariants.kept import HELD_TWICE, KeptJudge
from tests.simulator.stories import ISLAND, A, B, a_plan, violates


def told(*marks: Mark) -> KeptJudge:
    """A judge that has seen an object with each of these: "0", "1", ..."""
    judge = KeptJudge()
    for at, mark in enumerate(marks):
        judge.created(str(at), [mark])
    return judge


def test_what_two_others_hold_may_go_whoever_wrote_them() -> None:
    judge = told(*(Mark(ISLAND, 4, sequence, {}) for sequence in (1, 2, 3)), *[Mark(ISLAND, 5, 1, {4: 3})] * 2)
    for name in "0", "1", "2":
        judge.deleted(name, a_plan(B, 5))
    judge.deleted("of no judge's concern", a_plan(B, 5))


@pytest.mark.parametrize(
    "others",
    [
        [],
        [Mark(ISLAND, 4, 3, {})],
        [Mark(ISLAND, 4, 3, {}), Mark(ISLAND, 4, 1, {})],
        [Mark(ISLAND, 4, 3, {}), Mark(ISLAND, 5, 7, {})],
        [Mark(ISLAND, 4, 3, {}), Mark(ISLAND, 5, 7, {4: 1})],
        [Mark(ISLAND, 4, 3, {}), Mark(IslandId("r", "t", 1), 4, 3, {})],
    ],
)
def test_what_fewer_hold_may_not(others: list[Mark]) -> None:
    judge = told(Mark(ISLAND, 4, 2, {}), *others)
    with violates(HELD_TWICE):
        judge.deleted("0", a_plan(B, 5))


def test_what_is_gone_itself_holds_nothing() -> None:
    judge = told(*(Mark(ISLAND, 4, sequence, {}) for sequence in (1, 2, 3)))
    judge.deleted("0", a_plan(A, 4))
    with violates(HELD_TWICE):
        judge.deleted("1", a_plan(A, 4))


@pytest.mark.parametrize("plan", [a_plan(B, 5, first_grant=5), a_plan(B, 5, runs={})])
def test_what_nobody_needs_may_go(plan: Plan) -> None:
    told(Mark(ISLAND, 4, 2, {})).deleted("0", plan)


def test_a_node_that_covers_with_what_it_has_not_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keeper, "covers", lambda *_: True)
    finding = simulate(expand(0), 0).finding
    assert finding is not None
    assert finding.invariant == HELD_TWICE
