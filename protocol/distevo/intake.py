"""The intake: from what an island that is new here goes on.

From what a former owner hands over, else from what all of them left in the store; and, of a task that was extended
or is past its first budget, from its result, from which they began themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from distevo.checkpoint import IslandSnapshot
from distevo.events import IslandId
from distevo.library import Library
from distevo.outbox import Outbox
from distevo.work import IslandWork

HAND_OVER_SECONDS = 10.0
"""How long a new owner waits for the state from a living former owner before it takes what the store has."""

TakeStates = Callable[[IslandWork, list[IslandSnapshot], str, float], None]
"""(island, verified states, why nothing may be made of them, now)."""


class Handed(NamedTuple):
    """What a former owner sent of an island: its state, with its own grant; or that it has none, with the grant under
    which somebody else has the island by the plan that it follows."""

    grant: int
    state: IslandSnapshot | None


class Intake:
    """Islands that are being fetched, and what came for those that are not here yet."""

    def __init__(self, outbox: Outbox, library: Library, is_alive: Callable[[str], bool], then: TakeStates) -> None:
        """`is_alive` speaks of owners; `then` gets the states of each island that is still being fetched."""
        self._outbox, self._library, self._is_alive, self._then = outbox, library, is_alive, then
        self._handed: dict[IslandId, dict[str, Handed]] = {}
        """By former owner, what it sent last."""
        self._waiting: dict[IslandId, tuple[IslandWork, str | None]] = {}
        """Islands whose former owner has been asked for nothing yet but time, with the result that they begin from."""

    def keep(self, is_awaited: Callable[[IslandId, int], bool]) -> None:
        """A plan is in force: forget what was sent under grants after which an island went elsewhere, or is over."""
        for island, by_owner in list(self._handed.items()):
            kept = {owner: handed for owner, handed in by_owner.items() if is_awaited(island, handed.grant)}
            if kept:
                self._handed[island] = kept
            else:
                del self._handed[island]

    def fetch(self, work: IslandWork, result: str | None, now: float) -> None:
        """Begin; `result` names the one that a task has, which was extended or is past its first budget."""
        is_answered = not work.former or work.former[-1] in self._handed.get(work.id, {})
        if is_answered or not self._is_alive(work.former[-1]):
            self._read(work, result, now)
        else:
            self._waiting[work.id] = work, result
            self._outbox.later(now + HAND_OVER_SECONDS, lambda now: self._waited(work, result, now))

    def look(self, now: float) -> None:
        """Somebody is gone: of whoever is dead nothing is waited for."""
        for work, result in list(self._waiting.values()):
            if not self._is_alive(work.former[-1]):
                self._waited(work, result, now)

    def _waited(self, work: IslandWork, result: str | None, now: float) -> None:
        waiting = self._waiting.get(work.id)
        if waiting is not None and waiting[0] is work:
            self._read(work, result, now)

    def came(self, island: IslandId, owner: str, handed: Handed) -> None:
        """A former owner sends a state, or says that it has none. It may come before the plan does."""
        self._handed.setdefault(island, {})[owner] = handed

    def _start(self, work: IslandWork) -> IslandSnapshot | None:
        """The state that was sent by the last owner which had begun: it has taken in what others did before."""
        by_owner = self._handed.get(work.id, {})
        for owner in reversed(work.former):
            handed = by_owner.get(owner)
            if handed is None or handed.state is not None:
                return handed.state if handed is not None and handed.grant < work.grant else None
        return None

    def _read(self, work: IslandWork, result: str | None, now: float) -> None:
        self._waiting.pop(work.id, None)
        if not work.is_fetching:
            return
        if result is None:
            self._read_rest(work, [], "", now)
        else:
            self._library.result(result, lambda found, refusal, now: self._read_rest(work, found, refusal, now))

    def _read_rest(self, work: IslandWork, known: list[IslandSnapshot], refusal: str, now: float) -> None:
        if not work.is_fetching:
            return
        start, by_owner = self._start(work), self._handed.pop(work.id, {})
        if refusal:
            self._then(work, [], refusal, now)
        elif start is not None:
            self._then(work, [*known, start], "", now)
        else:
            # Who has none left nothing in the store either, unless it was given the island once more since.
            empty = {owner for owner, (grant, state) in by_owner.items() if state is None and grant >= work.grant}
            work.former = tuple(owner for owner in work.former if owner not in empty)
            self._library.snapshots(
                work.former, lambda found, refusal, now: self._found(work, known, found, refusal, now), now
            )

    def _found(
        self, work: IslandWork, known: list[IslandSnapshot], found: list[IslandSnapshot], refusal: str, now: float
    ) -> None:
        """What former owners left; of what they did before the result that is known, that has more than they saved."""
        if work.is_fetching:
            newer = [state for state in found if state.grant >= work.since or not known]
            self._then(work, [*known, *newer], refusal, now)
