"""Views measure how long it takes until all members see a change."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from distevo.plan import MemberPlan, MemberState, Plan
from distevo.simulator.views import Views


def plan(epoch: int = 1, **states: MemberState) -> Plan:
    members = {
        name: MemberPlan(boot="1", kind="local", workers=1, memory_mb=1, batch_size=1, state=state)
        for name, state in states.items()
    }
    return Plan(epoch=epoch, version=1, members=members)


def boots(**followed: Plan) -> list[Any]:
    return [
        SimpleNamespace(owner=f"{name}-1", is_leaving=False, node=SimpleNamespace(following=SimpleNamespace(plan=plan)))
        for name, plan in followed.items()
    ]


ALIVE, DEAD = MemberState.ALIVE, MemberState.DEAD


def test_a_change_is_seen_when_the_last_member_sees_it() -> None:
    views = Views()
    views.began("a-1", 0.0)
    views.began("b-1", 1.0)
    old, new = plan(a=ALIVE), plan(a=ALIVE, b=ALIVE)
    views.look(boots(a=new, b=old), new, 2.0)
    assert views.joins == [2.0]
    views.look(boots(a=new, b=new), new, 5.0)
    assert views.joins == [2.0, 4.0]
    views.ended("b-1", 10.0)
    views.look(boots(a=new), new, 11.0)
    assert views.departures == []
    gone = plan(a=ALIVE, b=DEAD)
    views.look(boots(a=gone), gone, 13.0)
    assert views.departures == [3.0]


def test_a_successor_counts_when_all_follow_it() -> None:
    views = Views()
    views.vacant(1, 10.0)
    old, new = plan(1, a=ALIVE, b=ALIVE), plan(2, a=ALIVE, b=ALIVE)
    views.look(boots(a=new, b=old), new, 12.0)
    assert views.successions == []
    views.look(boots(a=new, b=new), new, 14.0)
    assert views.successions == [4.0]


def test_only_the_first_island_of_a_boot_is_waited_for() -> None:
    views = Views()
    views.began("a-1", 1.0)
    for now in (3.0, 9.0):
        views.started("a-1", now)
    assert views.first_islands == [2.0]


def test_living_members_that_the_plan_calls_dead_are_estranged() -> None:
    views = Views()
    alive, dead = plan(a=ALIVE, b=ALIVE, c=DEAD), plan(a=ALIVE, b=DEAD, c=DEAD)
    # c was never shown alive since it started: it is new, and not estranged.
    for now, shown in ((1.0, alive), (2.0, dead), (3.0, dead), (4.0, alive)):
        views.look(boots(a=shown, b=shown, c=shown), shown, now)
    assert views.estrangements == [(2.0, 2.0, 1)]
    # Whoever has ended is dead, and rightly so.
    views.look(boots(a=dead, c=dead), dead, 5.0)
    views.look(boots(a=dead, c=dead), dead, 6.0)
    assert views.estrangements == [(2.0, 2.0, 1)]
