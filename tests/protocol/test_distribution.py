"""The distribution plan, and that it is what a cluster makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from distevo.distribution import Platform, create_distribution_plan
from distevo.simulator import scenario_of, simulate
from distevod.presets import PLATFORM_PRESETS


def preset(name: str, kind: Platform, **fields: Any) -> dict[str, Any]:
    return {"id": name, "kind": kind, **PLATFORM_PRESETS[kind], **fields}


KAGGLE, COLAB = preset("kaggle-1", Platform.KAGGLE), preset("colab-1", Platform.COLAB)
LOCAL = preset("local-1", Platform.LOCAL, workers=4, memory_mb=8192, batch_size=250)
GUIDE = {Platform.KAGGLE: 4, Platform.COLAB: 3, Platform.LOCAL: 2}


def test_kinds_are_those_that_have_presets() -> None:
    assert {platform.value for platform in Platform} == PLATFORM_PRESETS.keys()


def test_the_guides_call() -> None:
    plan = create_distribution_plan("task", [KAGGLE, COLAB, LOCAL], islands_per_platform=GUIDE)
    # 4 GB have room for three; and four workers are not left idle.
    assert plan.live == {"kaggle-1": 3, "colab-1": 3, "local-1": 4}
    assert plan.counts == plan.live
    assert plan.waiting == []
    assert plan.warnings[0].startswith("kaggle-1: islands_per_platform asks for 4 islands, but memory_mb 4096 has room")
    assert len({island for islands in plan.islands.values() for island in islands}) == 10


def test_with_more_memory_it_is_the_guides_counts() -> None:
    roomy = [one | {"memory_mb": 16384, "workers": 2} for one in (KAGGLE, COLAB, LOCAL)]
    plan = create_distribution_plan("task", roomy, islands_per_platform=GUIDE)
    assert plan.counts == {"kaggle-1": 4, "colab-1": 3, "local-1": 2}
    assert plan.warnings == []


def test_no_limit_is_warned_of_that_workers_lift() -> None:
    plan = create_distribution_plan("task", [KAGGLE | {"workers": 8, "islands_per_platform": 6}])
    assert (plan.live, plan.warnings) == ({"kaggle-1": 8}, [])
    plan = create_distribution_plan("task", [KAGGLE | {"workers": 8, "islands_per_platform": 9}])
    assert plan.live == {"kaggle-1": 8}
    assert "room for 8 (3 for each 4096 MB, and one for each worker): 8 it is" in plan.warnings[0]


def test_more_islands_than_places_wait_in_queues_and_then_for_one() -> None:
    plan = create_distribution_plan([f"t{n:03}" for n in range(50)], [KAGGLE, COLAB], islands_per_task=2)
    assert plan.live == {"kaggle-1": 3, "colab-1": 3}
    assert sum(plan.counts.values()) + len(plan.waiting) == 100
    assert min(plan.counts.values()) > 4
    assert plan.waiting == sorted(plan.waiting), "those of later tasks"


def test_a_sharding_function_decides_the_shares_and_one_that_fails_is_named() -> None:
    tasks = [f"t{n}" for n in range(12)]
    plan = create_distribution_plan(
        tasks, [KAGGLE, COLAB], islands_per_task=1, cpu_seconds=1.0, shard=lambda platforms, total: {"colab-1": total}
    )
    assert plan.counts == {"kaggle-1": 0, "colab-1": 12}
    plan = create_distribution_plan(tasks, [KAGGLE, COLAB], islands_per_task=1, shard=lambda platforms, total: {})
    assert plan.warnings[-1].endswith("ValueError: it gives no platform anything")


@pytest.mark.parametrize(
    ("platforms", "message"),
    [
        ([KAGGLE, KAGGLE], "platform 'kaggle-1' is there twice"),
        ([{"workers": 1}], "a platform's id is None"),
        ([KAGGLE | {"workers": 0}], "workers of platform 'kaggle-1' is 0; give a whole number, 1 or more"),
        ([KAGGLE | {"islands_per_platform": "4"}], "islands_per_platform of platform 'kaggle-1' is '4'"),
    ],
)
def test_what_is_wrong_with_a_platform_is_said(platforms: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_distribution_plan("t", platforms)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"islands_per_task": 0}, "islands_per_task is 0; give a whole number, 1 or more"),
        ({"islands_per_task": -3}, "islands_per_task is -3"),
        ({"cpu_seconds": float("nan")}, "cpu_seconds is nan; give a number above 0"),
        ({"cpu_seconds": 0}, "cpu_seconds is 0"),
    ],
)
def test_a_plan_of_nothing_is_refused(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_distribution_plan("t", [KAGGLE], **numbers)


@pytest.mark.parametrize("kind", ["kagle", "kaggle-1"])
def test_islands_for_what_is_no_kind_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"islands_per_platform has '{kind}', no kind of platform; kinds are kaggle,"):
        create_distribution_plan("t", [KAGGLE], {kind: 4})
    own = KAGGLE | {"kind": "cloud"}
    assert create_distribution_plan("t", [own], {"cloud": 3, Platform.COLAB: 2}).live == {"kaggle-1": 3}


def test_a_task_is_there_once() -> None:
    with pytest.raises(ValueError, match="task 'a' is there twice"):
        create_distribution_plan(["a", "b", "a"], [KAGGLE])


@pytest.mark.parametrize(("tasks", "islands"), [(1, 3), (1, 9), (4, 2), (3, 4), (40, 2), (90, 1)])
def test_it_is_what_a_cluster_does(tasks: int, islands: int) -> None:
    platforms = [KAGGLE, COLAB, preset("paperspace-1", Platform.PAPERSPACE), LOCAL]
    same = ("workers", "memory_mb", "batch_size")
    groups = [
        {"kind": one["kind"].value, "islands": one.get("islands_per_platform")} | {name: one[name] for name in same}
        for one in platforms
    ]
    # All are there when the run comes; and no generation has ended when it is looked at.
    run = {"name": "r", "at": 38, "tasks": tasks, "islands_per_task": islands, "evaluations": 10**6}
    scenario = {"minutes": 0.9, "calm_minutes": 0, "members": groups, "runs": [run]}
    report = simulate(scenario_of(scenario | {"work": {"generation_seconds": [60, 90]}}), 1)
    assert report.finding is None
    plan = create_distribution_plan([f"t{n}" for n in range(tasks)], platforms, islands_per_task=islands)
    wanted = plan.counts | ({"": len(plan.waiting)} if plan.waiting else {})
    assert report.owned == {name: count for name, count in wanted.items() if count}


def test_several_tasks_have_as_many_islands_as_a_run_gives_by_itself() -> None:
    plan = create_distribution_plan(["a", "b"], [KAGGLE, COLAB])
    assert sum(plan.counts.values()) == 2
