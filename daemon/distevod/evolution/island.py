"""An island: one population evolving for one task, a generation at a time."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from blake3 import blake3

from distevo.block import pack, unpack
from distevo.checkpoint import Counters, IslandSnapshot
from distevo.convergence import SWEEP_OVER, founders, has_converged
from distevo.errors import ProblemError, ProgramError
from distevo.messages import SEEN_KEY_BYTES
from distevo.problem import Contract, Evaluation
from distevo.program import Program
from distevo.provenance import Provenance, meta_of
from distevo.seen import MAX_SEEN_BYTES
from distevod.evolution.archive import Archive
from distevod.evolution.genetic import Genetic, Optimizer
from distevod.evolution.page import Page
from distevod.evolution.raised import RAISED, spoils_one, words
from distevod.evolution.telling import LEAST_SHARED_SECONDS, Nodes, skippable
from distevod.evolution.trace import Trace
from distevod.evolution.tried import LONG_KNOWN_SECONDS, Tried

FIRST_PART, PART_SECONDS = 16, 0.1
"""Programs in the second part of those that are evaluated together, if the first, of one, took less than this; parts
grow as long as they do."""
LONG_PART_SECONDS = 10.0
"""A part that takes longer is followed by smaller ones: the daemon ends a worker of which it sees nothing for
`pool.BUSY_SECONDS`, and cannot tell which of many programs took so long. Below it twice as many are tried."""
MOST_FAILED = 50
"""Programs that have to fail in a row, while an island has none yet, until its problem counts as one that cannot go on.
A generation may be a single program, where evaluations take long, and many a problem has random programs that fail."""
SWEEP_ATTEMPTS = 2
"""Workers that may die in one round of a sweep before the island goes on without it."""


class IslandSettings(NamedTuple):
    """What an island is told beside its state."""

    islands: int
    """Islands that share the task, hence its sweep; they also tell each other what they have evaluated."""
    population_size: int
    batch_size: int
    generation_seconds: float
    """A generation ends when it has taken so long, even if not all proposals were looked at."""
    attempt: int = 0
    """Workers that died in the generation to come with no program to blame; changes its random choices."""
    restart_after: int = 0
    """Generations that get nowhere after which the island begins anew (`distevo.convergence`); 0: never."""
    platform: str = ""
    """Where it evolves: programs that are made here say so."""
    seeds: tuple[bytes, ...] = ()
    """Genomes of an earlier run, to be evaluated before all else."""


class Generation(NamedTuple):
    """What one generation did. The island's whole state, so that work goes on from it anywhere."""

    snapshot: IslandSnapshot
    is_fit: bool
    warning: str | None
    """The first exception of the problem's own code in this generation."""
    taken: int
    """Number of the last batch of migrants that went into `snapshot`; 0 before the first."""
    evaluated: bytes
    """What the task's other islands may skip: `SEEN_KEY_BYTES` of each key, at most `MAX_SEEN_BYTES`."""
    packing: float
    """Seconds of processor time that writing the population down took."""


