"""Platforms that come, leave and die in the middle of a run, with links between them."""

from __future__ import annotations

import logging
import time
from itertools import chain
from pathlib import Path

from tests.support.cluster import EASY, ROOMY, SLOW, Cluster, within
from tests.support.hosts import requires_namespaces
from tests.support.told import FOUND

pytestmark = requires_namespaces
ALL = ("a", "b", "c")
log = logging.getLogger(__name__)


def islands_seen_by(cluster: Cluster, member: str) -> int:
    """Islands in work, or behind those of another task; of whom this one has not heard yet it knows none."""
    counts = [cluster.members(member, field).values() for field in ("islands", "queued")]
    return sum(islands or 0 for islands in chain(*counts))


def test_all_work_and_any_shows_the_whole_cluster(three: Cluster) -> None:
    run = three.submit("b")
    three.wait_working(ALL, 10)
    record = three.record()
    boots = {member: three.daemons[member].ask(do="ping")["boot"] for member in ALL}
    for member in ALL:
        within(5, lambda: islands_seen_by(three, member) == 4, "four islands")  # noqa: B023
        cluster = three.daemons[member].status()["cluster"]
        assert (cluster["id"], cluster["epoch"]) == (record.cluster, record.epoch)
        assert cluster["coordinator"] == record.holder
        assert three.members(member, "boot") == boots
        assert three.members(member, "path") == {**dict.fromkeys(ALL, "direct"), member: "self"}
        assert {task: found["state"] for task, found in three.daemons[member].results(run).items()} == {
            "t1": "working", "t2": "working",
        }  # fmt: skip
    three.daemons["c"].ask(do="command", verb="pause", run=run)
    for member in ALL:
        within(5, lambda: three.daemons[member].run(run)["state"] == "paused", "the pause")  # noqa: B023

    def evaluated() -> list[int]:
        return [three.daemons[member].run(run)["evaluations"] for member in ALL]

    within(5, lambda: len(set(evaluated())) == 1 and evaluated()[0] > 0, "all to count the same evaluations")
    three.daemons["b"].ask(do="command", verb="resume", run=run)
    three.finish(run, *ALL)


def test_a_task_that_is_fit_anywhere_stops_everywhere(three: Cluster) -> None:
    notes = {task: three.folder / f"notes.{task}" for task in ("t1", "t2")}
    data = {task: {"path": str(path), "cost": 0.002} for task, path in notes.items()}
    run = three.submit("a", reference="tests.support.told:Told", data=data, islands_per_task=3)
    results = {}
    for task, finder in (("t1", "b"), ("t2", "c")):
        # A platform works through the tasks one after the other, and all on the first that is open.
        three.wait_working(ALL, 10, {island for island in three.places() if island.task == task})
        (three.folder / finder / f"find.{task}").touch()
        within(10, lambda: three.plan().runs[run].tasks[task].result, f"the result of {task}")  # noqa: B023
        results[task] = three.plan().runs[run].tasks[task].result
    view = three.daemons["a"].wait_done(run, 10)
    assert (view["tasks_done"], view["fit"]) == (2, 2)
    for path in notes.values():
        found, last = told(path)
        log.info("%.2f s until all stood still", last - found)
        assert last < found + 1
    assert {task: found.result for task, found in three.plan().runs[run].tasks.items()} == results
    within(5, lambda: all(three.daemons[member].run(run)["state"] == "done" for member in ALL), "all to know")
    assert {found["program"] for found in three.results(run, *ALL).values()} == {str(FOUND)}


def told(notes: Path) -> tuple[float, float]:
    """When the fit program was first evaluated, and when another one was last."""
    lines = [line.split() for line in notes.read_text().splitlines()]
    return (
        min(float(moment) for moment, _, genome in lines if int(genome) == FOUND),
        max(float(moment) for moment, _, genome in lines if int(genome) != FOUND),
    )


def test_a_platform_is_killed(three: Cluster) -> None:
    victim, *rest = three.followers_first()
    run = three.submit(victim, **ROOMY)
    three.wait_working(ALL, 10)
    orphans = three.owned(victim)
    three.note_durable(run)
    confirmed = three.submit(victim, **EASY)
    three.kill(victim)
    three.wait_working(rest, 10, orphans)
    three.wait_members({**dict.fromkeys(rest, "alive"), victim: "dead"})
    three.finish(run, *rest)
    assert three.daemons[rest[0]].wait_done(confirmed)["fit"] == 1


