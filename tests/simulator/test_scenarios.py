"""Scenarios: what a file may say, what is wrong with one, and what a seed expands to."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import yaml

from distevo.command import Verb
from distevo.simulator import ScenarioError, expand, plain, scenario_of, text
from distevo.simulator.config import names_of
from distevo.simulator.faults import Crash, Stop, end_of, members_of
from distevo_ctl.simulate import EXAMPLE
from distevod.settings.table import SETTINGS
from distevod.settings.value import Number, Whole

SMALL: dict[str, Any] = {"members": [{"kind": "server", "count": 2}, {"kind": "laptop"}, {"kind": "server"}]}


def test_members_are_named_by_kind() -> None:
    assert list(names_of(scenario_of(SMALL))) == ["server-1", "server-2", "laptop-1", "server-3"]


def test_the_example_in_the_help_is_a_scenario() -> None:
    scenario = scenario_of(yaml.safe_load(EXAMPLE))
    assert len(names_of(scenario)) == 4
    assert [type(fault).__name__ for fault in scenario.faults] == ["Crash", "Partition", "StoreAway"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "the scenario is empty; it needs at least `members`"),
        ({"members": []}, "members: Expected `array` of length >= 1"),
        ({"members": [{"workers": "two"}]}, "members[0].workers: Expected `int`, got `str`"),
        ({"memebers": []}, "Object contains unknown field `memebers`"),
        ({"calm_minutes": 5}, "calm_minutes: has to be less than minutes"),
        ({"times": {"heartbeat_timeout": 10}}, "times.heartbeat_timeout: has to be more than heartbeat_interval"),
        ({"work": {"generation_seconds": [3, 2]}}, "work.generation_seconds: is [least, most]"),
        ({"runs": [{"name": "a"}, {"name": "a"}]}, "runs[1].name: there is a run 'a' already"),
        ({"commands": [{"at": 1, "verb": "cancel", "run": "b"}]}, "commands[0].run: there is no run 'b'"),
        (
            {"commands": [{"at": 1, "verb": "cancel", "run": "a", "again_after": 2}], "runs": [{"name": "a"}]},
            "commands[0].again_after: is for `delete`",
        ),
        (
            {"commands": [{"at": at, "verb": "delete", "run": "a", "again_after": 2} for at in (1, 2)]}
            | {"runs": [{"name": "a"}]},
            "commands[1].again_after: 'a' is submitted again once already",
        ),
        (
            {"commands": [{"at": 1, "verb": "extend", "run": "a"}], "runs": [{"name": "a"}]},
            "commands[0]: `extend` needs evaluations, or cpu_seconds",
        ),
        (
            {"commands": [{"at": 1, "verb": "priority", "run": "a"}], "runs": [{"name": "a"}]},
            "commands[0]: `priority` needs a priority",
        ),
        (
            {"faults": [{"fault": "reset", "at": 301, "member": "server-1"}]},
            "faults[0].at: 301 s is after the end, at 300 s",
        ),
        (
            {"runs": [{"name": "a", "evaluations": 2, "islands_per_task": 3}]},
            "runs[0]: the budget of 2 evaluations leaves some of 3 islands none",
        ),
        (
            {"runs": [{"name": "a", "cpu_seconds": 20, "rungs": [9, 4]}]},
            "runs[0]: budgets have to rise, in one unit: 9 CPU seconds a task comes before 4 CPU seconds a task",
        ),
        (
            {"runs": [{"name": "a", "migration": {"topology": "star"}}]},
            (
                "runs[0]: the topology 'star' is unknown; choose one of unconnected, ring, bidirectional_ring, "
                "fully_connected, random, free_form"
            ),
        ),
        ({"members": [{"lacks": ["b"]}]}, "members[0].lacks: there is no run 'b'"),
        (
            {"commands": [{"at": 1, "verb": "drain", "member": "server-9"}]},
            "commands[0].member: there is no member 'server-9'",
        ),
        (
            {"commands": [{"at": 1, "verb": "revoke", "member": "coordinator"}]},
            "commands[0].member: there is no member 'coordinator'",
        ),
        ({"faults": [{"fault": "flood", "at": 1}]}, "faults[0].fault: Invalid value 'flood'"),
        (
            {"faults": [{"fault": "crash", "at": 1, "member": "server-9"}]},
            "faults[0]: there is no member 'server-9'; there are server-1, server-2, laptop-1, server-3",
        ),
        (
            {"calm_minutes": 1, "faults": [{"fault": "store_away", "at": 200, "seconds": 60}]},
            "faults[0]: lasts until 260 s, into the calm that begins at 240 s",
        ),
        (
            {
                "faults": [
                    {"fault": "partition", "at": 1, "seconds": 9, "sides": [["server-1"], ["laptop-1", "server-1"]]}
                ]
            },
            "faults[0].sides: 'server-1' is named twice",
        ),
        ({"members": [{"count": 3000}]}, "members: 3000 are more than 2000"),
        ({"members": [{"count": 10**15}]}, "members: 1000000000000000 are more than 2000"),
        ({"members": [{"starts_at": 301}]}, "members[0].starts_at: 301 s is after the end, at 300 s"),
        # A clock below 0 would be no machine's, and what it led to no finding.
        ({"members": [{"clock_offset": -1001}]}, "members[0].clock_offset: Expected `float` >= -1000.0"),
        ({"members": [{"clock_offset": float("nan")}]}, "members[0].clock_offset: Expected `float` >= -1000.0"),
        # Of these one was an internal error, and the other a finding.
        (
            {"members": [{"crashes_per_hour": 1, "downtime": float("inf")}]},
            "members[0].downtime: Expected `float` <= 1000000000.0",
        ),
        ({"work": {"evaluations": 10**20}}, "work.evaluations: Expected `int` <= 1000000000"),
        # No daemon would submit these.
        ({"runs": [{"name": "a", "priority": 1001}]}, "runs[0].priority: Expected `int` <= 1000"),
        ({"runs": [{"name": "a", "population_size": 10**6}]}, "runs[0].population_size: Expected `int` <= 100000"),
        ({"runs": [{"name": "a", "evaluations": 10**16}]}, "runs[0].evaluations: Expected `int` <= 9007199254740992"),
        (
            {"runs": [{"name": "a", "tasks": 1000, "islands_per_task": 101, "evaluations": 200}]},
            "runs[0]: it has more than 100000 islands",
        ),
        ({"runs": [{"name": "a", "cpu_seconds": 10**10}]}, "runs[0].cpu_seconds: Expected `int` <= 1000000000"),
        (
            {"commands": [{"at": 1, "verb": "priority", "run": "a", "priority": -1001}], "runs": [{"name": "a"}]},
            "commands[0].priority: Expected `int` >= -1000",
        ),
        (
            {"faults": [{"fault": "twin", "at": 1, "seconds": 5, "member": "coordinator"}]},
            "faults[0]: twin names members, and cannot mean whoever is coordinator then",
        ),
        (
            {"faults": [{"fault": "store_away", "at": 1, "seconds": 5, "members": ["coordinator"]}]},
            "faults[0]: store_away names members, and cannot mean whoever is coordinator then",
        ),
        (
            {"faults": [{"fault": "twin", "at": 1, "seconds": seconds, "member": "server-1"} for seconds in (5, 6)]},
            "faults[1]: a twin of 'server-1' starts at 1 s already",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_field(change: dict[str, Any] | None, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(None if change is None else SMALL | change)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "name",
    [
        "lease_ttl",
        "heartbeat_interval",
        "heartbeat_timeout",
        "mail_interval",
        "checkpoint_generations",
        "checkpoint_seconds",
        "merge_interval",
        "workers",
    ],
)
def test_a_scenario_takes_what_a_daemon_takes(name: str) -> None:
    (value,) = (setting.value for setting in SETTINGS if setting.name == name)
    assert isinstance(value, Number | Whole)

    def told(number: float) -> dict[str, Any]:
        others = {"heartbeat_interval": {"heartbeat_timeout": 36_000}, "heartbeat_timeout": {"heartbeat_interval": 0.1}}
        if name == "workers":
            return {"members": [{"workers": number}]}
        return SMALL | {"times": {**others.get(name, {}), name: number}}

    for number in (value.low, value.high):
        scenario_of(told(number))
    step = 1 if isinstance(value, Whole) else 1e-3
    for number in (value.low - step, value.high + step):
        with pytest.raises(ScenarioError, match=name):
            scenario_of(told(number))


def test_a_fault_may_strike_whoever_is_coordinator() -> None:
    scenario_of(SMALL | {"faults": [{"fault": "crash", "at": 1, "member": "coordinator"}]})
    scenario_of(SMALL | {"commands": [{"at": 1, "verb": "drain", "member": "coordinator"}]})


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_expands_to_a_scenario_that_can_be_printed_and_read_again(seed: int) -> None:
    scenario = expand(seed)
    assert expand(seed) == scenario
    assert scenario_of(yaml.safe_load(text(scenario))) == scenario
    assert scenario_of(yaml.safe_load(yaml.safe_dump(plain(scenario)))) == scenario


def test_what_seeds_expand_to() -> None:
    scenarios = [expand(seed) for seed in range(300)]
    assert {len(names_of(scenario)) for scenario in scenarios} == {3, 4, 5, 6, 7}
    assert all(len(scenario.faults) >= 3 and scenario.seconds == 300 for scenario in scenarios)
    kinds = {type(fault).__name__ for scenario in scenarios for fault in scenario.faults}
    assert len(kinds) == 15
    for scenario in scenarios:
        assert max(end_of(fault) for fault in scenario.faults) <= scenario.calm_from
        known = {*names_of(scenario), "coordinator"}
        assert all(known.issuperset(members_of(fault)) for fault in scenario.faults)
        gone = [f for f in scenario.faults if isinstance(f, Crash | Stop) and f.back_after is None]
        # Who is drained may stay away, and who is revoked, unless its key is let in again.
        leavers = [order.member for order in scenario.commands if order.verb.is_about_member]
        away = len(leavers) == 1 and all(
            order.verb is Verb.REVOKE or order.back_after is None for order in scenario.commands if order.member
        )
        lacking = sum(group.lacks != () for group in scenario.members)
        assert len(names_of(scenario)) - len(gone) - away - lacking >= 2
    verbs = Counter(order.verb for scenario in scenarios for order in scenario.commands)
    assert verbs[Verb.DRAIN] > 30
    assert verbs[Verb.REVOKE] > verbs[Verb.UNREVOKE] > 10
    assert sum(group.lacks == ("short",) for scenario in scenarios for group in scenario.members) > 30
    assert sum(order.again_after is not None for scenario in scenarios for order in scenario.commands) > 20
    assert sum(scenario.work.made_up > 0 for scenario in scenarios) > 40
    assert sum(run.cpu_seconds is not None for scenario in scenarios for run in scenario.runs) > 60
    reaches = [all(group.is_behind_nat for group in scenario.members) for scenario in scenarios]
    assert 30 < sum(reaches) < 90, "clusters in which nobody can be dialled"
