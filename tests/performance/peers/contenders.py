"""Who is compared, in which ways of being used."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.performance.peers.distevo_session import DistevoSession
from tests.performance.peers.session import Session
from tests.performance.peers.work import WORKERS


class Contender(NamedTuple):
    """One way to use one of them."""

    name: str
    package: str
    """Whose version counts."""
    module: str
    """The peer's script; empty for distevo."""
    variant: str
    cores: int = WORKERS
    works: tuple[str, ...] = ("onemax", "regression")

    def session(self, folder: Path, work: str, notes: str = "") -> Session | DistevoSession:
        """Not started yet."""
        if not self.module:
            return DistevoSession(folder, work, self.variant, notes=notes, workers=self.cores)
        return Session(folder, self.module, work, self.variant, "--notes", notes)


EQUAL = (
    Contender("distevo", "distevo", "", "equal"),
    Contender("distevo, one worker", "distevo", "", "equal", cores=1),
    Contender("DEAP, one process", "deap", "deap_islands", "alone-equal", cores=1),
    Contender("DEAP, pool of evaluations", "deap", "deap_islands", "map-equal"),
    Contender("DEAP, pool of demes", "deap", "deap_islands", "demes-equal"),
    Contender("pygmo archipelago", "pygmo", "pygmo_archipelago", "equal"),
    Contender("Ray actors", "ray", "ray_actors", ""),
    Contender("Dask actors", "distributed", "dask_actors", ""),
)
OWN = (
    Contender("distevo", "distevo", "", "own"),
    Contender("DEAP, one process", "deap", "deap_islands", "alone-own", cores=1),
    Contender("DEAP with numpy, one process", "deap", "deap_islands", "alone-numpy", cores=1, works=("onemax",)),
    Contender("DEAP, pool of demes", "deap", "deap_islands", "demes-own"),
    Contender("pygmo sga", "pygmo", "pygmo_archipelago", "own", works=("onemax",)),
)
"""Ray and Dask have no operators."""
