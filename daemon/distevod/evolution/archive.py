"""The archive: the programs that an island keeps, one for each behaviour, the best first."""

from __future__ import annotations

from collections.abc import Iterable

from distevo.program import Program


class Archive:
    """The best `size` programs, at most one for each behaviour, of all that were ever offered; and all fit ones.

    That depends on the set of programs offered and neither on their order nor on how often each was: a program
    evaluated twice changes nothing. Hence forgetting which keys were tried costs evaluations and never the
    trajectory, and what another island brings can always be taken in.

    A program of unknown behaviour stands for itself.
    """

    def __init__(self, size: int, programs: Iterable[Program] = ()) -> None:
        self._size = size
        self._by_behaviour: dict[bytes, Program] = {}
        self.programs: list[Program] = []
        """In their total order."""
        self.offer(programs)

    def offer(self, programs: Iterable[Program]) -> list[Program]:
        """Take these in where they are better; returns those that were, though later ones may have pushed them out."""
        kept = self._by_behaviour
        floor = self.programs[self._size - 1] if len(self.programs) >= self._size else None
        taken = []
        for program in programs:
            if floor is not None and program >= floor and not program.fit:
                continue
            behaviour = program.behaviour or program.key
            known = kept.get(behaviour)
            if known is None or program < known:
                kept[behaviour] = program
                taken.append(program)
        if taken:
            ranked = sorted(kept.values())
            self.programs = ranked[: self._size] + [program for program in ranked[self._size :] if program.fit]
            for program in ranked[self._size :]:
                if not program.fit:
                    del kept[program.behaviour or program.key]
        return taken

    def __len__(self) -> int:
        return len(self.programs)
