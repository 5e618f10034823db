"""Nguyen's and Keijzer's benchmarks, with the points they were published with.

Functions and points are those of the table in McDermott et al., "Genetic Programming Needs Better Benchmarks",
GECCO 2012: Nguyen 1-10 from Uy et al. 2011, Keijzer 1-15 from Keijzer 2003. Nguyen 11 and 12 are those of
Petersen et al., "Deep Symbolic Regression", ICLR 2021. Published random points are drawn from a generator seeded
with the name, so that everybody has the same. Nguyen's set has no test points: 1,000 others from the same range
are taken.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from random import Random
from typing import NamedTuple

Point = tuple[float, ...]


class Uniform(NamedTuple):
    """Random points; `ranges` has low and high for each variable."""

    ranges: Sequence[tuple[float, float]]
    how_many: int

    def points(self, seed: str) -> Iterator[Point]:
        """The points, the same for the same seed."""
        rng = Random(seed)
        for _ in range(self.how_many):
            yield tuple(rng.uniform(low, high) for low, high in self.ranges)


class Grid(NamedTuple):
    """Evenly spaced points, `low` and `high` included, in each variable: published as E[low, high, step]."""

    low: float
    high: float
    step: float
    variables: int = 1

    def points(self, seed: str) -> Iterator[Point]:
        """The points; `seed` changes nothing."""
        steps = round((self.high - self.low) / self.step)
        # Twelve digits: -1 + 7 * 0.1 should be -0.3, as a reader of the table expects.
        axis = [round(self.low + i * self.step, 12) for i in range(steps + 1)]
        yield from product(axis, repeat=self.variables)


class Benchmark(NamedTuple):
    """One function to be found again."""

    name: str
    formula: str
    function: Callable[..., float]
    train: Uniform | Grid
    test: Uniform | Grid

    def train_points(self) -> tuple[list[list[float]], list[float]]:
        """Columns and target of the training points."""
        return self._numbers(list(self.train.points(f"{self.name} train")))

    def test_points(self, at_once: int) -> Iterator[tuple[list[list[float]], list[float]]]:
        """Columns and target of the test points, `at_once` at a time: Keijzer's grids have 361,201."""
        points = self.test.points(f"{self.name} test")
        while chunk := list(islice(points, at_once)):
            yield self._numbers(chunk)

    def _numbers(self, points: list[Point]) -> tuple[list[list[float]], list[float]]:
        columns = [list(column) for column in zip(*points, strict=True)]
        return columns, [self.function(*point) for point in points]


def _symmetric(variables: int, bound: float, count: int) -> Uniform:
    return Uniform([(-bound, bound)] * variables, count)


def _positive(variables: int, bound: float, count: int) -> Uniform:
    return Uniform([(0.0, bound)] * variables, count)


def _polynomial(degree: int) -> Callable[[float], float]:
    return lambda x: math.fsum(x**power for power in range(1, degree + 1))


def _harmonic(x: float) -> float:
    return math.fsum(1 / i for i in range(1, round(x) + 1))


