"""P18: what the simulator takes, and what large clusters do in it.

    python tests/performance/simulation.py [--members 100 1000] [--minutes 60 12] [--seeds 500] [--quick]

First seeds as the test suite runs them, on one core. Then clusters of 100 members for an hour and of 1,000 for twelve
minutes of virtual time: all start at once, members crash at a rate of 10 % an hour and come back, the coordinator
dies for ever after a third of the time, and after two thirds the cluster is cut in half for two minutes. Prints JSON;
times are in seconds, and what `took` a simulation is CPU time. Exits with 1 when something was violated or a target
is missed.

How long it takes after each change until all agree, as spreads over all its times: `elections` (from a coordinator's
end to its successor's first write), `successions` (to when all follow the successor), `arrivals` and `joins` (from a
start to the plan that shows it, and to when all follow such a plan), `first_islands` (from a start to the first island
that is worked on there), `departures` (from an end to when nobody's plan shows it any more), `adoptions` (to when its
islands are others'). `estrangements`: when, for how long and of how many the plan said that they were dead while they
lived.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from distevo.simulator import Report, Scenario, Spread, expand, scenario_of, simulate
from distevo.simulator.config import names_of

SEEDS_WITHIN = 60.0
THOUSAND_WITHIN = 15 * 60.0
DIALABLE = 0.3
"""Share of members that can be dialled."""


def cluster(members: int, minutes: float) -> Scenario:
    """A large cluster, and what befalls it."""
    servers = max(round(members * DIALABLE), 2)
    churn = {"crashes_per_hour": 0.1, "downtime": 120}
    content: dict[str, Any] = {
        "minutes": minutes,
        "validate_every": 64,
        "members": [
            {"kind": "server", "count": servers, **churn},
            {"kind": "notebook", "count": members - servers, "is_behind_nat": True, "latency": 0.05, **churn},
        ],
        "times": {"checkpoint_seconds": 30, "checkpoint_least_seconds": 30},
        "work": {"generation_seconds": [10, 30]},
        "runs": [{"name": "large", "tasks": members // 2, "islands_per_task": 2, "evaluations": 20_000}],
        "faults": [{"fault": "crash", "at": 20 * minutes, "member": "coordinator"}],
    }
    names = list(names_of(scenario_of(content)))
    content["faults"].append(
        {
            "fault": "partition",
            "at": 40 * minutes,
            "seconds": 120,
            "sides": [names[::2], names[1::2]],
            "closes_after": 30,
        }
    )
    return scenario_of(content)


def figures(report: Report, took: float) -> dict[str, Any]:
    """What is worth telling of one simulation."""
    told: dict[str, Any] = {"members": report.members, "virtual_seconds": report.seconds, "took": round(took, 1)}
    told["faults_at"] = {"coordinator_dies": report.seconds / 3, "cut_in_half": report.seconds * 2 / 3}
    for field in ("events", "faults", "messages_per_member_second", "messages_by_command", "takeovers", "generations"):
        told[field] = getattr(report, field)
    for field in ("elections", "successions", "arrivals", "joins", "first_islands", "departures", "adoptions"):
        told[field] = msgspec.to_builtins(Spread.of(getattr(report, field)))
    told["estrangements"] = report.estrangements
    told["store"] = msgspec.to_builtins(report.store)
    told["runs"] = report.runs
    told["finding"] = msgspec.to_builtins(report.finding)
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--minutes", type=float, nargs="*", default=[60, 12], help="of virtual time, for each of these")
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--quick", action="store_true", help="100 seeds, and 100 members for ten minutes")
    options = parser.parse_args()
    if options.quick:
        options.members, options.minutes, options.seeds = [100], [10.0], 100
    begun = time.process_time()
    reports = [simulate(expand(seed), seed) for seed in range(options.seeds)]
    took = time.process_time() - begun
    found = [report.seed for report in reports if report.finding is not None]
    told: dict[str, Any] = {
        "seeds": {
            "seeds": options.seeds,
            "took": round(took, 1),
            "milliseconds_each": round(1000 * took / max(options.seeds, 1), 1),
            "events_each": round(sum(report.events for report in reports) / max(options.seeds, 1)),
            "least_faults": min((report.faults for report in reports), default=0),
            "findings": found,
        },
        "clusters": [],
    }
    is_well = not found and took <= SEEDS_WITHIN * max(options.seeds, 1) / 500
    for members, minutes in zip(options.members, options.minutes, strict=True):
        begun = time.process_time()
        report = simulate(cluster(members, minutes), seed=1)
        took = time.process_time() - begun
        told["clusters"].append(figures(report, took))
        is_well = is_well and report.finding is None and (members < 1000 or took <= THOUSAND_WITHIN)
    print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
