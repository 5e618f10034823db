"""The trial of a problem: one round of what the engine does, so that a broken member is found before the run.

It is the engine that relies on what is tried here: that the same `rng` makes the same program, that no member changes
what it was given, that a genome holds nothing beyond its bytes, and that a program is worth the same whenever, and
beside whatever, it is evaluated. What is wrong is told in words for whoever wrote the problem.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import Any

from distevo.errors import DistevoError, ProblemError
from distevo.problem import Contract, Evaluation
from distevo.reproduction import is_same
from distevod.problems.loader import described

MOST_RAISING = 20
"""Programs that are tried until the evaluation of one does not raise."""
MOST_SLOW = 3
"""Further programs that are tried where the evaluation of the first took too long."""
LONGEST_REPEATED_S = 5.0
"""Evaluations that took longer are not made twice."""

Say = Callable[[str], None]
"""Tells which step begins."""


def try_members(contract: Contract, say: Say, file: str | None, timeout_s: float | None) -> None:
    """Raises `ProblemError` for the first member that does not do what it should; a lack of memory passes through.

    `file`: the problem's own, whose lines are named. `timeout_s`: what an evaluation may take; None: what it likes.
    """
    rng = Random(0)
    say("trying random")
    with _blame(contract, "random", file):
        genome = contract.random(rng)
    say("trying encode and decode")
    with _blame(contract, "encode or decode", file):
        contract.decode_canonical(contract.encode(genome))
    say("trying random again")
    with _blame(contract, "random", file):
        _repeat(contract, "random", contract.random)
    say("trying mutate")
    with _blame(contract, "mutate", file):
        before = contract.encode(genome)
        other = contract.mutate(genome, rng)
        if contract.encode(genome) != before:
            raise ProblemError(f"{contract.name}: mutate changes its parent in place; change a copy and return it")
        decoded = contract.decode_canonical(contract.encode(other))
        if any(_child(contract, other, seed) != _child(contract, decoded, seed) for seed in range(8)):
            _repeat(contract, "mutate", lambda rng: contract.mutate(other, rng))
            raise ProblemError(
                f"{contract.name}: mutate makes another child of a genome than of the same genome decoded from its "
                "bytes; a genome must hold nothing beyond its bytes, or a restarted island takes another way"
            )
    if contract.has_crossover:
        say("trying crossover")
        with _blame(contract, "crossover", file):
            parents = [contract.encode(genome), contract.encode(other)]
            contract.decode_canonical(contract.encode(contract.crossover(genome, other, rng)))
            if [contract.encode(genome), contract.encode(other)] != parents:
                raise ProblemError(f"{contract.name}: crossover changes a parent in place; change a copy and return it")
            _repeat(contract, "crossover", lambda rng: contract.crossover(genome, other, rng))
    with _blame(contract, "evaluate", file):
        _try_evaluate(contract, [genome, other], rng, say, timeout_s)


def _try_evaluate(contract: Contract, genomes: list[Any], rng: Random, say: Say, timeout_s: float | None) -> None:
    """See that some programs can be evaluated, and are worth the same when they are evaluated again.

    One whose evaluation raises is invalid, so that a few of these are no reason to refuse the problem.
    """
    for left in reversed(range(MOST_RAISING)):
        say("trying evaluate")
        begun, encoded = time.monotonic(), [contract.encode(genome) for genome in genomes]
        try:
            found, took = _evaluated(contract, genomes)
        except DistevoError:
            raise
        except BaseException:  # as in workers: a cancelled coroutine or a panic in Rust is no `Exception`
            if not left:
                raise
            genomes = [contract.random(rng)]
        else:
            break
    if [contract.encode(genome) for genome in genomes] != encoded:
        raise ProblemError(f"{contract.name}: evaluate changes the genome in place; work on a copy")
    if timeout_s is not None and took and took[0] > timeout_s:
        _refuse_slow(contract, genomes[0], took, timeout_s, rng, say)
    if time.monotonic() - begun > LONGEST_REPEATED_S:
        return
    for before, after in zip(found, contract.evaluate_batch(genomes), strict=True):
        if before.fitness is not None and not is_same(before.fitness, after.fitness):
            raise ProblemError(
                f"{contract.name}: evaluate gave one program {before.fitness} and then {after.fitness}; it has to be "
                "deterministic: take what chance it needs from the program or the task"
            )
    if contract.has_batch:
        # A result is evaluated again by itself, and so is every program of a part that raised.
        for together, genome in zip(found, genomes, strict=True):
            if together.fitness is None:
                continue
            alone = contract.evaluate(genome)
            if not is_same(together.fitness, alone.fitness) or together.fit != alone.fit:
                raise ProblemError(
                    f"{contract.name}: evaluate_batch gave one program {_worth(together)}, and evaluate "
                    f"{_worth(alone)}; both have to say the same"
                )


def _evaluated(contract: Contract, genomes: list[Any]) -> tuple[list[Evaluation], list[float]]:
    """What they are worth, and the seconds that each took; none where they are evaluated together, which has a limit
    of its own."""
    if contract.has_batch:
        return contract.evaluate_batch(genomes), []
    found, took = [], []
    for genome in genomes:
        begun = time.monotonic()
        found.append(contract.evaluate(genome))
        took.append(time.monotonic() - begun)
    return found, took


def _refuse_slow(contract: Contract, first: Any, took: list[float], timeout_s: float, rng: Random, say: Say) -> None:
    """Refuse a problem with which no worker gets anywhere: it is ended with an evaluation that takes too long, and so
    is the next. `first` took too long here, in a process as new as a worker's."""
    limit = f"evaluation_timeout_seconds ({timeout_s:g})"
    if min(took) <= timeout_s:
        say("trying evaluate")
        again = _seconds(contract, first)
        if again > timeout_s:  # it is that program alone
            return
        raise ProblemError(
            f"{contract.name}: the first evaluation in a process took {took[0]:.3g} s, the same again {again:.3g} s; "
            f"what takes longer than {limit} is ended with its process, so that none gets beyond its first: load in "
            "__init__, or when the file is imported, what evaluate needs"
        )
    for _ in range(MOST_SLOW):
        say("trying evaluate")
        took.append(_seconds(contract, contract.random(rng)))
        if took[-1] <= timeout_s:
            return
    raise ProblemError(
        f"{contract.name}: evaluate took {min(took):.3g} s or more for each of {len(took)} programs, and what takes "
        f"longer than {limit} is invalid; start the platforms with a longer --evaluation-timeout-seconds"
    )


