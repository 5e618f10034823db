"""Islands that are given away: what the workers of one platform die of, another may go on with."""

from __future__ import annotations

from collections.abc import Callable

from distevo.events import IslandId, TaskId
from distevo.ledger import Ledger
from distevo.outbox import Outbox, Publish
from distevo.speech import member_of
from distevo.task_ends import TaskEnd

Elsewhere = Callable[[IslandId, str], str | None]
"""The owner that can take an island in the place of this one; None if there is nobody."""


class GivenAway:
    """Gives each island away once; it is known as long as its task is open and the term lasts."""

    def __init__(
        self,
        ledger: Ledger,
        outbox: Outbox,
        elsewhere: Elsewhere,
        publish: Publish,
        changed: Callable[[], None],
    ) -> None:
        """`changed`: an owner has one island less, and another one more."""
        self._ledger, self._outbox, self._elsewhere = ledger, outbox, elsewhere
        self._publish, self._changed = publish, changed
        self._given: set[IslandId] = set()

    def __contains__(self, island: IslandId) -> bool:
        return island in self._given

    def give(self, end: TaskEnd, island: IslandId, owner: str, error: str) -> bool:
        """Workers of a platform die of an island, with no program to blame: it may be too weak for it, as where memory
        is short. Let another platform go on, if there is one, and they have not died of it before; whether that is
        so."""
        if island in self._given:
            return False
        taker = self._elsewhere(island, owner)
        if taker is None:
            return False
        self._given.add(island)
        member = member_of(owner)
        end.warning = end.warning or f"{member}: {error}"
        what = {"island": str(island), "member": member, "to": member_of(taker), "reason": error}
        self._outbox.log("warning", "an island is given to another platform", **what)
        self._ledger.assign(island, taker)
        self._publish()
        self._changed()
        return True

    def forget_task(self, task: TaskId) -> None:
        """A task has its result, or goes on from one."""
        self._given = {island for island in self._given if island[:2] != task}

    def forget_run(self, run: str) -> None:
        """A run is gone."""
        self._given = {island for island in self._given if island.run != run}
