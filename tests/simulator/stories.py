"""Stories that judges are told: true ones, which they take, and false ones, each of which they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from distevo.block import pack
from distevo.checkpoint import Counters, IslandSnapshot
from distevo.cluster import ClusterRecord
from distevo.events import IslandId
from distevo.plan import IslandPlace, MemberPlan, MemberState, Plan, RunPlan, RunState, TaskPlan, TaskState
from distevo.program import Program
from distevo.run import Budget
from distevo.simulator.invariants.violation import Violation
from distevo.simulator.workers import KEY_OF, PROBLEM

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


def snapshot(grant: int, fitness: float, *, fit: bool = False, **fields: Any) -> IslandSnapshot:
    """What an owner has of the island of `a_plan`, with one program of this fitness."""
    genome = f"{fitness} {fit}".encode()
    known: dict[str, Any] = {
        "run": ISLAND.run,
        "task": ISLAND.task,
        "island": ISLAND.island,
        "problem": PROBLEM.name,
        "version": PROBLEM.version,
        "grant": grant,
        "sequence": 1,
        "cover": {},
        "seed": "0" * 32,
        "generation": 1,
        "cursor": 0,
        "optimizer": b"",
        "population": pack([Program.of(genome, KEY_OF(genome), (fitness,), fit)]),
        "invalid": [],
        "suspects": [],
        "counters": Counters(),
    }
    return IslandSnapshot(**(known | fields))
