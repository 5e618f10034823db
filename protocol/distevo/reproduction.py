"""Reproduction: a program is a result only if it is worth again, evaluated once more, what was said of it.

A program whose fitness cannot be had again was made up, damaged, or evaluated by code that is not deterministic. Then
the next best is looked at; after `MAX_REFUTED` of them it is the problem that is wrong, and the task fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isclose

import msgspec

from distevo.population import Population
from distevo.program import Program
from distevo.result import finite, text_of

MAX_REFUTED = 3
MAX_FIT_PROGRAMS = 8
"""Most fit programs of a task that anybody keeps and tells: more than may be refuted before the task fails."""
RELATIVE, ABSOLUTE = 1e-9, 1e-12
"""By how much one fitness may differ: libraries of two platforms round sums and powers differently."""


def is_same(before: Sequence[float], after: Sequence[float] | None) -> bool:
    """Whether two evaluations of one program agree; None is an invalid program."""
    if after is None or len(before) != len(after):
        return False
    # Verdicts travel as JSON, which holds no infinite numbers.
    return all(
        isclose(finite(one), finite(other), rel_tol=RELATIVE, abs_tol=ABSOLUTE)
        for one, other in zip(before, after, strict=True)
    )


class Refuted(msgspec.Struct, frozen=True):
    """A program that was worth something else when it was evaluated again."""

    program: Program
    after: tuple[float, ...] | None

    def __str__(self) -> str:
        now = "is invalid" if self.after is None else f"has {_shown(self.after)}"
        return f"{text_of(self.program.genome)[:60]!r} had fitness {_shown(self.program.fitness)} and {now}"


def smallest(programs: Iterable[Program]) -> dict[bytes, Program]:
    """Of fit programs, by key, those that are kept: one of them will be the guess."""
    ranked = sorted({p.key: p for p in programs}.values(), key=lambda program: (program.size, program.key))
    return {program.key: program for program in ranked[:MAX_FIT_PROGRAMS]}


def guess_of(population: Population, refuted: Sequence[Refuted]) -> Program | None:
    """The smallest fit program, else the best, of those that were not refuted; None if there is none."""
    if refuted:
        gone = {each.program.key for each in refuted}
        population = Population(program for program in population if program.key not in gone)
    return population.smallest_fit() or population.best


def complaint(refuted: Sequence[Refuted]) -> str:
    """Why a task has no result."""
    return (
        "no result: evaluated again, its best programs are not worth what they were, so `evaluate` is not "
        "deterministic, or not the same everywhere, or `sweep` or `evaluate_batch` says other than it does; "
        f"{'; '.join(map(str, refuted))}"
    )


def _shown(fitness: Sequence[float]) -> str:
    return ", ".join(f"{number:.12g}" for number in fitness[:4])
