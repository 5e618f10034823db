"""What a cluster goes on doing when something it leans on is away."""

from __future__ import annotations

from typing import Any

from distevo.simulator import scenario_of, simulate

SERVERS: dict[str, Any] = {
    "members": [{"kind": "server", "count": 3, "workers": 2}],
    "runs": [{"name": "long", "tasks": 2, "islands_per_task": 3, "evaluations": 10**6}],
    "calm_minutes": 0,
}


def test_with_the_store_away_islands_and_migration_go_on_under_the_plan_in_force() -> None:
    away = {"fault": "store_away", "at": 60, "seconds": 170}
    usual = simulate(scenario_of(SERVERS | {"minutes": 4}), 1)
    without = simulate(scenario_of(SERVERS | {"minutes": 4, "faults": [away]}), 1)
    assert usual.finding is None
    assert without.finding is None
    assert without.generations == usual.generations
    assert without.messages_by_command["MIGRANTS_ACK"] == usual.messages_by_command["MIGRANTS_ACK"] > 40
    # What has to wait are keys: they are told only of what is durable.
    assert without.messages_by_command["SEEN"] < usual.messages_by_command["SEEN"] / 2


def test_one_cut_link_between_two_healthy_members_costs_no_lease() -> None:
    cuts = [
        {"fault": "cut", "at": 30, "seconds": 250, "source": source, "target": target, "closes_after": 2}
        for source, target in (("server-1", "server-2"), ("server-2", "server-1"))
    ]
    for pair in (("server-1", "server-2"), ("server-1", "server-3"), ("server-2", "server-3")):
        for cut, ends in zip(cuts, (pair, pair[::-1]), strict=True):
            cut["source"], cut["target"] = ends
        report = simulate(scenario_of(SERVERS | {"minutes": 5, "faults": cuts}), 1)
        assert report.finding is None
        assert report.takeovers == 1


def test_a_coordinator_that_dies_is_replaced_within_seconds() -> None:
    crash = {"fault": "crash", "at": 60, "member": "coordinator", "is_silent": False}
    for seed in range(5):
        report = simulate(scenario_of(SERVERS | {"minutes": 2, "faults": [crash]}), seed)
        assert report.finding is None
        assert report.takeovers == 2
        assert report.elections[-1] < 5


def test_a_coordinator_that_stands_still_again_and_again_finds_a_dead_member_all_the_same() -> None:
    members = [{"kind": "server", "workers": 1}, {"kind": "laptop", "workers": 1, "count": 2, "starts_at": 5}]
    stalls = [{"fault": "suspend", "at": 20 + 14 * at, "member": "server-1", "seconds": 3} for at in range(20)]
    crash = {"fault": "crash", "at": 100, "member": "laptop-1", "is_silent": True}
    times = {"heartbeat_interval": 5, "heartbeat_timeout": 15}
    faults = sorted([*stalls, crash], key=lambda fault: fault["at"])  # type: ignore[arg-type, return-value]
    report = simulate(scenario_of(SERVERS | {"minutes": 5, "members": members, "times": times, "faults": faults}), 1)
    assert report.finding is None
    assert report.takeovers == 1
    assert report.adoptions
    assert max(report.adoptions) < 75


def test_a_daemon_that_was_started_twice_within_seconds_is_taken_in_at_once() -> None:
    late = SERVERS["members"] + [{"kind": "laptop", "starts_at": 60}]
    crash = {"fault": "crash", "at": 66, "member": "laptop-1", "back_after": 1}
    for seed in range(5):
        report = simulate(scenario_of(SERVERS | {"minutes": 2, "members": late, "faults": [crash]}), seed)
        assert report.finding is None
        assert len(report.arrivals) == 5
        assert max(report.arrivals[-2:]) < 4


def test_a_relay_that_falls_silent_takes_nobody_with_it() -> None:
    members = [
        {"kind": "kaggle", "count": 6, "is_behind_nat": True},
        {"kind": "server", "count": 2, "priority": 5, "starts_at": 4},
    ]
    # Its last word comes after that of the notebooks which are heard through it: they run out of time first.
    crash = {"fault": "crash", "at": 66, "member": "server-1", "is_silent": True}
    report = simulate(scenario_of(SERVERS | {"minutes": 2, "members": members, "faults": [crash]}), 1)
    assert report.finding is None
    assert report.departures  # the relay itself is found out
    assert report.estrangements == []