def _seconds(contract: Contract, genome: Any) -> float:
    """How long its evaluation takes, whatever comes of it."""
    begun = time.monotonic()
    with suppress(BaseException):
        contract.evaluate(genome)
    return time.monotonic() - begun


def _worth(evaluation: Evaluation) -> str:
    return f"{evaluation.fitness}, fit" if evaluation.fit else str(evaluation.fitness)


def _repeat(contract: Contract, member: str, make: Callable[[Random], Any]) -> None:
    """See that a member makes the same of the same `rng`, since that is what an island does that goes on elsewhere."""
    begun = time.monotonic()
    for seed in range(4):
        if contract.encode(make(Random(seed))) != contract.encode(make(Random(seed))):
            raise ProblemError(
                f"{contract.name}: {member} makes something else when it is asked again with the same rng; take chance "
                "from rng alone, and keep nothing from one call to the next, or a restarted island takes another way"
            )
        if time.monotonic() - begun > LONGEST_REPEATED_S:
            return


def _child(contract: Contract, genome: Any, seed: int) -> bytes:
    return contract.encode(contract.mutate(genome, Random(seed)))


@contextmanager
def _blame(contract: Contract, member: str, file: str | None) -> Iterator[None]:
    try:
        yield
    except (DistevoError, MemoryError):
        raise
    except BaseException as error:
        raise ProblemError(f"{contract.name}: {member} raised {described(error, file)}") from error
