"""Symbolic regression: find the formula behind numbers.

Reading order: `expression` (trees, their canonical text, their values), `formula` (weighted sums of trees: the
genome), `least_squares` (the best weights), `variation` (how formulas are made and changed), `benchmarks` (Nguyen's
and Keijzer's sets), `data` (a user's numbers), `problem` (all of it as a problem).
"""

from distevod.problems.regression.data import tasks_from_csv
from distevod.problems.regression.problem import Regression

__all__ = ["Regression", "tasks_from_csv"]
