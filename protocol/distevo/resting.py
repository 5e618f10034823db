"""Resting: an island that has nothing left to evolve, from its last generation to what the coordinator is told of it.

What former owners left in the store is merged into its state first: one that was cut off may have written on. What one
of them hands over after that is told too, but saved no more. The state that was told may be in a result by now, and a
result is to be as good as each checkpoint of the island's owner; in the former owner's own checkpoint it stays, for
whoever takes the island up again.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from distevo.checkpoint import IslandSnapshot, restore
from distevo.events import TaskId
from distevo.library import Library
from distevo.news import News
from distevo.plan import RunPlan
from distevo.program import Program
from distevo.work import IslandWork, Stage, is_covered, population_of, states_of


class Resting:
    """The last states of the islands that rest here."""

    def __init__(
        self,
        library: Library,
        news: News,
        *,
        next_sequence: Callable[[], int],
        fit: Callable[[TaskId, list[Program], float], None],
        refuse: Callable[[str, str], None],
    ) -> None:
        """`fit` is told of fit programs that former owners found, `refuse` of runs that others have to end, and why."""
        self._library, self._news, self._next_sequence = library, news, next_sequence
        self._fit, self._refuse = fit, refuse

    def conclude(self, work: IslandWork, run: RunPlan, now: float) -> None:
        """Tell the coordinator of an island that rests, with all that former owners found."""

        def complete(found: list[IslandSnapshot], refusal: str, now: float) -> None:
            if work.stage is not Stage.FINAL:
                return
            if refusal:
                # A newer distevo wrote some of it. Whoever can read that has to end this island.
                self._refuse(work.id.run, refusal)
                return
            work.snapshot = self._merged(work, work.state, found, run, now)
            self._tell(work, now)

        if work.former and not work.is_fit:
            self._library.snapshots(work.former, complete, now)
        else:
            self._tell(work, now)

    def supplement(self, work: IslandWork, handed: IslandSnapshot, run: RunPlan, now: float) -> None:
        """A former owner hands a state over for an island that rests."""
        grant, told = self._news.finals.get(work.id, (-1, None))
        if grant != work.grant:
            # Not told yet: it will be when the rest has been fetched.
            work.snapshot = self._merged(work, work.state, [handed], run, now)
        elif told is None or not is_covered(told, handed):
            merged = self._merged(work, told or work.state, [handed], run, now)
            self._news.final(work.id, work.grant, merged, now, work.rung)

    def _merged(
        self, work: IslandWork, state: IslandSnapshot, former: list[IslandSnapshot], run: RunPlan, now: float
    ) -> IslandSnapshot:
        """A last state with those of former owners; if there is a fit program among theirs, that is told at once."""
        # Numbered anew, since it is newer than any checkpoint of this grant.
        state = msgspec.structs.replace(state, sequence=self._next_sequence())
        merged = restore([*states_of(work.id, former, run), state], work.grant)
        assert merged is not None
        fit = [program for program in population_of(merged) if program.fit]
        if fit:
            work.is_fit = True
            self._fit(work.id[:2], fit, now)
        return merged

    def _tell(self, work: IslandWork, now: float) -> None:
        work.snapshot = msgspec.structs.replace(work.state, sequence=self._next_sequence())
        self._news.final(work.id, work.grant, work.snapshot if work.is_begun else None, now, work.rung)
