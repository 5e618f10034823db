"""Symbolic regression as a problem."""

import math
import struct
from collections.abc import Callable, Iterator
from operator import sub
from random import Random
from typing import Any, NamedTuple

from distevo.errors import TaskError

from distevod.problems.regression.benchmarks import BENCHMARKS, SETS
from distevod.problems.regression.data import Numbers, numbers_of, tasks_from_csv
from distevod.problems.regression.expression import Column, Tree, parse, rounded, size, text, values
from distevod.problems.regression.scaling import best_line, target_of
from distevod.problems.regression.variation import Variation

MOST_NODES = 40
"""Largest formula, without its slope and intercept."""
FIT_TOLERANCE = 1e-6
"""A point is hit within this, times the size of its target where that is above 1."""
VERIFY_R2 = 0.99999
"""Least coefficient of determination on the hidden points."""
VARIATION_TRIES = 4
"""Formulas without a value are drawn again so many times before one is let through as invalid."""
TEST_POINTS_AT_ONCE = 10_000
REMEMBERED_NUMBERS = 50_000
"""Outputs kept between making a program and evaluating it: numbers, 32 bytes each."""

Tests = Callable[[], Iterator[Numbers]]
"""Gives the hidden points anew, some at a time."""


class Formula(NamedTuple):
    """The genome: `slope * tree + intercept`. The text is the tree's alone where the line is the identity."""

    slope: float
    intercept: float
    tree: Tree


