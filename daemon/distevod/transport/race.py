"""Several ways to one end, tried one after the other, none waited for for long (in the manner of RFC 8305)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class AllFailed(Exception):  # noqa: N818 - it says what happened
    """None led there; the text gives each reason once."""


class Race(Generic[T]):
    """Begins a try each `stagger` seconds, or as soon as none is under way; the first that succeeds ends the others."""

    def __init__(
        self, tries: Sequence[Callable[[], Awaitable[T]]], stagger: float, discard: Callable[[T], None]
    ) -> None:
        """A try raises AllFailed when it comes to nothing. `discard` takes what succeeded too late."""
        self._waiting = list(tries)
        self._stagger, self._discard = stagger, discard
        self._running: set[asyncio.Task[T]] = set()
        self._reasons: list[str] = []

    async def run(self) -> T:
        """What the first try returned that did not fail. Raises AllFailed."""
        try:
            winner = await self._first()
        except BaseException:
            await self._end_losers()
            raise
        try:
            await self._end_losers()
        except BaseException:
            self._discard(winner)
            raise
        return winner

    async def _first(self) -> T:
        while self._waiting or self._running:
            if self._waiting:
                self._running.add(asyncio.ensure_future(_run(self._waiting.pop(0))))
            done, _ = await asyncio.wait(
                self._running,
                timeout=self._stagger if self._waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                self._running.discard(task)
                try:
                    winner = await task
                except AllFailed as failure:
                    self._reasons.append(str(failure))
                else:
                    self._running |= done  # another that came in at the same moment is a loser as well
                    self._running.discard(task)
                    return winner
        raise AllFailed("; ".join(dict.fromkeys(self._reasons)) or "nothing to try")

    async def _end_losers(self) -> None:
        for task in self._running:
            task.cancel()
        for result in await asyncio.gather(*self._running, return_exceptions=True):
            if not isinstance(result, BaseException):
                self._discard(result)


async def _run(attempt: Callable[[], Awaitable[T]]) -> T:
    return await attempt()
