"""The judge of leavers: who is to leave has left in time."""

from __future__ import annotations

from distevo.plan import MemberState, Plan
from distevo.simulator.invariants import leavers
from tests.simulator.stories import A, a_plan, member, violates


def draining(state: MemberState = MemberState.ALIVE) -> Plan:
    return a_plan(A, members={"a": member("1", state, is_draining=True), "b": member("2")})


def test_who_is_drained_leaves_in_time() -> None:
    judge = leavers.LeaverJudge(bound=10)
    judge.sweep(draining(), [A], 0, 5)
    judge.sweep(draining(), [A], 0, 15)
    judge.sweep(draining(), [], 0, 99)
    # Who was only asked to stop, or is given up, is judged by others.
    for told in (a_plan(A), draining(MemberState.DEAD)):
        judge.sweep(told, [A], 0, 100)
        judge.sweep(told, [A], 0, 200)


def test_who_is_drained_and_stays() -> None:
    judge = leavers.LeaverJudge(bound=10)
    judge.sweep(draining(), [A], 0, 5)
    judge.sweep(draining(), [A], 8, 18)
    with violates(leavers.LEAVES_IN_TIME):
        judge.sweep(draining(), [A], 8, 18.1)