def _nguyen() -> Iterator[Benchmark]:
    sin, cos, log = math.sin, math.cos, math.log
    formulas: list[tuple[str, Callable[..., float], Callable[[int], Uniform], int]] = [
        ("x^3+x^2+x", _polynomial(3), lambda n: _symmetric(1, 1.0, n), 20),
        ("x^4+x^3+x^2+x", _polynomial(4), lambda n: _symmetric(1, 1.0, n), 20),
        ("x^5+x^4+x^3+x^2+x", _polynomial(5), lambda n: _symmetric(1, 1.0, n), 20),
        ("x^6+x^5+x^4+x^3+x^2+x", _polynomial(6), lambda n: _symmetric(1, 1.0, n), 20),
        ("sin(x^2)*cos(x)-1", lambda x: sin(x * x) * cos(x) - 1, lambda n: _symmetric(1, 1.0, n), 20),
        ("sin(x)+sin(x+x^2)", lambda x: sin(x) + sin(x + x * x), lambda n: _symmetric(1, 1.0, n), 20),
        ("ln(x+1)+ln(x^2+1)", lambda x: log(x + 1) + log(x * x + 1), lambda n: _positive(1, 2.0, n), 20),
        ("sqrt(x)", math.sqrt, lambda n: _positive(1, 4.0, n), 20),
        ("sin(x)+sin(y^2)", lambda x, y: sin(x) + sin(y * y), lambda n: _symmetric(2, 1.0, n), 100),
        ("2*sin(x)*cos(y)", lambda x, y: 2 * sin(x) * cos(y), lambda n: _symmetric(2, 1.0, n), 100),
        ("x^y", math.pow, lambda n: _positive(2, 1.0, n), 20),
        ("x^4-x^3+y^2/2-y", lambda x, y: x**4 - x**3 + y * y / 2 - y, lambda n: _positive(2, 1.0, n), 20),
    ]
    for number, (formula, function, points, count) in enumerate(formulas, start=1):
        yield Benchmark(f"nguyen-{number}", formula, function, points(count), points(1000))


def _keijzer() -> Iterator[Benchmark]:
    sin, cos, exp, pi = math.sin, math.cos, math.exp, math.pi

    def wave(x: float) -> float:
        return 0.3 * x * sin(2 * pi * x)

    def damped(x: float) -> float:
        return x**3 * exp(-x) * cos(x) * sin(x) * (sin(x) ** 2 * cos(x) - 1)

    box = [(-1.0, 1.0), (1.0, 2.0), (-1.0, 1.0)]
    few, fine = _symmetric(2, 3.0, 20), Grid(-3, 3, 0.01, 2)
    formulas: list[tuple[str, Callable[..., float], Uniform | Grid, Uniform | Grid]] = [
        ("0.3*x*sin(2*pi*x)", wave, Grid(-1, 1, 0.1), Grid(-1, 1, 0.001)),
        ("0.3*x*sin(2*pi*x)", wave, Grid(-2, 2, 0.1), Grid(-2, 2, 0.001)),
        ("0.3*x*sin(2*pi*x)", wave, Grid(-3, 3, 0.1), Grid(-3, 3, 0.001)),
        ("x^3*e^-x*cos(x)*sin(x)*(sin(x)^2*cos(x)-1)", damped, Grid(0, 10, 0.05), Grid(0.05, 10.05, 0.05)),
        (
            "30*x*z/((x-10)*y^2)",
            lambda x, y, z: 30 * x * z / ((x - 10) * y * y),
            Uniform(box, 1_000),
            Uniform(box, 10_000),
        ),
        ("sum of 1/i, i from 1 to x", _harmonic, Grid(1, 50, 1), Grid(1, 120, 1)),
        ("ln(x)", math.log, Grid(1, 100, 1), Grid(1, 100, 0.1)),
        ("sqrt(x)", math.sqrt, Grid(0, 100, 1), Grid(0, 100, 0.1)),
        ("arcsinh(x)", math.asinh, Grid(0, 100, 1), Grid(0, 100, 0.1)),
        ("x^y", math.pow, _positive(2, 1.0, 100), Grid(0, 1, 0.01, 2)),
        ("x*y+sin((x-1)*(y-1))", lambda x, y: x * y + sin((x - 1) * (y - 1)), few, fine),
        ("x^4-x^3+y^2/2-y", lambda x, y: x**4 - x**3 + y * y / 2 - y, few, fine),
        ("6*sin(x)*cos(y)", lambda x, y: 6 * sin(x) * cos(y), few, fine),
        ("8/(2+x^2+y^2)", lambda x, y: 8 / (2 + x * x + y * y), few, fine),
        ("x^3/5+y^3/2-y-x", lambda x, y: x**3 / 5 + y**3 / 2 - y - x, few, fine),
    ]
    for number, (formula, function, train, test) in enumerate(formulas, start=1):
        yield Benchmark(f"keijzer-{number}", formula, function, train, test)


BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in (*_nguyen(), *_keijzer())}
SETS = ("nguyen", "keijzer")
