"""What snapshots and results are worth: as much as the best program in them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from distevo.block import unpack
from distevo.checkpoint import IslandSnapshot
from distevo.program import keyer


class Worth(NamedTuple):
    """What the best program of a snapshot is worth; the higher the better."""

    fit: bool
    fitness: tuple[float, ...]

    def is_worse(self, other: Worth) -> bool:
        """Of two fit programs neither is worse: the smallest is chosen, whatever its fitness."""
        return not self.fit and (other.fit or self.fitness < other.fitness)


def worth_of(snapshot: IslandSnapshot) -> Worth | None:
    """None: there is no program in it."""
    return _worth(snapshot.population, snapshot.problem, snapshot.version)


@lru_cache(1000)
def _worth(block: bytes, problem: str, version: str) -> Worth | None:
    """Several judges ask about one snapshot, and many a one has the programs of the one before."""
    programs = unpack(block, keyer(problem, version)) if block else []
    return max((Worth(program.fit, program.fitness) for program in programs), default=None)
