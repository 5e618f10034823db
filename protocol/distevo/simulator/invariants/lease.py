"""What must hold for the object `cluster`, judged from each write that the store carried out."""

from __future__ import annotations

from distevo.cluster import ClusterRecord
from distevo.simulator.invariants.violation import Violation

ONE_CLUSTER = "the cluster keeps its id"
ONE_WINNER = "one winner per epoch"
EPOCH_RISES = "the epoch never decreases"
FENCED = "an older epoch changes nothing after a takeover"
OWN_NAME = "a holder writes in its own name"
VERSION_RISES = "the plan's version rises by one with its pointer"
NOT_REVOKED = "a revoked member writes nothing"


class LeaseJudge:
    """Follows the history of `cluster`; owners are named `<id>-<boot>`."""

    def __init__(self) -> None:
        self.record: ClusterRecord | None = None
        self._winners: dict[int, str] = {}
        self._is_released = False

    def swapped(self, record: ClusterRecord, writer: str, is_revoked: bool = False) -> None:
        """The store has carried out this write of `writer`, whose key is revoked or not. Raises Violation."""
        before, self.record = self.record, record
        if is_revoked:
            raise Violation(NOT_REVOKED, f"{writer} wrote epoch {record.epoch}")
        if record.holder and f"{record.holder}-{record.boot}" != writer:
            raise Violation(OWN_NAME, f"{writer} wrote in the name of {record.holder}-{record.boot}")
        if before is not None:
            self._compare(before, record, writer)
        winner = self._winners.setdefault(record.epoch, writer)
        if winner != writer:
            raise Violation(ONE_WINNER, f"epoch {record.epoch} was won by {winner} and by {writer}")
        self._is_released = not record.holder

    def _compare(self, before: ClusterRecord, record: ClusterRecord, writer: str) -> None:
        if record.cluster != before.cluster:
            raise Violation(ONE_CLUSTER, f"{writer} changed {before.cluster} to {record.cluster}")
        if record.epoch < before.epoch:
            # One that has lost its epoch is told apart from one that miscounts.
            law = FENCED if self._winners.get(record.epoch) == writer else EPOCH_RISES
            raise Violation(law, f"{writer} wrote epoch {record.epoch} over epoch {before.epoch}")
        if record.epoch == before.epoch and self._is_released:
            raise Violation(ONE_WINNER, f"{writer} wrote in epoch {record.epoch}, which was released")
        expected = before.plan_version + (record.plan != before.plan)
        if record.plan_version != expected:
            raise Violation(
                VERSION_RISES,
                f"{writer} moved version {before.plan_version} to {record.plan_version}, "
                f"plan {before.plan} to {record.plan}",
            )
