"""Names of runs: which are taken, by whomever and wherever, and which is free."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from concurrent.futures import Executor

from distevo.names import INBOX_RUNS, inbox_run
from distevo.node import Node
from distevo.run import Run
from distevod.lanes import in_lane
from distevod.reading import Reader
from distevod.refusal import Refusal

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
STEM_LENGTH = 50
"""Characters of a problem's name in that of a run, which a number follows."""


def is_run_name(name: str) -> bool:
    """Whether a run may be called so."""
    return _NAME.fullmatch(name) is not None


class RunNames:
    """Looks a name up in the plan, among what waits in the store, and among what is being submitted here."""

    def __init__(self, store: Reader, threads: Executor, node: Node) -> None:
        self._store, self._threads, self._node = store, threads, node
        self._submitting: dict[str, str] = {}
        """Names by inbox object."""

    @contextlib.contextmanager
    def submitting(self, run: Run) -> Iterator[None]:
        """Its name is taken, though nobody knows yet whether its object will be there."""
        name = inbox_run(run.name, run.nonce)
        self._submitting[name] = run.name
        try:
            yield
        finally:
            del self._submitting[name]

    def known(self, name: object) -> str:
        """The name of a run that the plan in force has. Raises Refusal if it has none of this name."""
        runs = self._node.following.plan.runs
        if not isinstance(name, str) or name not in runs:
            latest = ", ".join(list(runs)[-5:]) or "none"
            raise Refusal("not_found", f"there is no run {name!r}; the latest are: {latest}")
        return name

    async def is_taken(self, name: str) -> bool:
        """Whether a run is called so. Raises StoreError."""
        return self._is_taken(name, await self._waiting())

    async def free(self, problem: str) -> str:
        """A name for a run of this problem, which no other has. Raises StoreError."""
        stem = re.sub(r"[^A-Za-z0-9._-]", "-", problem).lstrip("._-")[:STEM_LENGTH] or "run"
        waiting, number = await self._waiting(), 1
        while self._is_taken(name := f"{stem}-{number}", waiting):
            number += 1
        return name

    async def _waiting(self) -> set[str]:
        """The objects of runs in the store, without their nonces, wherever these were submitted: whoever waits to be
        taken in has its name, though no plan says so yet. What was refused or deleted has it no more."""
        names = await in_lane(self._threads, self._store.list, INBOX_RUNS)
        return {name.rpartition("-")[0] for name in names if name not in self._node.following.plan.handled}

    def _is_taken(self, name: str, waiting: set[str]) -> bool:
        is_waiting = inbox_run(name, "").removesuffix("-") in waiting
        return is_waiting or name in self._node.plan.runs or name in self._submitting.values()
