"""An island: one population evolving for one task, a generation at a time."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from blake3 import blake3

from distevo.block import pack, unpack
from distevo.checkpoint import Counters, IslandSnapshot
from distevo.errors import ProblemError
from distevo.problem import Contract, Evaluation
from distevo.program import Program
from distevod.evolution.archive import Archive
from distevod.evolution.genetic import Genetic, Optimizer
from distevod.evolution.page import Page
from distevod.evolution.tried import Tried

SWEEP_OVER = -1
"""The cursor of an island whose exhaustive sweep is done (or was given up)."""
SWEEP_ATTEMPTS = 2
"""Workers that may die in one round of a sweep before the island goes on without it."""


class IslandSettings(NamedTuple):
    """What an island is told beside its state."""

    islands: int
    """Islands that share the task, hence its sweep."""
    population_size: int
    batch_size: int
    generation_seconds: float
    """A generation ends when it has taken so long, even if not all proposals were looked at."""
    attempt: int = 0
    """Workers that died in the generation to come with no program to blame; changes its random choices."""


class Generation(NamedTuple):
    """What one generation did. The island's whole state, so that work goes on from it anywhere."""

    snapshot: IslandSnapshot
    is_fit: bool
    warning: str | None
    """The first exception of the problem's own code in this generation."""


