"""The judge of balance: islands come to rest."""

from __future__ import annotations

from collections.abc import Sequence

from distevo.plan import MemberState, TaskState
from distevo.simulator.invariants import flaps
from tests.simulator.stories import ISLAND, A, B, a_plan, member, violates


def handed(judge: flaps.FlapJudge, owners: Sequence[str], **refused: list[str]) -> None:
    """An island that each of these works on is given to the next, one in a second."""
    for now, owner in enumerate(owners):
        judge.in_force(a_plan(owner), now, refused)
        judge.at_work(ISLAND)


def test_an_island_that_comes_to_rest() -> None:
    judge = flaps.FlapJudge()
    handed(judge, (A, B, A, B, A))
    assert judge.moves == flaps.MOST_MOVES
    judge.in_force(a_plan(B), flaps.WINDOW_SECONDS + 5)
    # From who is dead or leaves it has to go, and from nobody it goes to somebody.
    for members in ({"a": member("1", MemberState.DEAD), "b": member("2", is_draining=True)},):
        for now, owner in enumerate((A, B, A, "", B, A), 100):
            judge.in_force(a_plan(owner, members=members), now)
    assert judge.moves == flaps.MOST_MOVES + 1


def test_an_island_that_is_handed_to_and_fro() -> None:
    judge = flaps.FlapJudge()
    handed(judge, (A, B, A, B, A))
    with violates(flaps.COMES_TO_REST):
        judge.in_force(a_plan(B), 50)


def test_an_island_that_waits_may_follow_idle_workers_but_not_for_ever() -> None:
    judge = flaps.FlapJudge()
    for now in range(flaps.MOST_WAITING_MOVES + 1):
        judge.in_force(a_plan((A, B)[now % 2]), now)
    with violates(flaps.COMES_TO_REST):
        judge.in_force(a_plan((A, B)[now % 2 - 1]), 50)


def test_who_refuses_an_island_is_excused_once() -> None:
    judge = flaps.FlapJudge()
    handed(judge, (A, B, A, B, A, B), a=["r"])
    assert judge.moves == flaps.MOST_MOVES
    with violates(flaps.COMES_TO_REST):
        judge.in_force(a_plan(A), 50, {"a": ["r"]})


def test_another_run_that_is_refused_excuses_nothing() -> None:
    judge = flaps.FlapJudge()
    with violates(flaps.COMES_TO_REST):
        handed(judge, (A, B, A, B, A, B), a=["other"], b=["other"])


def test_each_end_of_other_work_excuses_one_move() -> None:
    judge = flaps.FlapJudge()
    other = a_plan(task=TaskState.OPEN).runs["r"]

    def given(owner: str, now: float, *, is_other_open: bool) -> None:
        plan = a_plan(owner)
        if is_other_open:
            plan.runs["other"] = other
        judge.in_force(plan, now)
        judge.at_work(ISLAND)

    for now, owner in enumerate((A, B, A, B, A)):
        given(owner, now, is_other_open=True)
    given(B, 5, is_other_open=False)
    with violates(flaps.COMES_TO_REST):
        given(A, 6, is_other_open=False)