class Island:
    """The loop of one island.

    First it looks at what an earlier run has left it, then walks its share of the problem's exhaustive sweep or, where
    there is none, looks at the problem's seeds; the cursor counts through both. Then it asks its optimiser. Each
    proposal gets its key, is looked up, evaluated if it is new, and offered to the archive. A generation's random
    choices come from a generator of its own, made of the island's seed and the generation's number: these two are the
    whole random state, and resuming equals never having stopped.

    What other islands send comes in between generations. So the island's way depends on its seed, on what it was sent
    before which generation, and on which generations were cut short by their time, and on nothing else: migrants are
    taken into the archive, and a proposal that another island has evaluated is skipped, which also keeps it out of this
    archive until it comes as a migrant. Migrants are state; keys to be skipped are not, and are forgotten when the
    island is started anew.
    """

    def __init__(
        self,
        contract: Contract,
        settings: IslandSettings,
        snapshot: IslandSnapshot,
        page: Page,
        trace: Trace | None = None,
    ) -> None:
        self._contract, self._settings, self._page, self._trace = contract, settings, page, trace
        self._snapshot = snapshot
        known = unpack(snapshot.population, contract.keyer) if snapshot.population else []
        self._archive = Archive(settings.population_size, known)
        self._tried = Tried(program.key for program in known)
        self._elsewhere: Tried | None = None
        """Beginnings of keys that other islands have evaluated; None until there are any."""
        self._taken = 0
        self._tally = _Tally()
        self._invalid = frozenset(snapshot.invalid)
        self._nodes = Nodes()
        self._genomes: dict[bytes, Any] = {}
        """Genomes of the archive's programs by key, as far as they are there already."""
        self._genetic = Genetic(contract, self._archive, self._genome_of, self._spoilt, snapshot.optimizer)
        self._is_restarting = False
        self._optimizer: Optimizer = self._genetic
        self._attempt = settings.attempt
        self._part = 1
        """Programs to evaluate together first in a generation; one, as long as nobody knows how long they take."""
        self._cursor = snapshot.cursor
        if self._attempt >= SWEEP_ATTEMPTS:
            self._cursor = SWEEP_OVER
        self._walk: Iterator[tuple[Any, Evaluation] | None] | None = None
        self._failed = 0
        """Programs that failed in a row, as long as the archive is empty."""

    def take(self, number: int, block: bytes) -> None:
        """Offer a batch of other islands' programs to the archive; none of them is evaluated here ever again.

        One that the problem cannot decode is left out, with a warning. Raises BlockError for what is no block.
        """
        migrants = unpack(block, self._contract.keyer)
        self._tried.unknown(migrant.key for migrant in migrants)
        offered = []
        self._fresh: dict[bytes, Any] = {}
        for migrant in migrants:
            self._page.step()
            try:
                self._fresh[migrant.key] = self._contract.decode_canonical(migrant.genome)
            except MemoryError:
                raise
            except RAISED as error:  # it was made elsewhere: no reason to give this island up
                self._tally.complain("decoding a migrant raised", error, migrant.genome)
            else:
                offered.append(migrant)
        self._keep(self._archive.offer(offered))
        self._taken = number

    def skip(self, keys: bytes) -> None:
        """Other islands have evaluated programs whose keys begin so, `SEEN_KEY_BYTES` for each."""
        if self._elsewhere is None:
            self._elsewhere = Tried(is_long=True)
        self._elsewhere.unknown(keys[at : at + SEEN_KEY_BYTES] for at in range(0, len(keys), SEEN_KEY_BYTES))

    def generation(self, most: int | None = None) -> Generation:
        """Run one generation of at most `batch_size` proposals, and of at most `most` evaluations.

        Raises ProblemError when the problem's code cannot go on.
        """
        self._rebuild_walk()
        if self._trace is not None:
            self._trace.begin()
        begun, begun_cpu = time.perf_counter(), _cpu_seconds()
        self._deadline, self._most = begun + self._settings.generation_seconds, most
        self._fresh = {}
        snapshot = self._snapshot
        self._restart_if_converged()
        self._meta = meta_of(Provenance(self._settings.platform, snapshot.island, snapshot.generation + 1))
        count = self._settings.batch_size if most is None else max(1, min(most, self._settings.batch_size))
        offered = self._propose_and_evaluate(count)
        self._keep(self._archive.offer(offered))
        self._attempt = 0
        old, tally = self._snapshot.counters, self._tally
        tally.evaluated += self._nodes.left_behind(self._archive.programs, MAX_SEEN_BYTES - len(tally.evaluated))
        self._tally = _Tally()
        is_changed = tally.is_changed or not self._snapshot.population
        begun_packing = time.thread_time()
        population = pack(self._archive.programs) if is_changed else self._snapshot.population
        packing = time.thread_time() - begun_packing
        self._snapshot = msgspec.structs.replace(
            self._snapshot,
            generation=self._snapshot.generation + 1,
            cursor=self._cursor,
            optimizer=self._optimizer.state(),
            population=population,
            counters=Counters(
                evaluations=old.evaluations + tally.evaluations,
                duplicates=old.duplicates + tally.duplicates,
                invalid=old.invalid + tally.invalid,
                errors=old.errors + tally.errors,
                cpu_seconds=old.cpu_seconds + _cpu_seconds() - begun_cpu,
                seconds=old.seconds + time.perf_counter() - begun,
            ),
        )
        if self._trace is not None:
            self._trace.end(self._snapshot, tally.evaluations)
        return Generation(self._snapshot, tally.is_fit, tally.complaint, self._taken, tally.evaluated, packing)

    def _propose_and_evaluate(self, count: int) -> list[Program]:
        if self._is_inheriting:
            return self._inherit(count)
        if self._cursor != SWEEP_OVER and self._contract.has_sweep:
            return self._sweep(count)
        self._page.step()
        if self._cursor != SWEEP_OVER:
            seeds = self._seeds()[self._cursor - len(self._settings.seeds) :]
            if seeds:
                offered, looked_at = self._evaluate(seeds[:count])
                self._cursor = SWEEP_OVER if looked_at == len(seeds) else self._cursor + looked_at
                return offered
            self._cursor = SWEEP_OVER
        ask = self._genetic.newcomers if self._is_restarting else self._optimizer.ask
        self._is_restarting = False
        genomes = self._guarded(lambda: ask(self._stream(self._snapshot.generation), count))
        return self._evaluate(genomes)[0]

    def _restart_if_converged(self) -> None:
        """Begin anew, if the run wishes it and nothing comes of going on: with newcomers, the best of each other island
        that is here, and the best of all, which is kept and has no children any more.

        What was tried may be tried again: programs that were left behind on the way up are steps on the next one. And
        it has to be forgotten, since an island that was stopped meanwhile does not know it any more either.
        """
        after, programs = self._settings.restart_after, self._archive.programs
        if not after or not has_converged(self._snapshot, programs, after):
            return
        elite, others = founders(programs, self._snapshot.island)
        self._archive = Archive(self._settings.population_size, [elite, *others])
        self._tried, self._elsewhere = Tried(program.key for program in self._archive.programs), None
        self._genetic = Genetic(self._contract, self._archive, self._genome_of, self._spoilt, elite.key)
        self._optimizer = self._genetic
        self._is_restarting = self._tally.is_changed = True

    def _keep(self, taken: list[Program]) -> None:
        """The archive has taken these: remember their genomes. A problem's genome holds nothing beyond its bytes."""
        if not taken:
            return
        self._tally.is_changed = True
        self._tally.is_fit |= any(program.fit for program in taken)
        self._decoded(taken[0])  # One of each generation: the check costs as much as a parent.
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
            genomes[key] = self._decoded(program)
        return genomes[key]

    def _decoded(self, program: Program) -> Any:
        """The genome of a program in the archive. Raises ProblemError where the problem does not read what it wrote."""
        try:
            return self._contract.decode_canonical(program.genome)
        except (MemoryError, ProblemError):
            raise
        except RAISED as error:
            raise ProblemError(f"decode raised {words(error)}; encode had given {program.genome[:80]!r}") from error

    # --- the start -------------------------------------------------------------------------------

    @property
    def _is_inheriting(self) -> bool:
        return self._cursor != SWEEP_OVER and self._cursor < len(self._settings.seeds)

    def _inherit(self, count: int) -> list[Program]:
        """Evaluate what an earlier run has left; what this version of the problem cannot decode is left out."""
        self._page.step()
        part = self._settings.seeds[self._cursor : self._cursor + count]
        genomes: dict[int, Any] = {}
        for place, data in enumerate(part):
            try:
                genomes[place] = self._contract.decode_canonical(data)
            except MemoryError:
                raise
            except RAISED as error:  # another version made it: no reason to give this island up
                self._tally.complain("a program of the earlier run is left out: decoding it raised", error, data)
        offered, looked_at = self._evaluate(list(genomes.values()))
        self._cursor += len(part) if looked_at == len(genomes) else list(genomes)[looked_at]
        return offered

    def _rebuild_walk(self) -> None:
        """Walk again the nodes that were looked at before a restart: to know what the sweep knew.

        It is not work anew, so nobody counts or charges it.
        """
        if self._cursor == SWEEP_OVER or not self._contract.has_sweep or self._walk is not None:
            return
        self._walk = self._contract.sweep(self._snapshot.island, self._settings.islands)
        for _ in range(self._cursor - len(self._settings.seeds)):
            self._page.step()
            next(self._walk, None)

    def _sweep(self, count: int) -> list[Program]:
        walk = self._walk
        assert walk is not None
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
                if self._trace is not None:
                    self._trace.evaluated((key,))
                if key not in self._invalid:
                    offered.append(self._program(data, key, node[1]))
            if time.perf_counter() >= self._deadline:
                break
        if self._settings.islands > 1:
            self._nodes.add(offered)
        return offered

    # --- evolution -------------------------------------------------------------------------------

    def _evaluate(self, genomes: list[Any]) -> tuple[list[Program], int]:
        """(programs good enough to be offered, how many genomes were looked at before the deadline)."""
        encode = self._contract.encode
        try:
            encoded = [encode(genome) for genome in genomes]
        except RAISED as error:
            if not spoils_one(error):
                raise
            found = self._evaluate_others(genomes)
        else:
            found = self._evaluate_encoded(genomes, encoded)
        self._give_up_if_all_failed()
        return found

    def _give_up_if_all_failed(self) -> None:
        tally = self._tally
        # Of programs that were made for something else nothing can be expected.
        if tally.errors < tally.evaluations or self._archive.programs or self._is_inheriting:
            self._failed = 0
            return
        self._failed += tally.errors
        is_last = self._most is not None and tally.evaluations >= self._most
        are_all = self._failed == self._snapshot.counters.evaluations + tally.evaluations
        if self._failed >= MOST_FAILED or (self._failed and are_all and is_last):
            raise ProblemError(f"all of the first {self._failed} programs failed; {tally.complaint}")

    def _evaluate_others(self, genomes: list[Any]) -> tuple[list[Program], int]:
        """The same where some genomes cannot be encoded."""
        encoded: dict[int, bytes] = {}
        spoilt: dict[int, BaseException] = {}
        for place, genome in enumerate(genomes):
            try:
                encoded[place] = self._contract.encode(genome)
            except RAISED as error:
                if not spoils_one(error):
                    raise
                spoilt[place] = error
        offered, looked_at = self._evaluate_encoded([genomes[place] for place in encoded], list(encoded.values()))
        end = len(genomes) if looked_at == len(encoded) else list(encoded)[looked_at]
        for place, raised in spoilt.items():
            if place < end:  # What is behind the deadline comes again.
                self._spoilt(raised)
        return offered, end

    def _spoilt(self, error: BaseException) -> None:
        """A program could not be made, or encoded. It counts as one that was evaluated, so that a budget ends."""
        tally = self._tally
        tally.evaluations, tally.invalid, tally.errors = tally.evaluations + 1, tally.invalid + 1, tally.errors + 1
        tally.complain("making a program raised", error)

    def _evaluate_encoded(self, genomes: list[Any], encoded: list[bytes]) -> tuple[list[Program], int]:
        contract, tally = self._contract, self._tally
        keys = [contract.keyer(data) for data in encoded]
        are_new = self._tried.unknown(keys)
        if (elsewhere := self._elsewhere) is not None:
            are_new = [
                is_new and key[:SEEN_KEY_BYTES] not in elsewhere for is_new, key in zip(are_new, keys, strict=True)
            ]
        chosen = [place for place, key in enumerate(keys) if are_new[place] and key not in self._invalid]
        # Which program of many at once killed a worker is not known, so the next attempt is one by one.
        evaluate = self._together if contract.has_batch and not self._attempt else self._one_by_one
        begun = time.perf_counter()
        evaluations = evaluate([genomes[place] for place in chosen], [encoded[place] for place in chosen])
        seconds = time.perf_counter() - begun
        if evaluations:
            self._tried.is_long = seconds >= LONG_KNOWN_SECONDS * len(evaluations)
        if self._settings.islands > 1 and seconds >= LEAST_SHARED_SECONDS * len(evaluations):
            tally.evaluated = skippable(keys, chosen, evaluations)
        if self._trace is not None:
            self._trace.evaluated(keys[place] for place in chosen[: len(evaluations)])
        looked_at = len(genomes) if len(evaluations) == len(chosen) else chosen[len(evaluations)]
        self._tried.forget(keys[place] for place in chosen[len(evaluations) :])
        known = looked_at - sum(are_new[:looked_at])
        tally.duplicates += known
        tally.invalid += looked_at - known - len(evaluations)
        offered = self._worth_offering(genomes, encoded, keys, chosen, evaluations)
        self._optimizer.tell([genomes[place] for place in chosen[: len(evaluations)]], evaluations)
        return offered, looked_at

    def _worth_offering(
        self,
        genomes: list[Any],
        encoded: list[bytes],
        keys: list[bytes],
        chosen: list[int],
        evaluations: list[Evaluation | None],
    ) -> list[Program]:
        size, programs = self._settings.population_size, self._archive.programs
        floor = programs[size - 1].fitness if len(programs) >= size else None
        offered = []
        for place, evaluation in zip(chosen, evaluations, strict=False):
            if evaluation is None or evaluation.fitness is None:
                self._tally.invalid += 1
            elif floor is None or evaluation.fitness >= floor or evaluation.fit:
                offered.append(self._program(encoded[place], keys[place], evaluation))
                self._fresh[keys[place]] = genomes[place]
        return offered

    def _program(self, data: bytes, key: bytes, evaluation: Evaluation) -> Program:
        assert evaluation.fitness is not None
        return Program.of(data, key, evaluation.fitness, evaluation.fit, evaluation.behaviour, self._meta)

    def _one_by_one(self, genomes: list[Any], encoded: list[bytes]) -> list[Evaluation | None]:
        """What came of these genomes, as far as the deadline let them be evaluated; at least of one."""
        evaluate, clock, deadline, tally = self._contract.evaluate, time.perf_counter, self._deadline, self._tally
        begin, end = self._page.begin, self._page.end
        evaluations: list[Evaluation | None] = []
        for genome, data in zip(genomes, encoded, strict=True):
            begin(data)
            try:
                evaluations.append(evaluate(genome))
            except RAISED as error:
                if not spoils_one(error):
                    raise  # Of a lack of memory the worker dies, with this program on its page.
                tally.errors += 1
                tally.complain("evaluate raised", error, data)
                evaluations.append(None)
            end()
            if clock() >= deadline:
                break
        tally.evaluations += len(evaluations)
        return evaluations

    def _together(self, genomes: list[Any], encoded: list[bytes]) -> list[Evaluation | None]:
        """The same for a problem that evaluates many at once, in growing parts: each is a sign of life."""
        evaluations: list[Evaluation | None] = []
        size = self._part
        while len(evaluations) < len(genomes) and (not evaluations or time.perf_counter() < self._deadline):
            start = len(evaluations)
            self._page.step()
            begun = time.perf_counter()
            try:
                part = self._contract.evaluate_batch(genomes[start : start + size])
            except RAISED as error:
                if not spoils_one(error):
                    raise
                # One by one it shows which program it was, and that is told.
                return evaluations + self._one_by_one(genomes[start:], encoded[start:])
            evaluations += part
            self._tally.evaluations += len(part)
            if len(part) == size:  # else it was the rest, which says little of that many
                size = _next_part(size, time.perf_counter() - begun)
                self._part = min(size, FIRST_PART)
        return evaluations

    def _seeds(self) -> list[Any]:
        return self._guarded(lambda: self._contract.seeds(self._stream(0)))

    def _stream(self, generation: int) -> random.Random:
        """The random numbers of one generation."""
        stream = f"{self._snapshot.seed}/{generation}" + (f"/{self._attempt}" if self._attempt else "")
        return random.Random(int.from_bytes(blake3(stream.encode()).digest()))

    @staticmethod
    def _guarded(make: Callable[[], list[Any]]) -> list[Any]:
        try:
            return make()
        except (MemoryError, ProblemError):
            raise
        except RAISED as error:
            raise ProblemError(f"making new programs raised {words(error)}") from error


class _Tally:
    """What happened since the last generation ended."""

    def __init__(self) -> None:
        self.evaluations = self.duplicates = self.invalid = self.errors = 0
        self.is_changed = self.is_fit = False
        """Whether the archive has taken something, and something fit."""
        self.evaluated = b""
        self.complaint: str | None = None

    def complain(self, what: str, error: BaseException, genome: bytes | None = None) -> None:
        if self.complaint is None:
            said = words(error) if isinstance(error, ProgramError) else f"{what} {words(error)}"
            self.complaint = said if genome is None else f"{said}; the program was {genome[:80]!r}"


def _next_part(size: int, seconds: float) -> int:
    """How many programs to evaluate together after so many, which took these seconds."""
    if seconds < PART_SECONDS:
        return max(2 * size, FIRST_PART)
    if size < FIRST_PART and seconds < LONG_PART_SECONDS:
        return 2 * size
    return max(size // 2, 1) if seconds > LONG_PART_SECONDS else size


def _cpu_seconds() -> float:
    """Processor time of this process, and of those that a problem has started and waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
