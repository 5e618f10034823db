"""Symbolic regression as a problem."""

import math
import struct
from collections.abc import Callable, Iterator
from operator import mul, sub
from random import Random
from typing import Any

from distevo.errors import TaskError
from distevod.problems.regression.benchmarks import BENCHMARKS, SETS
from distevod.problems.regression.data import Numbers, numbers_of, tasks_from_csv
from distevod.problems.regression.expression import Tree, rounded, values
from distevod.problems.regression.formula import (
    Formula,
    combined,
    complexity,
    formula_size,
    formula_text,
    parse_formula,
    terms_of,
    weighted,
)
from distevod.problems.regression.least_squares import NEGLIGIBLE, Centred, best_weights, centred
from distevod.problems.regression.variation import Variation

MOST_TERMS = 8
MOST_NODES = 40
"""Largest formula, without its weights and intercept."""
FIT_TOLERANCE = 1e-6
"""A point is hit within this share of its target or of the target's standard deviation, whichever is larger."""
VERIFY_R2 = 0.99999
"""Least coefficient of determination on the hidden points."""
VARIATION_TRIES = 4
"""So many draws without a usable formula end in the constant one, which costs nothing: it is known already."""
TEST_POINTS_AT_ONCE = 10_000
REMEMBERED_NUMBERS = 200_000
"""Values of terms that are kept, about 64 bytes each; those of at least `LEAST_REMEMBERED` terms, however long."""
LEAST_REMEMBERED = 2 * MOST_TERMS

Tests = Callable[[], Iterator[Numbers]]
"""Gives the hidden points anew, some at a time."""


