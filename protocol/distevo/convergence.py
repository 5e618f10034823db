"""Convergence: whether an island still gets anywhere.

An archive keeps one program for each behaviour, so the entropy of behaviours is as high as it can be also when nothing
new has come for hours, and the entropy of fitness falls in a population that is about to break through as in one that
is stuck. What tells them apart is renewal. An island has *converged* when, within its last `window` of generations, its
best program was not made, and hardly any (`LEAST_RENEWED`) of those that it keeps was. Provenance says all that, so a
state alone tells it, wherever it is looked at and however often work on it was begun anew.

Programs from other islands count as old: an island that lives on immigrants alone has converged too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from distevo.checkpoint import IslandSnapshot
from distevo.program import Program
from distevo.provenance import made_after, provenance_of

WINDOW_GENERATIONS = 50
"""Where the run does not say after how many an island that got nowhere is restarted."""
LEAST_RENEWED = 0.05
"""Of an archive. The last places change hands for as long as ties are broken by size and key; that is no progress."""
PROPOSALS_PER_PROGRAM = 10
"""The window is longer where generations are small, since evaluations are slow: so many proposals for each program
kept have to have come to nothing."""
SWEEP_OVER = -1
"""The cursor of an island whose exhaustive sweep is done (or was given up)."""


def window(snapshot: IslandSnapshot, programs: int, generations: int = WINDOW_GENERATIONS) -> int:
    """Generations that an island with so many programs is given to get anywhere; at least `generations`."""
    proposals = max(snapshot.counters.evaluations + snapshot.counters.duplicates, 1)
    return max(generations, ceil(PROPOSALS_PER_PROGRAM * programs * snapshot.generation / proposals))


def has_converged(snapshot: IslandSnapshot, programs: Sequence[Program], generations: int = WINDOW_GENERATIONS) -> bool:
    """Whether an island in this state has converged; `programs` are those that it keeps, best first."""
    since = snapshot.generation - window(snapshot, len(programs), generations)
    if since < 0 or snapshot.cursor != SWEEP_OVER or not programs:
        return False

    is_new = made_after(snapshot.island, since)
    return not is_new(programs[0].meta) and sum(is_new(p.meta) for p in programs) <= LEAST_RENEWED * len(programs)


def founders(programs: Sequence[Program], island: int) -> tuple[Program, list[Program]]:
    """(its best, and of each other island the best): what an island keeps that is restarted; `programs` best first.

    Its best is kept, and no parent any more. One of each other island are few enough to leave room for newcomers.
    """
    others: dict[int, Program] = {}
    for program in programs[1:]:
        made = provenance_of(program.meta)
        if made is not None and made.island != island:
            others.setdefault(made.island, program)
    return programs[0], list(others.values())
