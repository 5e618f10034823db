"""The judge of the lease: who may write `cluster`, and what."""

from __future__ import annotations

import msgspec
import pytest

from distevo.cluster import ClusterRecord
from distevo.simulator.invariants import lease
from tests.simulator.stories import A, B, record, released, violates


def test_a_lease_is_taken_renewed_released_and_taken_over() -> None:
    judge = lease.LeaseJudge()
    judge.swapped(record(1), A)
    judge.swapped(record(1, plan="p1", plan_version=1), A)
    judge.swapped(record(2, B, plan="p1", plan_version=1), B)
    judge.swapped(msgspec.structs.replace(record(2, plan="p1", plan_version=1), holder="", boot=""), B)
    judge.swapped(record(3, A, plan="p3", plan_version=2), A)


@pytest.mark.parametrize(
    ("invariant", "before", "writer", "after"),
    [
        (lease.ONE_CLUSTER, record(1), A, record(1, cluster="d")),
        (lease.ONE_WINNER, record(1), B, record(1, B)),
        (lease.ONE_WINNER, released(1), A, record(1)),
        (lease.EPOCH_RISES, record(2), B, record(1, B)),
        (lease.OWN_NAME, record(1), B, record(1, A)),
        (lease.VERSION_RISES, record(1), A, record(1, plan="p", plan_version=2)),
        (lease.VERSION_RISES, record(1, plan="p", plan_version=1), A, record(1, plan="q", plan_version=1)),
    ],
)
def test_a_false_write_of_cluster(invariant: str, before: ClusterRecord, writer: str, after: ClusterRecord) -> None:
    judge = lease.LeaseJudge()
    judge.swapped(before, A)
    with violates(invariant):
        judge.swapped(after, writer)


def test_who_was_deposed_writes_no_more() -> None:
    judge = lease.LeaseJudge()
    judge.swapped(record(1), A)
    judge.swapped(record(2, B), B)
    with violates(lease.FENCED):
        judge.swapped(record(1), A)


def test_who_was_revoked_writes_no_more() -> None:
    with violates(lease.NOT_REVOKED):
        lease.LeaseJudge().swapped(record(1), A, is_revoked=True)