class Regression:
    """One table of numbers. Task data is one of:

    - `{"benchmark": "nguyen-5"}`
    - `{"X": [[1.0, 2.0], ...], "y": [3.0, ...]}`, optionally with `"test": {"X": ..., "y": ...}`, which
      evolution never sees. Without it there is nothing to verify.

    A program is a weighted sum of terms as prefix text, `sum(-1.0,mul(2.0,x0),sin(mul(x0,x0)))`. Its weights are
    part of it, found by least squares on the training points whenever variation makes a new one.

    Fitness is negated: the root mean squared error over the n training points, divided by the standard deviation
    of their target, times n^(k/2n) for a complexity of k. So 0 is perfect, -1 what the constant mean gets, and
    the order that of the Bayesian information criterion (Schwarz 1978): each node must pay for itself, much on
    few points and little on many, or else eight terms would fit any noise. Fit: each point is hit within
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
        target = centred(train.y)
        if target is None:
            raise TaskError("the numbers of y are too large to be squared and summed")
        self._target = target
        # Errors are divided by it: 1 where all targets are equal.
        self._deviation = math.sqrt(target.square / self._points) or 1.0
        self._price = self._points ** (0.5 / self._points)
        self._tolerances = [FIT_TOLERANCE * max(self._deviation, abs(value)) for value in train.y]
        self._largest_tolerance = max(self._tolerances)
        # Adding and subtracting this rounds a double to a multiple of a power of two near 1e-7 deviations.
        self._rounder = 1.5 * 2.0 ** (52 + math.floor(math.log2(self._deviation * 1e-7)))
        self._packing = struct.Struct(f"<{self._points}d")
        self._variation = Variation(len(train.columns))
        self._remembered: dict[Tree, Centred | None] = {}
        self._remember_at_most = max(LEAST_REMEMBERED, REMEMBERED_NUMBERS // self._points)

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

    def seeds(self, rng: Random) -> list[Formula]:
        """Formulas of one simple term, of those that have values; in random order, as there may be many."""
        terms = [(tree,) for tree in self._variation.simple()]
        formulas = [self._weighted(term, [part]) for term in terms if (part := self._part(term[0])) is not None]
        rng.shuffle(formulas)
        return formulas

    def random(self, rng: Random) -> Formula:
        """One or two random terms."""
        return self._first_usable(lambda: self._variation.made(rng))

    def mutate(self, genome: Formula, rng: Random) -> Formula:
        """One change; see `Variation.mutated`."""
        return self._first_usable(lambda: self._variation.mutated(genome.terms, rng))

    def crossover(self, a: Formula, b: Formula, rng: Random) -> Formula:
        """Terms, or parts of terms, of both; see `Variation.crossed`."""
        return self._first_usable(lambda: self._variation.crossed(a.terms, b.terms, rng))

    def evaluate(self, genome: Formula) -> dict[str, Any] | None:
        """Fitness, fit and behaviour; None where the formula has no value at some point."""
        parts = [part for part in map(self._part, genome.terms) if part is not None]
        if len(parts) < len(genome.terms):
            return None
        outputs = combined(genome, [part.values for part in parts], self._points)
        errors = list(map(sub, outputs, self._target.values))
        try:
            rms = math.sqrt(math.fsum([error * error for error in errors]) / self._points)
        except (OverflowError, ValueError):
            return None
        if not rms < math.inf:
            return None
        rounder = self._rounder
        return {
            "fitness": 0.0 - rms / self._deviation * self._price ** complexity(genome),
            # The largest error is no smaller than their root mean square.
            "fit": rms <= self._largest_tolerance
            and all(abs(e) <= tolerance for e, tolerance in zip(errors, self._tolerances, strict=True)),
            "behaviour": self._packing.pack(*[(value + rounder) - rounder for value in outputs]),
        }

    def encode(self, genome: Formula) -> bytes:
        """Prefix text without spaces."""
        return formula_text(genome).encode()

    def decode(self, data: bytes) -> Formula:
        """Raises `ValueError` for what is no formula."""
        return parse_formula(data.decode("ascii"), len(self._columns), MOST_NODES + 3 * MOST_TERMS)

    def _verify(self, genome: Formula) -> bool:
        """Whether the formula holds on the test points."""
        assert self._tests is not None
        squares, total, count = 0.0, 0.0, 0
        for columns, y in self._tests():
            parts = [part for term in genome.terms if (part := values(term, columns, len(y))) is not None]
            if len(parts) < len(genome.terms):
                return False
            errors = list(map(sub, combined(genome, parts, len(y)), y))
            squares += sum(map(mul, errors, errors))
            total += sum((value - self._target.mean) ** 2 for value in y)
            count += len(y)
        # The second term matters only where all test targets equal the mean: then R2 does not exist.
        return squares <= (1 - VERIFY_R2) * total + count * (FIT_TOLERANCE * self._deviation) ** 2

    def _first_usable(self, draw: Callable[[], list[Tree]]) -> Formula:
        """The formula of the first trees drawn that are not too many or large and have values."""
        for _ in range(VARIATION_TRIES):
            terms = terms_of(draw())
            if len(terms) <= MOST_TERMS and formula_size(terms) <= MOST_NODES:
                parts = [part for part in map(self._part, terms) if part is not None]
                if len(parts) == len(terms):
                    return self._weighted(terms, parts)
        return Formula(rounded(self._target.mean), (), ())

    def _weighted(self, terms: tuple[Tree, ...], parts: list[Centred]) -> Formula:
        weights = best_weights(parts, self._target)
        intercept = math.fsum([self._target.mean, *(-w * part.mean for w, part in zip(weights, parts, strict=True))])
        if abs(intercept) < NEGLIGIBLE * self._deviation:
            intercept = 0.0
        return weighted(intercept, weights, terms)

    def _part(self, term: Tree) -> Centred | None:
        """The values of a term on the training points; None where it has none."""
        # Most terms of a new program are those of its parents, and evaluate asks for them again a moment later.
        remembered = self._remembered
        if term in remembered:
            return remembered[term]
        if len(remembered) >= self._remember_at_most:
            remembered.clear()
        column = values(term, self._columns, self._points)
        part = remembered[term] = None if column is None else centred(column)
        return part


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