class Island:
    """The loop of one island.

    First it walks its share of the problem's exhaustive sweep, if there is one, then it asks its optimiser. Each
    proposal gets its key, is looked up, evaluated if it is new, and offered to the archive. A generation's random
    choices come from a generator of its own, made of the island's seed and the generation's number: these two
    are the whole random state, and resuming equals never having stopped.
    """

    def __init__(self, contract: Contract, settings: IslandSettings, snapshot: IslandSnapshot, page: Page) -> None:
        self._contract, self._settings, self._page = contract, settings, page
        self._snapshot = snapshot
        known = unpack(snapshot.population, contract.keyer) if snapshot.population else []
        self._archive = Archive(settings.population_size, known)
        self._tried = Tried(program.key for program in known)
        self._invalid = frozenset(snapshot.invalid)
        self._genomes: dict[bytes, Any] = {}
        """Genomes of the archive's programs by key, as far as they are there already."""
        self._optimizer: Optimizer = Genetic(contract, self._archive, self._genome_of)
        self._attempt = settings.attempt
        self._cursor = snapshot.cursor if contract.has_sweep else SWEEP_OVER
        if self._attempt >= SWEEP_ATTEMPTS:
            self._cursor = SWEEP_OVER
        self._walk: Iterator[tuple[Any, Evaluation] | None] | None = None

    def generation(self, most: int | None = None) -> Generation:
        """Run one generation of at most `batch_size` proposals, and of at most `most` evaluations.

        Raises ProblemError when the problem's code cannot go on.
        """
        begun, begun_cpu = time.perf_counter(), time.process_time()
        self._deadline = begun + self._settings.generation_seconds
        self._tally = _Tally()
        self._fresh: dict[bytes, Any] = {}
        count = self._settings.batch_size if most is None else max(1, min(most, self._settings.batch_size))
        offered = self._sweep(count) if self._cursor != SWEEP_OVER else self._evolve(count)
        taken = self._archive.offer(offered)
        if taken:
            self._keep_genomes(taken)
        self._attempt = 0
        old, tally = self._snapshot.counters, self._tally
        self._snapshot = msgspec.structs.replace(
            self._snapshot,
            generation=self._snapshot.generation + 1,
            cursor=self._cursor,
            population=pack(self._archive.programs)
            if taken or not self._snapshot.population
            else self._snapshot.population,
            counters=Counters(
                evaluations=old.evaluations + tally.evaluations,
                duplicates=old.duplicates + tally.duplicates,
                invalid=old.invalid + tally.invalid,
                errors=old.errors + tally.errors,
                cpu_seconds=old.cpu_seconds + time.process_time() - begun_cpu,
                seconds=old.seconds + time.perf_counter() - begun,
            ),
        )
        is_fit = any(program.fit for program in taken)
        return Generation(self._snapshot, is_fit, tally.complaint)

    def _keep_genomes(self, taken: list[Program]) -> None:
        """Remember the genomes of those that were taken in; a problem's genome holds nothing beyond its bytes."""
        self._contract.decode_canonical(taken[0].genome)  # One of each generation: the check costs as much as a parent.
        fresh, self._fresh = self._fresh, {}
        for program in taken:
            if program.key in fresh:
                self._genomes[program.key] = fresh[program.key]
        if len(self._genomes) > 2 * self._settings.population_size:
            kept = {program.key for program in self._archive.programs}
            self._genomes = {key: genome for key, genome in self._genomes.items() if key in kept}

    def _genome_of(self, program: Program) -> Any:
        genomes, key = self._genomes, program.key
        if key not in genomes:
            genomes[key] = self._contract.decode_canonical(program.genome)
        return genomes[key]

    # --- the exhaustive start --------------------------------------------------------------------

    def _sweep(self, count: int) -> list[Program]:
        walk = self._walk
        if walk is None:
            walk = self._walk = self._contract.sweep(self._snapshot.island, self._settings.islands)
            # Nodes looked at before a restart are walked again to rebuild what the sweep knows. It is not work
            # anew, so nobody counts it.
            for _ in range(self._cursor):
                self._page.step()
                next(walk, None)
        contract, tally, step = self._contract, self._tally, self._page.step
        offered = []
        for _ in range(count):
            step()
            try:
                node = next(walk)
            except StopIteration:
                self._cursor = SWEEP_OVER
                self._walk = None
                break
            self._cursor += 1
            tally.evaluations += 1
            if node is None or node[1].fitness is None:
                tally.invalid += 1
            else:
                data = contract.encode(node[0])
                key = contract.keyer(data)
                self._tried.unknown((key,))
                if key not in self._invalid:
                    offered.append(_program(data, key, node[1]))
            if time.perf_counter() >= self._deadline:
                break
        return offered

    # --- evolution -------------------------------------------------------------------------------

    def _evolve(self, count: int) -> list[Program]:
        self._page.step()
        genomes = self._propose(count)
        contract, tally, page, archive = self._contract, self._tally, self._page, self._archive
        encode, key_of, clock = contract.encode, contract.keyer, time.perf_counter
        invalid, deadline = self._invalid, self._deadline
        is_full = len(archive) >= self._settings.population_size
        floor = archive.programs[-1].fitness if is_full else None
        told: list[Evaluation | None] = []
        fresh = self._fresh
        offered = []
        encoded = [encode(genome) for genome in genomes]
        keys = [key_of(data) for data in encoded]
        are_new = self._tried.unknown(keys)
        evaluate = self._evaluator(
            [g for g, k, n in zip(genomes, keys, are_new, strict=True) if n and k not in invalid]
        )
        for genome, data, key, is_new in zip(genomes, encoded, keys, are_new, strict=True):
            if not is_new:
                tally.duplicates += 1
                told.append(None)
                continue
            if key in invalid:
                tally.invalid += 1
                told.append(None)
                continue
            page.begin(data)
            try:
                evaluation = evaluate(genome)
            except MemoryError:
                raise  # The worker dies of it, with this program on its page.
            except ProblemError:
                raise
            except Exception as error:  # noqa: BLE001 - the problem's own code: the program is invalid, the user is told
                tally.complain(error, data)
                evaluation = None
            page.end()
            tally.evaluations += 1
            told.append(evaluation)
            if evaluation is None or evaluation.fitness is None:
                tally.invalid += 1
            elif floor is None or evaluation.fitness >= floor:
                offered.append(_program(data, key, evaluation))
                fresh[key] = genome
            if clock() >= deadline:
                break
        self._tried.forget(k for k, n in zip(keys[len(told) :], are_new[len(told) :], strict=True) if n)
        if tally.errors and tally.errors == tally.evaluations:
            raise ProblemError(
                f"every evaluation of generation {self._snapshot.generation + 1} raised; {tally.complaint}"
            )
        self._optimizer.tell(told)
        return offered

    def _evaluator(self, genomes: list[Any]) -> Callable[[Any], Evaluation]:
        """What evaluates these genomes, asked for in this order.

        All at once where the problem can. Which of them killed a worker is then not known, so the next attempt at
        this generation is one by one.
        """
        if not self._contract.has_batch or self._attempt:
            return self._contract.evaluate
        outcomes = iter(self._contract.evaluate_batch(genomes))
        return lambda _genome: next(outcomes)

    def _propose(self, count: int) -> list[Any]:
        snapshot = self._snapshot
        stream = f"{snapshot.seed}/{snapshot.generation}" + (f"/{self._attempt}" if self._attempt else "")
        rng = random.Random(int.from_bytes(blake3(stream.encode()).digest()))
        try:
            return self._optimizer.ask(rng, count)
        except (MemoryError, ProblemError):
            raise
        except Exception as error:
            raise ProblemError(f"making new programs raised {_words(error)}") from error


class _Tally:
    """Counts of one generation."""

    def __init__(self) -> None:
        self.evaluations = self.duplicates = self.invalid = self.errors = 0
        self.complaint: str | None = None

    def complain(self, error: Exception, genome: bytes) -> None:
        self.errors += 1
        if self.complaint is None:
            self.complaint = f"evaluate raised {_words(error)}; the program was {genome[:80]!r}"


def _program(data: bytes, key: bytes, evaluation: Evaluation) -> Program:
    assert evaluation.fitness is not None
    return Program.of(data, key, evaluation.fitness, evaluation.fit, evaluation.behaviour)


def _words(error: Exception) -> str:
    """An exception of the user's code in one line: its type, its words, and where it came from."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({last.name} in {last.filename.rpartition('/')[2]}, line {last.lineno})"
