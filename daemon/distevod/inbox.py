"""The inbox: what is asked of the coordinator is put into the store, and waited for until the plan has taken it in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from distevo.errors import Conflict, Unknown
from distevo.events import InboxChanged
from distevod.lanes import in_lane
from distevod.logs import fields
from distevod.refusal import Refusal
from distevod.runtime import Runtime

TAKE_IN_SECONDS = 10.0
"""How long a request to the coordinator waits for the plan to hold what it asked for."""
FOLLOWER_SECONDS = 30.0
"""The same where another coordinates: mail there, its look into the inbox, and this platform's look at the plan."""
WRITES = 5
"""Tries to write what somebody has submitted, while nobody knows whether it was."""
WRITE_PAUSE_SECONDS = 0.5
"""After the first of them; twice as long after each further one."""

log = logging.getLogger("distevod.service")


class Inbox:
    """The way to whoever coordinates, this member or another."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def hand_in(self, name: str, data: bytes) -> str | None:
        """Put an object into the inbox and wait until the plan has taken it in: `accepted`, or why not; None if that
        takes too long. It is durable when this returns.

        Raises Refusal where an object of that name is there from before, StoreError where it cannot be written.
        """
        await self._write_once(name, data)
        node = self._runtime.node
        await self.until(lambda: node.outcome(name) is not None, begin=lambda: self._runtime.feed(InboxChanged()))
        return node.outcome(name)

    async def _write_once(self, name: str, data: bytes) -> None:
        """Create an object of a name that nobody else makes. What may have been written is written again: then it
        exists, and that was ours. Raises Refusal where it exists from before, StoreError when no try succeeds."""
        for attempt in range(WRITES):
            try:
                await in_lane(self._runtime.lanes.reads, self._runtime.store.create, name, data)
            except Conflict as error:
                if attempt == 0:
                    raise Refusal("refused", str(error)) from error
                return
            except Unknown:
                if attempt == WRITES - 1:
                    raise
                await asyncio.sleep(WRITE_PAUSE_SECONDS * 2**attempt)
            else:
                return

    async def until(self, condition: Callable[[], bool], begin: Callable[[], None] | None = None) -> None:
        """Wait until this is true after some event, or for as long as is usual here."""
        seconds = TAKE_IN_SECONDS if self._runtime.node.lease.is_held else FOLLOWER_SECONDS
        try:
            await self._runtime.until(condition, seconds, begin)
        except TimeoutError:
            log.warning("a request waited long", extra=fields(seconds=seconds))
