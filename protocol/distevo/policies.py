"""Selection and replacement policies: who emigrates, and which immigrants are taken.

`select_best` and `fair_replace` are pagmo's; the others it does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from distevo.population import Population
from distevo.program import Program
from distevo.run import MigrationSettings

TOURNAMENT = 3
"""Programs that meet in one tournament; the best of them emigrates."""


def select(settings: MigrationSettings, programs: Sequence[Program], rng: Random) -> list[Program]:
    """At most `settings.size` emigrants, each once, best first. `programs` are the island's, best first.

    Raises `ValueError` for an unknown selection policy.
    """
    policy = SELECTIONS.get(settings.selection)
    if policy is None:
        raise ValueError(f"the selection {settings.selection!r} is unknown; choose one of {', '.join(SELECTIONS)}")
    return [programs[rank] for rank in sorted(policy(len(programs), min(settings.size, len(programs)), rng))]


def _select_best(_programs: int, size: int, _rng: Random) -> list[int]:
    return list(range(size))


def _select_random(programs: int, size: int, rng: Random) -> list[int]:
    return rng.sample(range(programs), size)


def _select_tournament(programs: int, size: int, rng: Random) -> list[int]:
    left = list(range(programs))
    # Ranks ascend, so that the best of those who meet is the lowest place.
    return [left.pop(min(rng.randrange(len(left)) for _ in range(TOURNAMENT))) for _ in range(size)]


SELECTIONS: dict[str, Callable[[int, int, Random], list[int]]] = {
    "select_best": _select_best,
    "select_random": _select_random,
    "select_tournament": _select_tournament,
}
"""(how many programs there are, how many emigrate, randomness) -> ranks of those who do."""


def admit(
    settings: MigrationSettings, population: Sequence[Program], immigrants: Iterable[Program], size: int
) -> tuple[list[Program], int, int]:
    """(immigrants to merge in, best first; how many these are; how many others were known).

    `population` is the island's, best first; it keeps `size` programs. Known is a program whose key is there
    already, or whose behaviour is, of a program at least as good. The replacement policy says which of the others
    come into question; of these, such are merged in as belong to the best `size` of both sides together, one for each
    behaviour, and all that are fit: exactly what an island's archive keeps. All this depends on the two sets alone,
    neither on an order nor on copies.

    Raises `ValueError` for an unknown replacement policy.
    """
    policy = REPLACEMENTS.get(settings.replacement)
    if policy is None:
        raise ValueError(
            f"the replacement {settings.replacement!r} is unknown; choose one of {', '.join(REPLACEMENTS)}"
        )
    keys = {program.key for program in population}
    # From the worst to the best, so that of one behaviour the best stays. A program of unknown behaviour stands for
    # itself.
    residents = {program.behaviour or program.key: program for program in reversed(population)}
    known = 0
    candidates: dict[bytes, Program] = {}
    # The immigrants' Population has each key once and the best first: so the first of a behaviour is its best.
    for program in Population(immigrants):
        behaviour = program.behaviour or program.key
        resident = residents.get(behaviour)
        if program.key in keys or behaviour in candidates or (resident is not None and resident < program):
            known += 1
        else:
            candidates[behaviour] = program
    chosen = policy(settings, list(candidates.values()))
    residents.update((program.behaviour or program.key, program) for program in chosen)
    if len(residents) > size:
        bar = sorted(residents.values())[size - 1]
        chosen = [program for program in chosen if program <= bar or program.fit]
    return chosen, len(chosen), known


def _fair_replace(settings: MigrationSettings, candidates: list[Program]) -> list[Program]:
    rest = candidates[settings.size :]
    # A fit program may have a low rank, and refusing it would lose the task's solution.
    return candidates[: settings.size] + [program for program in rest if program.fit]


def _merge(_settings: MigrationSettings, candidates: list[Program]) -> list[Program]:
    return candidates


REPLACEMENTS: dict[str, Callable[[MigrationSettings, list[Program]], list[Program]]] = {
    "fair_replace": _fair_replace,
    "merge": _merge,
}
"""(settings, immigrants that are not known, best first) -> those that come into question, best first."""
