"""The problem `grids`: one ARC task, programs of grid primitives, fit when all training pairs are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np

from distevod.problems.grids.expression import Expression, X
from distevod.problems.grids.interpreter import Interpreter
from distevod.problems.grids.parser import parse_program, print_program
from distevod.problems.grids.scoring import Scoring
from distevod.problems.grids.sweep import Sweep
from distevod.problems.grids.tasks import TASKS_HELP, checked_task, named_tasks, tasks_from_json
from distevod.problems.grids.variation import Variation
from distevod.problems.grids.vocabulary import Vocabulary


class Grids:
    """One task. Its genome is an `Expression` in normal form.

    Evolution sees the training pairs and the inputs of the test pairs; the outputs of the test pairs are used
    by `verify` (and `panels`) alone. `verify` is None where the task hides nothing.

    Raises:
        TaskError: from the constructor, for task data that is not ARC's; names the pair and the place.
    """

    name = "grids"
    version = "1"
    tasks_help = TASKS_HELP

    def __init__(self, task: Any) -> None:
        self.task = checked_task(task)
        train, test = self.task.train_inputs, self.task.test_inputs
        self._interpreter = Interpreter([*train, *test], self.task.train_outputs)
        self._scoring = Scoring(self.task.train_outputs)
        self._vocabulary = Vocabulary(self.task)
        self._variation = Variation(self._vocabulary)
        self.random: Callable[[Random], Expression] = self._variation.random
        self.mutate: Callable[[Expression, Random], Expression] = self._variation.mutate
        self.crossover: Callable[[Expression, Expression, Random], Expression] = self._variation.crossover
        self.verify: Callable[[Expression], bool] | None = None if self.task.test_outputs is None else self._verify

    @classmethod
    def tasks(cls, spec: str) -> dict[str, Any]:
        """The named sets of tasks: see `tasks_help`. Raises `TaskError` for another text."""
        return named_tasks(spec)

    @classmethod
    def tasks_from_file(cls, data: Any) -> dict[str, Any]:
        """The checked tasks of a parsed JSON file by id. Raises `TaskError` naming the place."""
        return tasks_from_json(data)

    def evaluate(self, genome: Expression) -> dict[str, Any] | None:
        """Fitness, fit and behaviour of a program, or None when it is invalid on any input."""
        column = self._interpreter.column(genome)
        return None if column is None else self._scoring.outcome(column)

    def encode(self, genome: Expression) -> bytes:
        """The canonical text, as in `g1:fill_holes(x,4)`."""
        return print_program(genome)

    def decode(self, data: bytes) -> Expression:
        """The program of a canonical text. Raises `ProblemError` saying where it is not one."""
        return parse_program(data)

    def seeds(self, rng: Random) -> list[Expression]:
        """The input itself."""
        return [X]

    def sweep(self, share: int, shares: int) -> Iterator[tuple[Expression, dict[str, Any]] | None]:
        """The exhaustive start; `sweep.py` says what it walks."""
        return Sweep(self._interpreter, self._scoring, self._vocabulary).walk(share, shares)

    def _verify(self, genome: Expression) -> bool:
        """Whether every test output is right."""
        outputs = self.task.test_outputs
        column = self._interpreter.column(genome)
        if column is None or outputs is None:
            return False
        made = column[len(self.task.train_inputs) :]
        return all(np.array_equal(m, o) for m, o in zip(made, outputs, strict=True))

    def panels(self, genome: Expression) -> list[tuple[str, list[list[int]]]]:
        """For each pair its input, what the program makes of it, and the output where it is known."""
        column = self._interpreter.column(genome)
        task = self.task
        outputs = [*task.train_outputs, *(task.test_outputs or [None] * len(task.test_inputs))]
        shown: list[tuple[str, list[list[int]]]] = []
        for i, given in enumerate((*task.train_inputs, *task.test_inputs)):
            at = i - len(task.train_inputs)
            title = f"train {i}" if at < 0 else f"test {at}"
            shown.append((f"{title} input", given.tolist()))
            if column is not None:
                shown.append((f"{title} program", column[i].tolist()))
            expected = outputs[i]
            if expected is not None:
                shown.append((f"{title} output", expected.tolist()))
        return shown
