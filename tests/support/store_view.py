"""What the store of a cluster says, read from outside the daemons."""

from __future__ import annotations

from pathlib import Path

from distevo.checkpoint import IslandSnapshot, decode_checkpoint
from distevo.cluster import ClusterRecord, decode_cluster
from distevo.errors import NotFound
from distevo.events import IslandId
from distevo.names import CHECKPOINTS, CLUSTER, checkpoint_of
from distevo.plan import IslandPlace, Plan, decode_plan
from distevod.store import open_store


class StoreView:
    """Looks at the store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(str(folder))
        self._plan: tuple[str | None, Plan] = (None, Plan(epoch=0, version=0))
        self._checkpoints: dict[str, list[IslandSnapshot]] = {}

    def record(self) -> ClusterRecord | None:
        """The object `cluster`; None before there is one."""
        try:
            return decode_cluster(self.store.read(CLUSTER)[0])
        except NotFound:
            return None

    def plan(self) -> Plan:
        """The plan in force; an empty one before there is one."""
        record = self.record()
        if record is not None and record.plan is not None and record.plan != self._plan[0]:
            self._plan = record.plan, decode_plan(self.store.read(record.plan)[0])
        return self._plan[1]

    def snapshots(self) -> list[tuple[str, IslandSnapshot]]:
        """(owner, state) of each island in each checkpoint; one that is deleted meanwhile is left out."""
        names = self.store.list(CHECKPOINTS)
        found: dict[str, list[IslandSnapshot]] = {}
        for name in names:
            try:
                found[name] = self._checkpoints.get(name) or decode_checkpoint(self.store.read(name)[0]).islands
            except NotFound:
                continue
        self._checkpoints = found
        return [
            (owner[0], snapshot)
            for name, snapshots in found.items()
            if (owner := checkpoint_of(name)) is not None
            for snapshot in snapshots
        ]


def places(plan: Plan) -> dict[IslandId, IslandPlace]:
    """Where the islands of open tasks live."""
    return {
        IslandId(name, task, index): place
        for name, run in plan.runs.items()
        for task, entry in run.tasks.items()
        if entry.is_open_in(run.state)
        for index, place in enumerate(entry.islands)
    }
