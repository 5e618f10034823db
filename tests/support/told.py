"""A problem that is solved where and when a test says so."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from tests.support.noted import Noted

FOUND = 10**9
"""The only fit program."""


class Told(Noted):
    """`Noted`, of which a platform finds the fit program as soon as a file `find` lies in its folder.

    The file has the suffix that the notes of the task have.
    """

    name, version = "told", "1"

    def __init__(self, task: Any) -> None:
        super().__init__(task)
        self.find = (Path.home() / "find").with_suffix(Path(task["path"]).suffix)

    def mutate(self, genome: int, rng: Random) -> int:
        return FOUND if self.find.exists() else super().mutate(genome, rng)

    def evaluate(self, genome: int) -> Any:
        return {"fitness": super().evaluate(genome), "fit": genome == FOUND}
