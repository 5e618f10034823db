"""Two daemons on one folder: one cluster, over links and, where nobody can be dialled, by the store's mail."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from distevo.block import unpack
from distevo.checkpoint import IslandSnapshot, decode_checkpoint
from distevo.names import CHECKPOINTS
from distevo.population import Population
from distevo.program import keyer
from distevod.problems.onemax import OneMax
from distevod.store import open_store
from tests.support.daemon import Daemon, DaemonError
from tests.support.two import HARD, LISTEN, cluster, coordinator, evolving, members, until


@pytest.fixture(scope="module", params=list(LISTEN))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Daemon]]:
    """One that the tests share, in their order: by mail it takes ten seconds until a platform is taken in."""
    with cluster(tmp_path_factory.mktemp("cluster"), LISTEN[request.param]) as found:
        paths = {"links": "direct", "mail": "mail"}
        until(lambda: [path(daemon) for daemon in found] == 2 * [paths[request.param]], "the path between them")
        yield found


def path(daemon: Daemon) -> str:
    """How one of two speaks to the other."""
    return str(next(member["path"] for member in daemon.status()["members"] if member["path"] != "self"))


def test_a_run_that_is_submitted_at_the_follower(pair: tuple[Daemon, Daemon]) -> None:
    first, second = pair
    tasks = {f"t{number}": {"bits": 160 + 8 * number, "cost_us": 500} for number in range(2)}
    settings = {"islands_per_task": 3, "evaluations": 10**6, "seed": 7}
    run = second.submit(reference="onemax", data=tasks, **settings)
    until(lambda: evolving(first) and evolving(second), "islands on both")
    for daemon in pair:
        assert daemon.wait_done(run)["fit"] == len(tasks)
    results = second.results(run)
    assert results == first.results(run)
    assert {name: result["fitness"] for name, result in results.items()} == {
        name: [task["bits"]] for name, task in tasks.items()
    }


def test_two_that_submit_at_once_without_a_name_get_a_run_each(pair: tuple[Daemon, Daemon]) -> None:
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(daemon.submit, reference="onemax", spec="64", evaluations=500) for daemon in pair]
        runs = {each.result() for each in asked}
    assert len(runs) == 2
    for run in runs:
        pair[0].wait_done(run)


def test_islands_of_one_task_exchange_programs_between_platforms(pair: tuple[Daemon, Daemon]) -> None:
    first, second = pair
    run = first.submit(reference="onemax", data=HARD, islands_per_task=2, evaluations=10**9, migration={"interval": 1})

    def edges(daemon: Daemon) -> list[tuple[int, int, str]]:
        """Those on which something was taken: source, target, and on which platform that is."""
        found = daemon.status()["migrations"]
        return [(e["source"], e["target"], e["owner"].rpartition("-")[0]) for e in found if e["accepted"]]

    until(lambda: edges(first) and edges(second), "emigrants of each to be taken by the other")
    assert sorted(edges(first) + edges(second)) in ([(0, 1, "a"), (1, 0, "b")], [(0, 1, "b"), (1, 0, "a")])
    first.ask(do="command", verb="cancel", run=run)


def test_commands_at_the_follower(pair: tuple[Daemon, Daemon]) -> None:
    first, second = pair
    run = second.submit(reference="onemax", data=HARD, islands_per_task=2, evaluations=10**6)
    until(lambda: evolving(first) and evolving(second), "islands on both")
    for verb, more, state in (
        ("pause", {}, "paused"),
        ("resume", {}, "running"),
        ("extend", {"evaluations": 10**7}, "running"),
        ("cancel", {}, "cancelled"),
    ):
        assert second.ask(do="command", verb=verb, run=run, **more)["state"] == state
        until(lambda: first.run(run)["state"] == state, f"{verb} on the coordinator")  # noqa: B023
    with pytest.raises(DaemonError, match="the run is cancelled"):
        second.ask(do="command", verb="resume", run=run)
    until(lambda: second.results(run)["t"]["state"] == "done", "the best so far as its result")
    assert second.results(run) == first.results(run)
    assert first.run(run)["budget"]["evaluations"] == 10**7
    assert second.ask(do="command", verb="delete", run=run)["state"] == "deleted"
    with pytest.raises(DaemonError, match="there is no run"):
        second.results(run)


def test_a_follower_leaves_and_its_islands_go_on(pair: tuple[Daemon, Daemon]) -> None:
    first, second = pair
    run = first.submit(reference="onemax", data=HARD, islands_per_task=2, evaluations=10**9)
    until(lambda: evolving(first) and evolving(second), "islands on both")
    theirs = evolving(second)
    assert second.stop() == 0
    left = sum(snapshot.counters.evaluations for snapshot in checkpointed(first, "b"))
    assert left > 0

    def go_on() -> bool:
        islands = [i for i in first.ask(do="islands")["islands"] if (i["task"], i["island"]) in theirs]
        return sum(island["evaluations"] for island in islands) > left

    until(go_on, "the follower's islands to go on at the coordinator")
    assert members(first)["b"] != "alive"
    first.ask(do="command", verb="cancel", run=run)


@pytest.mark.parametrize("listen", LISTEN.values(), ids=LISTEN)
def test_the_follower_takes_over_when_the_coordinator_is_killed(tmp_path: Path, listen: str) -> None:
    with cluster(tmp_path, listen) as (first, second):
        run = first.submit(reference="onemax", data=HARD, islands_per_task=3, evaluations=24_000)
        until(lambda: evolving(first) and evolving(second), "islands on both")
        until(lambda: checkpointed(first, "a"), "a checkpoint of the coordinator")
        first.kill()
        durable = best(checkpointed(first, "a"))
        until(lambda: coordinator(second) == "b", "another coordinator")
        assert second.status()["cluster"]["epoch"] == 2
        assert members(second)["a"] != "alive"
        view = second.wait_done(run)
        assert (view["state"], view["tasks_done"]) == ("done", 1)
        result = second.results(run)["t"]
        assert result["fitness"] >= durable
        assert result["evaluations"] >= 24_000


def checkpointed(daemon: Daemon, member: str) -> list[IslandSnapshot]:
    """What the newest checkpoint of a member holds."""
    store = open_store(str(daemon.folder.parent / "store"))
    names = [name for name in store.list(CHECKPOINTS) if name.startswith(f"{CHECKPOINTS}{member}-")]
    if not names:
        return []
    newest = max(names, key=lambda name: int(name.rpartition("/")[2]))
    return decode_checkpoint(store.read(newest)[0]).islands


def best(snapshots: list[IslandSnapshot]) -> list[float]:
    """The best fitness in them."""
    key_of = keyer(OneMax.name, OneMax.version)
    found = [Population(unpack(snapshot.population, key_of)).best for snapshot in snapshots]
    return max(list(program.fitness) for program in found if program is not None)
