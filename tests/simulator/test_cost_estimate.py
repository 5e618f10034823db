"""What a bucket is said to cost agrees with what simulated clusters do."""

from __future__ import annotations

from typing import Any

import pytest

from distevo.cost import PRICES, Estimate, Item, Shape, estimate
from distevo.simulator import Report, scenario_of, simulate

WITHIN = 1.1
"""Factor between the estimate and what the simulator counts of a cluster in its stride."""
STARTS_WITHIN = 1.25
"""The same with a start of each platform in so short a time; the estimate scatters them over the day."""
FROM_MINUTES, MINUTES = 5.0, 15.0
CLASSES = ("inserts", "lists", "reads", "misses")


def simulated(minutes: float, servers: int, notebooks: int = 0, cut: int = 0, **run: int) -> Report:
    """A cluster in which nothing fails; the first `cut` servers have links with nobody."""
    names = [f"server-{number + 1}" for number in range(servers)]
    partitions = [
        {"fault": "partition", "at": 0.0, "seconds": 3600.0, "sides": [[name], [n for n in names if n != name]]}
        for name in names[:cut]
    ]
    groups = [
        {"kind": "server", "count": servers},
        {"kind": "notebook", "count": notebooks, "is_behind_nat": True},
    ]
    run = {"tasks": servers + notebooks, "evaluations": 10**8} | run
    content: dict[str, Any] = {
        "minutes": minutes,
        "validate_every": 10**6,
        "members": [group for group in groups if group["count"]],
        "times": {"checkpoint_seconds": 30, "checkpoint_least_seconds": 30},
        "runs": [{"name": "r", "islands_per_task": 2} | run],
        "faults": partitions,
    }
    report = simulate(scenario_of(content), 1)
    assert report.finding is None
    return report


def hourly(report: Report) -> dict[str, float]:
    """Requests in an hour, by class."""
    return {kind: getattr(report.store, f"{kind}_per_hour") for kind in CLASSES}


def agree(counted: dict[str, float], shape: Shape, within: float) -> None:
    """The estimate for a shape is what was counted in an hour."""
    made = estimate(shape)
    total = made.total()
    estimated = {kind: getattr(total, kind) / 24 for kind in CLASSES}
    dear = (counted["inserts"] + counted["lists"]) * PRICES.write
    pairs = {kind: (estimated[kind], counted[kind]) for kind in CLASSES}
    pairs["dollars"] = made.dollars_requests, 24 * (dear + counted["reads"] * PRICES.read)
    for what, (ours, theirs) in pairs.items():
        if what == "misses" and not shape.mail:
            continue  # Some at starts; they are free.
        assert 1 / within < ours / theirs < within, f"{what}: estimated {ours:.4g}, counted {theirs:.4g}"


def in_its_stride(servers: int, notebooks: int, cut: int = 0, **run: int) -> dict[str, float]:
    """Requests in an hour after all have started."""
    begun, ended = (hourly(simulated(m, servers, notebooks, cut, **run)) for m in (FROM_MINUTES, MINUTES))
    return {kind: (ended[kind] * MINUTES - begun[kind] * FROM_MINUTES) / (MINUTES - FROM_MINUTES) for kind in CLASSES}


@pytest.mark.parametrize(
    ("servers", "notebooks", "cut", "mail"), [(4, 0, 0, 0), (10, 0, 0, 0), (1, 9, 0, 0), (0, 10, 0, 10), (6, 0, 2, 2)]
)
def test_estimate_is_what_a_simulated_cluster_does(servers: int, notebooks: int, cut: int, mail: int) -> None:
    """Linked, linked through one, all by mail, and some by mail."""
    platforms = servers + notebooks
    shape = Shape(platforms=platforms, mail=mail, tasks=platforms, tasks_per_hour=0, starts_per_day=0)
    agree(in_its_stride(servers, notebooks, cut), shape, WITHIN)


@pytest.mark.parametrize(("servers", "notebooks", "mail", "within"), [(4, 0, 0, 1.25), (0, 8, 8, 1.12)])
def test_estimate_holds_while_tasks_end(servers: int, notebooks: int, mail: int, within: float) -> None:
    """Each takes 10 generations of 5 seconds in the mean, of one worker on each platform. How many plans it makes is
    an average, and matters most where members have links and hear of each."""
    platforms = servers + notebooks
    shape = Shape(
        platforms=platforms, mail=mail, tasks=200, tasks_per_hour=platforms * 3600 / (10 * 5), starts_per_day=0
    )
    agree(in_its_stride(servers, notebooks, tasks=200, evaluations=100), shape, within)


def test_estimate_has_the_starts() -> None:
    shape = Shape(platforms=10, tasks=10, tasks_per_hour=0, starts_per_day=24 * 60 / MINUTES)
    agree(hourly(simulated(MINUTES, 10)), shape, STARTS_WITHIN)


def test_each_cause_costs_what_its_requests_cost() -> None:
    item = Item(what="x", inserts=1000, lists=1000, reads=10_000, misses=10**9, deletes=10**9, bytes_read=2**30)
    assert item.dollars(PRICES, outside=0) == pytest.approx(0.005 + 0.005 + 0.004)
    assert item.dollars(PRICES, outside=0.5) == pytest.approx(0.014 + 0.06)


def dollars(**shape: Any) -> float:
    made: Estimate = estimate(Shape(**shape))
    return made.dollars


def test_what_is_rarer_costs_less_and_what_is_more_costs_more() -> None:
    usual = dollars(platforms=10, mail=5)
    for less in ("checkpoint_seconds", "mail_interval", "lease_ttl"):
        assert dollars(platforms=10, mail=5, **{less: 120}) < usual, less
    for more in (
        {"tasks_per_hour": 600},
        {"budgets": 3},
        {"mail": 10},
        {"starts_per_day": 100},
        {"checkpoint_mb": 100},
    ):
        assert dollars(**({"platforms": 10, "mail": 5} | more)) > usual, more
    assert dollars(platforms=10, mail=5, outside=0) < usual


def test_a_result_of_each_budget_is_written_and_all_but_the_last_are_read_and_go() -> None:
    made = estimate(Shape(tasks_per_hour=10, budgets=3))
    results = next(item for item in made.items if item.what == "results")
    assert (results.inserts, results.reads, results.deletes) == (720, 480, 480)
    assert made.items[0].inserts > estimate(Shape(tasks_per_hour=10)).items[0].inserts


def test_changes_of_the_plan_are_no_faster_than_the_swaps_that_carry_them() -> None:
    shape = Shape(platforms=4, tasks_per_hour=10**6, swap_interval=1.2)
    lease = estimate(shape).items[0]
    assert lease.what == "lease and plan"
    assert lease.inserts <= 2.02 * 86_400 / shape.swap_interval


def test_a_cluster_larger_than_the_mesh_writes_to_its_neighbours_only() -> None:
    """Mail within a mesh grows with the square of the platforms, beyond it not."""

    def mail(platforms: int) -> float:
        return next(
            item for item in estimate(Shape(platforms=platforms, mail=platforms)).items if item.what == "mail"
        ).reads

    assert mail(30) / mail(15) > 3.9
    assert mail(1000) / mail(500) < 2.1