def test_a_platform_has_work_soon_after_its_start(three: Cluster) -> None:
    newcomer, *rest = three.followers_first()
    three.kill(newcomer)
    three.wait_members({**dict.fromkeys(rest, "alive"), newcomer: "dead"})
    run = three.submit(rest[0])
    three.wait_working(rest, 10)
    begun = time.monotonic()
    three.daemons[newcomer].start()
    within(6, lambda: three.owned(newcomer), "the newcomer to have work")
    three.wait_working(ALL, 6)
    log.info("%.2f s from the start to work", time.monotonic() - begun)
    assert time.monotonic() - begun < 6
    three.wait_members(dict.fromkeys(ALL, "alive"))
    three.finish(run, *ALL)


def test_the_coordinator_is_killed(three: Cluster) -> None:
    *rest, victim = three.followers_first()
    run = three.submit(victim, **ROOMY)
    three.wait_working(ALL, 10)
    epoch, orphans = three.record().epoch, three.owned(victim)
    three.note_durable(run)
    confirmed = three.submit(victim, **EASY)
    three.kill(victim)
    within(10, lambda: three.record().holder in rest, "another coordinator")
    three.wait_working(rest, 10, orphans)
    assert three.record().epoch == epoch + 1
    within(2, lambda: three.coordinators(*rest) == {three.record().holder}, "both to follow it")
    three.daemons[victim].start()
    three.wait_members(dict.fromkeys(ALL, "alive"))
    within(6, lambda: three.owned(victim), "the former coordinator to have work")
    three.wait_working(ALL, 5, {island for island in three.places() if island.run == run})
    assert three.record().epoch == epoch + 1
    three.finish(run, *ALL)
    assert three.daemons[victim].wait_done(confirmed)["fit"] == 1


def test_two_are_killed_while_tasks_rise_from_budget_to_budget_and_begin_from_what_was_found(three: Cluster) -> None:
    worker, last, victim = three.followers_first()
    budgets = [{"cpu_seconds": None, "evaluations": evaluations} for evaluations in (200, 600)]
    data = {f"t{number}": SLOW for number in range(6)}
    run = three.submit(last, data=data, islands_per_task=1, rungs=budgets, evaluations=1800)

    def risen(run: str) -> list[int]:
        return [task.rung for task in three.plan().runs[run].tasks.values()]

    within(30, lambda: sum(rung > 0 for rung in risen(run)) >= 2, "tasks on the second budget")
    three.kill(victim)
    three.note_durable(run)
    view = three.daemons[last].wait_done(run, 60)
    assert (view["tasks_done"], view["tasks_on_rungs"], view["tasks_failed"]) == (6, [0, 0, 0], 0)
    three.judge(run, last, worker)
    found = three.results(run, last, worker)
    # What was done anew after the death is counted once: all have had their whole budget, and nobody more.
    assert {task["evaluations"] for task in found.values()} == {1800}

    later = three.submit(worker, data=data, islands_per_task=1, rungs=budgets, evaluations=1800, begin_from=run)
    within(30, lambda: sum(rung > 0 for rung in risen(later)) >= 2, "tasks on the second budget")
    three.kill(worker)
    three.note_durable(later)
    assert three.daemons[last].wait_done(later, 60)["tasks_done"] == 6
    three.judge(later, last)
    for task, result in three.results(later, last).items():
        assert (result["evaluations"], result["fitness"] >= found[task]["fitness"]) == (1800, True)


def test_a_platform_is_stopped(three: Cluster) -> None:
    victim, *rest = three.followers_first()
    run = three.submit(rest[-1])
    three.wait_working(ALL, 10)
    orphans = three.owned(victim)
    three.note_durable(run)
    assert three.daemons[victim].stop(5) == 0
    three.wait_working(rest, 5, orphans)
    three.wait_members({**dict.fromkeys(rest, "alive"), victim: "left"})
    three.finish(run, *rest)