class Regression:
    """One table of numbers. Task data is one of:

    - `{"benchmark": "nguyen-5"}`
    - `{"X": [[1.0, 2.0], ...], "y": [3.0, ...]}`, optionally with `"test": {"X": ..., "y": ...}`, which
      evolution never sees. Without it there is nothing to verify.

    A program is a formula as prefix text, `add(x0,mul(x0,x0))`, or `scale(slope,intercept,formula)`.

    Fitness is the negated root mean squared error over the training points, divided by the standard deviation
    of their target: 0 is perfect, -1 what the constant mean gets. Fit: each point is hit within
    `FIT_TOLERANCE`. Verified: R2 of at least `VERIFY_R2` on the test points, with the training mean as the
    baseline, so that it exists for any number of points. Behaviour: the outputs on the training points, rounded
    to about 1e-7 of the target's deviation.

    Raises `TaskError` for other task data.
    """

    name = "regression"
    version = "1"
    tasks_help = (
        "`nguyen` (1-12), `keijzer` (1-15), single ones such as `nguyen-5`, a list of these, a CSV file (the last "
        'column, or the one named y, is the target), or a JSON file {"id": {"X": [[...], ...], "y": [...]}}'
    )

    verify: Callable[[Formula], bool] | None

    def __init__(self, task: Any) -> None:
        if not isinstance(task, dict) or not ("benchmark" in task or {"X", "y"} <= task.keys()):
            raise TaskError(f"regression needs numbers; give {self.tasks_help}")
        known = {"benchmark"} if "benchmark" in task else {"X", "y", "test"}
        if unknown := task.keys() - known:
            raise TaskError(f"a regression task has no {', '.join(sorted(map(repr, unknown)))}")
        train, self._tests = _of_benchmark(task["benchmark"]) if "benchmark" in task else _of_numbers(task)
        self.verify = None if self._tests is None else self._verify
        self._columns = train.columns
        self._points = len(train.y)
        self._target = target_of(train.y)
        self._tolerances = [FIT_TOLERANCE * max(1.0, abs(value)) for value in train.y]
        # Adding and subtracting this rounds a double to a multiple of a power of two near 1e-7 deviations.
        self._rounder = 1.5 * 2.0 ** (52 + math.floor(math.log2(self._target.deviation * 1e-7)))
        self._packing = struct.Struct(f"<{self._points}d")
        self._variation = Variation(len(train.columns))
        self._remembered: dict[Tree, Column | None] = {}
        self._remember_at_most = max(1, REMEMBERED_NUMBERS // self._points)

    @classmethod
    def tasks(cls, spec: str) -> dict[str, Any]:
        """`nguyen`, `keijzer-7` or a comma list: task data by id. Raises `TaskError` for anything else."""
        found: dict[str, Any] = {}
        for word in spec.split(","):
            wanted = word.strip().lower()
            names = [name for name in BENCHMARKS if name == wanted or (wanted in SETS and name.startswith(wanted))]
            if not names:
                raise TaskError(f"{word.strip()!r:.80} is no benchmark; give {cls.tasks_help}")
            found |= {name: {"benchmark": name} for name in names}
        return found

    @classmethod
    def tasks_from_csv(cls, content: str, name: str) -> dict[str, Any]:
        """Task data of a CSV file; see `data.tasks_from_csv`."""
        return tasks_from_csv(content, name)

    def random(self, rng: Random) -> Formula:
        """Ramped half-and-half."""
        for _ in range(VARIATION_TRIES - 1):
            tree = self._variation.ramped(rng)
            if self._is_usable(tree):
                return self._scaled(tree)
        return self._scaled(self._variation.ramped(rng))

    def mutate(self, genome: Formula, rng: Random) -> Formula:
        """One change; see `Variation.mutated`."""
        for _ in range(VARIATION_TRIES):
            tree = self._variation.mutated(genome.tree, rng)
            if self._is_usable(tree):
                return self._scaled(tree)
        return self.random(rng)

    def crossover(self, a: Formula, b: Formula, rng: Random) -> Formula:
        """A part of `a` replaced by one of `b`."""
        for _ in range(VARIATION_TRIES):
            tree = self._variation.crossed(a.tree, b.tree, rng)
            if self._is_usable(tree):
                return self._scaled(tree)
        return self.mutate(a, rng)

    def evaluate(self, genome: Formula) -> dict[str, Any] | None:
        """Fitness, fit and behaviour; None where the formula has no value at some point."""
        outputs = self._scaled_outputs(genome)
        if outputs is None:
            return None
        errors = list(map(sub, outputs, self._target.y))
        try:
            rms = math.sqrt(math.fsum([error * error for error in errors]) / self._points)
        except (OverflowError, ValueError):
            return None
        if not rms < math.inf:
            return None
        rounder = self._rounder
        return {
            "fitness": -rms / self._target.deviation,
            "fit": all(abs(e) <= tolerance for e, tolerance in zip(errors, self._tolerances, strict=True)),
            "behaviour": self._packing.pack(*[(value + rounder) - rounder for value in outputs]),
        }

    def _verify(self, genome: Formula) -> bool:
        """Whether the formula holds on the test points."""
        assert self._tests is not None
        squares, total, count = 0.0, 0.0, 0
        for columns, y in self._tests():
            outputs = _line(values(genome.tree, columns, len(y)), genome)
            if outputs is None:
                return False
            squares += sum((output - value) ** 2 for output, value in zip(outputs, y, strict=True))
            total += sum((value - self._target.mean) ** 2 for value in y)
            count += len(y)
        # The second term matters only where all test targets equal the mean: then R2 does not exist.
        return squares <= (1 - VERIFY_R2) * total + count * FIT_TOLERANCE**2

    def encode(self, genome: Formula) -> bytes:
        """Prefix text without spaces."""
        if genome.slope == 1.0 and genome.intercept == 0.0:
            return text(genome.tree).encode()
        return f"scale({genome.slope!r},{genome.intercept!r},{text(genome.tree)})".encode()

    def decode(self, data: bytes) -> Formula:
        """Raises `ValueError` for what is no formula."""
        source = data.decode("ascii")
        slope, intercept = 1.0, 0.0
        if source.startswith("scale(") and source.endswith(")"):
            first, second, source = [*source[6:-1].split(",", 2), "", ""][:3]
            slope, intercept = rounded(float(first)), rounded(float(second))
            if not (math.isfinite(slope) and math.isfinite(intercept)):
                raise ValueError("slope and intercept must be finite")
        return Formula(slope, intercept, parse(source, len(self._columns), MOST_NODES))

    def _is_usable(self, tree: Tree) -> bool:
        return size(tree) <= MOST_NODES and self._outputs(tree) is not None

    def _scaled(self, tree: Tree) -> Formula:
        outputs = self._outputs(tree)
        line = None if outputs is None else best_line(outputs, self._target)
        return Formula(*(line or (1.0, 0.0)), tree)

    def _scaled_outputs(self, genome: Formula) -> Column | None:
        return _line(self._outputs(genome.tree), genome)

    def _outputs(self, tree: Tree) -> Column | None:
        # What was computed to find the line is asked for again by evaluate, a moment later.
        remembered = self._remembered
        if tree in remembered:
            return remembered[tree]
        if len(remembered) >= self._remember_at_most:
            remembered.clear()
        outputs = remembered[tree] = values(tree, self._columns, self._points)
        return outputs


def _of_benchmark(name: Any) -> tuple[Numbers, Tests | None]:
    benchmark = BENCHMARKS.get(name) if isinstance(name, str) else None
    if benchmark is None:
        raise TaskError(f"{name!r:.80} is no benchmark; known are {', '.join(BENCHMARKS)}")
    train = Numbers(*benchmark.train_points())
    return train, lambda: (Numbers(*chunk) for chunk in benchmark.test_points(TEST_POINTS_AT_ONCE))


def _of_numbers(task: dict[str, Any]) -> tuple[Numbers, Tests | None]:
    train = numbers_of({"X": task["X"], "y": task["y"]}, "task")
    if "test" not in task:
        return train, None
    test = numbers_of(task["test"], "test", least_rows=1)
    if len(test.columns) != len(train.columns):
        raise TaskError(f"test has {len(test.columns)} columns in X where the task has {len(train.columns)}")
    return train, lambda: iter([test])


def _line(outputs: Column | None, genome: Formula) -> Column | None:
    if outputs is None or (genome.slope == 1.0 and genome.intercept == 0.0):
        return outputs
    slope, intercept = genome.slope, genome.intercept
    return [slope * value + intercept for value in outputs]
