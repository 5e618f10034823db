"""SIGKILL of a daemon at random moments in the middle of a run, and what has to be true all the same."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from distevo.block import unpack
from distevo.checkpoint import IslandSnapshot, decode_checkpoint, restore
from distevo.errors import NotFound
from distevo.events import IslandId
from distevo.names import CHECKPOINTS, RESULTS
from distevo.population import Population
from distevo.problem import Contract
from distevo.program import keyer
from distevo.run import ProblemUse, Run, RunSettings
from distevo.work import fresh_snapshot
from distevod.evolution.island import Island, IslandSettings
from distevod.evolution.page import Page
from distevod.problems.onemax import OneMax
from distevod.store import open_store
from tests.support.daemon import Daemon, wait_for

BATCH = 25
SEED = 7
KEY_OF = keyer(OneMax.name, OneMax.version)


def tasks(count: int, cost_us: int) -> dict[str, Any]:
    """Tasks that are fit after some hundred generations."""
    return {f"t{number:02}": {"bits": 120 + 8 * number, "cost_us": cost_us} for number in range(count)}


def expected_key(task: str, data: dict[str, Any]) -> str:
    """The key of the result of an island that is never interrupted."""
    contract = Contract(OneMax(data | {"cost_us": 0}))
    settings = RunSettings(seed=SEED, evaluations=10**9)
    run = Run(
        name="kills", nonce="", problem=ProblemUse("onemax", "", "onemax", "1"), settings=settings,
        tasks={}, submitted_through="",
    )  # fmt: skip
    page = Page.create()
    island = Island(
        contract,
        IslandSettings(1, settings.population_size, BATCH, 60.0),
        fresh_snapshot(run, IslandId("kills", task, 0), 1),
        page,
    )
    while not (done := island.generation()).is_fit:
        pass
    page.close()
    guess = Population(unpack(done.snapshot.population, KEY_OF)).smallest_fit()
    assert guess is not None
    return guess.key.hex()


def kill_again_and_again(folder: Path, times: int, task_count: int, cost_us: int, seed: int) -> dict[str, Any]:
    """Run, kill `times` times, let it end, and check everything. Returns what was seen, in numbers."""
    rng = random.Random(seed)
    with Daemon(folder, "--batch-size", str(BATCH), "--checkpoint-seconds", "1", workers=2) as daemon:
        return _kill(daemon, rng, times, tasks(task_count, cost_us))


def _kill(daemon: Daemon, rng: random.Random, times: int, wanted: dict[str, Any]) -> dict[str, Any]:
    daemon.submit(reference="onemax", data=wanted, run="kills", seed=SEED, evaluations=10**9)
    resumed: list[int] = []
    for kill in range(times):
        time.sleep(rng.uniform(0.05, 2.0))  # Not for luck: the moment of the kill is what varies.
        if daemon.run("kills")["state"] == "done":
            raise AssertionError(f"the run was over after {kill} of {times} kills: give it more work")
        daemon.kill()
        before = durable_islands(daemon)
        done = plan_results(daemon)
        daemon.start()
        wait_for(lambda: daemon.status()["runs"], "the run to be taken up")
        for task, result in done.items():
            assert daemon.results("kills")[task]["key"] == result, "a named result changed"
        resumed.append(check_resumed(daemon, before))
    view = daemon.wait_done("kills", 600)
    results = daemon.results("kills")
    assert view["state"] == "done"
    assert view["fit"] == view["tasks_done"] == len(wanted)
    for task, data in wanted.items():
        assert results[task]["key"] == expected_key(task, data), f"{task} took another way than without kills"
    assert daemon.stop() == 0
    names = open_store(str(daemon.state_dir / "store")).list(RESULTS)
    assert len(names) == len(wanted), "a result is doubled"
    return {"kills": times, "tasks": len(wanted), "islands_resumed": sum(resumed), "same_as_uninterrupted": True}


def durable_islands(daemon: Daemon) -> dict[IslandId, IslandSnapshot]:
    """What the store holds of each island, by the rule of restoring."""
    store = open_store(str(daemon.state_dir / "store"))
    found: dict[IslandId, list[IslandSnapshot]] = {}
    for name in store.list(CHECKPOINTS):
        for snapshot in decode_checkpoint(store.read(name)[0]).islands:
            found.setdefault(IslandId(snapshot.run, snapshot.task, snapshot.island), []).append(snapshot)
    restored = {island: restore(snapshots, 10**6) for island, snapshots in found.items()}
    return {island: snapshot for island, snapshot in restored.items() if snapshot is not None}


def plan_results(daemon: Daemon) -> dict[str, str | None]:
    """Keys of the results that the plan in the store names."""
    from distevo.cluster import decode_cluster
    from distevo.names import CLUSTER
    from distevo.plan import decode_plan
    from distevo.result import decode_result

    store = open_store(str(daemon.state_dir / "store"))
    record = decode_cluster(store.read(CLUSTER)[0])
    if record.plan is None:
        return {}
    plan = decode_plan(store.read(record.plan)[0])
    named = {task: entry.result for task, entry in plan.runs["kills"].tasks.items() if entry.result}
    return {task: decode_result(store.read(name)[0])[0].key for task, name in named.items()}


def check_resumed(daemon: Daemon, before: dict[IslandId, IslandSnapshot]) -> int:
    """Each island that was durable goes on from there: same keys, or better ones. Returns how many there were."""
    boot = daemon.status()["members"][0]["boot"]
    store = open_store(str(daemon.state_dir / "store"))

    def newest() -> dict[IslandId, IslandSnapshot]:
        after: dict[IslandId, IslandSnapshot] = {}
        for name in store.list(CHECKPOINTS):
            if boot in name:
                try:
                    islands = decode_checkpoint(store.read(name)[0]).islands
                except NotFound:
                    continue  # Deleted meanwhile, since a later one holds as much.
                for snapshot in islands:
                    after[IslandId(snapshot.run, snapshot.task, snapshot.island)] = snapshot
        return after

    found: dict[IslandId, IslandSnapshot] = {}

    def is_durable() -> bool:
        is_done = daemon.run("kills")["state"] == "done"
        found.update(newest())
        return is_done or bool(found)

    wait_for(is_durable, "the first checkpoint of the new boot")
    count = 0
    for island, now in found.items():
        was = before.get(island)
        if was is None:
            continue
        count += 1
        assert now.grant > was.grant
        assert now.cover.get(was.grant) == was.sequence
        assert now.generation >= was.generation
        old, new = (Population(unpack(snapshot.population, KEY_OF)) for snapshot in (was, now))
        worst = list(new)[-1]
        for program in old:
            assert program.key in new or program > worst or len(new) < 200, "a durable program was lost"
        best_was, best_now = old.best, new.best
        assert best_was is not None
        assert best_now is not None
        assert best_now <= best_was
    return count
