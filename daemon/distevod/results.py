"""The results that people ask for: all that the plan in force names, each object read once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor

from distevo.plan import RunPlan
from distevo.result import Result, decode_result
from distevo.view import Unreadable
from distevod.lanes import in_lane
from distevod.reading import Reader, attempt_all

Found = dict[str, Result | Unreadable]
"""By the name of the object."""
KEPT = 2_000
"""Results that are kept, unless more were asked for at once."""
SUPERSEDED_TRIES, SUPERSEDED_WAIT_SECONDS = 3, 1.0
"""How often results are read that a plan names, and that are superseded meanwhile; and the time between."""


class Results:
    """Reads results from a store, and keeps what it has read: an object never changes."""

    def __init__(self, store: Reader, threads: Executor) -> None:
        self._store, self._threads = store, threads
        self._kept: dict[str, Result] = {}

    async def of(self, planned: Callable[[], RunPlan], task: str | None) -> tuple[RunPlan, Found]:
        """A run, and the results that it names, or that of one `task`.

        `planned` is asked again after each reading, so that nobody is told that a task is done and not its result.
        Raises StoreError, and what `planned` raises.
        """
        found: Found = {}
        misses: Counter[str] = Counter()
        while True:
            run = planned()
            entries = [run.tasks[task]] if task is not None else run.tasks.values()
            named = {entry.result for entry in entries if entry.result is not None}
            found |= {name: self._kept[name] for name in named & self._kept.keys()}
            lacking = named - found.keys()
            if not lacking:
                break
            if any(misses[name] for name in lacking):
                # It may have been one of a lower budget; here the plan that names another comes a moment later.
                await asyncio.sleep(SUPERSEDED_WAIT_SECONDS)
            for name, result in (await self._read(lacking)).items():
                if isinstance(result, Unreadable) and result.is_missing:
                    misses[name] += 1
                    if misses[name] < SUPERSEDED_TRIES:
                        continue
                found[name] = result
        self._keep({name: result for name in named if isinstance(result := found[name], Result)})
        return run, found

    async def _read(self, names: set[str]) -> Found:
        return await in_lane(self._threads, attempt_all, self._store, names, decode)

    def _keep(self, asked_for: dict[str, Result]) -> None:
        self._kept = {name: result for name, result in self._kept.items() if name not in asked_for} | asked_for
        for name in list(self._kept)[: -max(KEPT, len(asked_for))]:
            del self._kept[name]


def decode(data: bytes) -> Result:
    """The result alone, without the states of its islands."""
    return decode_result(data)[0]
