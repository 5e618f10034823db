"""A store that a platform left with a run half done, when it was killed."""

from __future__ import annotations

from pathlib import Path

from distevo.block import unpack
from distevo.events import IslandId
from distevo.plan import TaskState
from distevo.population import Population
from distevo.program import keyer
from tests.support.daemon import Daemon, wait_for
from tests.support.store_view import StoreView

QUICK = ("--listen", "none", "--checkpoint-seconds", "1", "--lease-ttl", "5", "--heartbeat-interval", "1")
TASKS = {"easy": {"bits": 16}, "hard": {"bits": 4096, "cost_us": 500}}


def best(view: StoreView, run: str, task: str) -> list[float]:
    """The best fitness of a task that some checkpoint holds."""
    problem = view.plan().runs[run].problem
    key_of = keyer(problem.name, problem.version)
    found = [
        list(held.fitness)
        for _, snapshot in view.snapshots()
        if (snapshot.run, snapshot.task) == (run, task) and snapshot.population
        and (held := Population(unpack(snapshot.population, key_of)).best) is not None
    ]  # fmt: skip
    return max(found, default=[])


def evaluated(view: StoreView) -> dict[IslandId, int]:
    """Evaluations of each island, as its newest snapshot has them."""
    found: dict[IslandId, int] = {}
    for _, snapshot in view.snapshots():
        island = IslandId(snapshot.run, snapshot.task, snapshot.island)
        found[island] = max(found.get(island, 0), snapshot.counters.evaluations)
    return found


def leave_half_done(folder: Path) -> Path:
    """The folder of the store of a platform that was killed when one task, `easy`, had its result, and both islands of
    another, `hard`, lay in a checkpoint; the run is called `half`.
    """
    store = folder / "store"
    with Daemon(folder, "--store", str(store), *QUICK, id="one") as daemon:
        run = daemon.submit(run="half", reference="onemax", data=TASKS, islands_per_task=2, evaluations=10**8)
        view = StoreView(store)

        def is_half_done() -> bool:
            hard = [snapshot for _, snapshot in view.snapshots() if snapshot.task == "hard" and snapshot.population]
            done = view.plan().runs[run].tasks["easy"].state is TaskState.DONE if run in view.plan().runs else False
            return done and {snapshot.island for snapshot in hard} == {0, 1}

        wait_for(is_half_done, "a run that is half done", seconds=60)
        daemon.kill()
    return store
