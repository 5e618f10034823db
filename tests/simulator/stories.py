"""Stories that judges are told: true ones, which they take, and false ones, each of which they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from distevo.cluster import ClusterRecord
from distevo.events import IslandId
from distevo.plan import IslandPlace, MemberPlan, MemberState, Plan, RunPlan, RunState, TaskPlan, TaskState
from distevo.run import Budget
from distevo.simulator.invariants.violation import Violation
from distevo.simulator.workers import PROBLEM

A, B = "a-1", "b-2"
ISLAND = IslandId("r", "t", 0)


@contextmanager
def violates(invariant: str) -> Iterator[None]:
    """What is told inside breaks this invariant, and no other."""
    with pytest.raises(Violation) as caught:
        yield
    assert caught.value.invariant == invariant


def record(epoch: int, owner: str = A, **fields: Any) -> ClusterRecord:
    """`cluster` while this owner holds the lease."""
    member, _, boot = owner.rpartition("-")
    known: dict[str, Any] = {"cluster": "c", "nonce": "n", "ttl": 15.0, "plan": None, "plan_version": 0}
    return ClusterRecord(epoch=epoch, holder=member, boot=boot, **(known | fields))


def released(epoch: int) -> ClusterRecord:
    """`cluster` after its holder has let go."""
    return msgspec.structs.replace(record(epoch), holder="", boot="")


def member(boot: str, state: MemberState = MemberState.ALIVE, *, is_draining: bool = False) -> MemberPlan:
    return MemberPlan(
        boot=boot,
        kind="server",
        workers=1,
        memory_mb=1,
        batch_size=1,
        key=f"key {boot}",
        state=state,
        is_draining=is_draining,
    )


def a_plan(
    owner: str = A,
    grant: int = 1,
    *,
    task: TaskState = TaskState.OPEN,
    result: str | None = None,
    run: RunState = RunState.RUNNING,
    rung: int = 0,
    first_grant: int = 1,
    **fields: Any,
) -> Plan:
    """A plan with one run of one task of one island."""
    known: dict[str, Any] = {
        "epoch": 1,
        "version": 1,
        "next_grant": 10,
        "members": {"a": member("1"), "b": member("2")},
        "runs": {
            "r": RunPlan(
                object="inbox/run-r-0",
                first_grant=first_grant,
                state=run,
                problem=PROBLEM,
                islands_per_task=1,
                budget=Budget(None, 100),
                tasks={"t": TaskPlan(state=task, islands=[IslandPlace(owner, grant)], result=result, rung=rung)},
            )
        },
    }
    return Plan(**(known | fields))
