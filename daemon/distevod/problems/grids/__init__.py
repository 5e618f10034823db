"""ARC's grid tasks, solved by small typed programs.

Reading order: `values` (what programs compute with), `primitive` and `primitives/` (the words), `expression`
(programs and their normal form), `parser`, `interpreter`, `finishers` (parts that are fitted to the task), `scoring`,
`tasks` (where tasks come from), `vocabulary`, `sweep` (the exhaustive start), `variation` (what comes after it),
`problem` (all of it behind the contract).
"""

from distevod.problems.grids.problem import Grids

__all__ = ["Grids"]
