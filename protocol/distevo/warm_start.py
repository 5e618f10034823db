"""Warm start: a run that begins with the programs of an earlier one.

They travel in the new run's own object, so that whoever takes it up needs nothing else, whatever becomes of the earlier
run. What was evaluated under the same version of the problem, for a task that has not changed, keeps its fitness, and
is in the islands' populations from the beginning; anything else is a seed: an island evaluates its seeds before all
else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from distevo.block import pack, unpack
from distevo.checkpoint import IslandSnapshot
from distevo.convergence import SWEEP_OVER
from distevo.errors import BlockError
from distevo.events import IslandId
from distevo.merge import PopulationMerger, distinct
from distevo.population import Population
from distevo.program import Keyer, Program, keyer
from distevo.provenance import meta_of, provenance_of
from distevo.run import ProblemUse, Run, WarmStart


def inherit(
    run: str, problem: ProblemUse, results: Mapping[str, Sequence[IslandSnapshot]], tasks: Iterable[str],
    most: int, others: int, changed: Collection[str] = (), islands: int = 1,
) -> WarmStart:  # fmt: skip
    """What `tasks` begin with: `most` programs of the task of the same id in `results` of `run`, by task.

    And, for each of them, the `others` smallest programs that fit some task of `results`. Those of `changed` tasks are
    to be evaluated anew. `islands`: of each task of `run`; of some there may be no state, since they had not begun when
    it was cancelled or failed. The states are verified ones of `problem`; raises BlockError for others.
    """
    key_of = keyer(problem.name, problem.version)
    wanted = set(tasks)
    programs: dict[str, bytes] = {}
    swept: list[str] = []
    fit: dict[bytes, Program] = {}
    for task, states in results.items():
        best = _merged(states, key_of)
        guess = best.smallest_fit() if others else None
        if guess is not None:
            fit[guess.key] = guess
        if task in wanted and len(best):
            programs[task] = pack([_earlier(program) for program in _chosen(best, most)])
            swept_by = {state.island for state in states if state.cursor == SWEEP_OVER}
            if task not in changed and len(swept_by) == islands:
                swept.append(task)
    smallest = sorted(fit.values(), key=lambda program: (program.size, program.key))[:others]
    return WarmStart(
        run=run,
        version=problem.version,
        programs=programs,
        swept=swept,
        anew=[task for task in programs if task in changed],
        others=pack(smallest) if smallest else b"",
    )


def resident(run: Run, island: IslandId) -> tuple[bytes, int]:
    """(population, cursor) of an island before its first generation: a block of programs, and what is behind it."""
    warm = run.warm_start
    if warm is None or island.task not in warm.programs or not _keeps_fitness(run, warm, island.task):
        return b"", 0
    mine = _dealt(run, warm, island)
    # Seeds stand before the exhaustive start, and are not behind it.
    is_over = island.task in warm.swept and not warm.others
    return (pack(mine) if mine else b""), SWEEP_OVER if is_over else 0


def seeds(run: Run, island: IslandId) -> bytes:
    """The block of programs that an island is to evaluate first; only their genomes mean anything. Empty: none."""
    warm = run.warm_start
    if warm is None:
        return b""
    key_of = keyer(run.problem.name, run.problem.version)
    is_kept = _keeps_fitness(run, warm, island.task)
    found = {} if is_kept else {program.key: program for program in _dealt(run, warm, island)}
    if warm.others:
        found |= {program.key: program for program in unpack(warm.others, key_of)}
    return pack(list(found.values())) if found else b""


def fault(run: Run) -> str | None:
    """Why a run cannot begin with what it brings, or None: who put it into the store may not have asked a daemon."""
    warm = run.warm_start
    if warm is None:
        return None
    key_of = keyer(run.problem.name, run.problem.version)
    for what, block in (*warm.programs.items(), ("others", warm.others)):
        try:
            programs = unpack(block, key_of) if block else []
        except BlockError as error:
            return f"the programs that it begins with cannot be read, those of {what!r}: {error}"
        if len({program.key for program in programs}) != len(programs):
            return f"a program that it begins with, of {what!r}, is there twice"
    return None


def _keeps_fitness(run: Run, warm: WarmStart, task: str) -> bool:
    return warm.version == run.problem.version and task not in warm.anew


def _dealt(run: Run, warm: WarmStart, island: IslandId) -> list[Program]:
    """An island's part of its task's programs: they are dealt out in turn, so that no two islands begin alike."""
    block = warm.programs.get(island.task)
    if not block:
        return []
    dealt = unpack(block, keyer(run.problem.name, run.problem.version))
    return dealt[island.island :: run.settings.islands_per_task]


def _earlier(program: Program) -> Program:
    """With a provenance from before the first generation: the earlier run's count of them says nothing in this one."""
    made = provenance_of(program.meta)
    if made is None:
        return program
    return msgspec.structs.replace(program, meta=meta_of(msgspec.structs.replace(made, generation=0)))


def _chosen(best: Population, most: int) -> list[Program]:
    """So many of these, and all that are fit: without one, whatever its rank, the task would have to be solved again.

    First the best of each behaviour. Islands find the same in other words, and what they differ in is worth more.
    """
    chosen = distinct([best], most)
    copies = [program for program in best if program.key not in chosen]
    kept = {program.key for program in (*chosen, *copies[: most - len(chosen)])}
    return [program for program in best if program.key in kept or program.fit]


def _merged(states: Iterable[IslandSnapshot], key_of: Keyer) -> Population:
    blocks = [state.population for state in states if state.population]
    return PopulationMerger.merge_populations([unpack(block, key_of) for block in blocks])
