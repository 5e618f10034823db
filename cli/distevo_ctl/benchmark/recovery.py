"""Recovery: a platform is killed, and its islands evolve elsewhere some time later."""

from __future__ import annotations

import time
from typing import Any

from distevo_ctl.benchmark.platforms import Cluster, Daemon
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.wait import OVER

RUN = "recovery"
WORK = {"bits": 4096, "cost_us": 100}
"""Bit strings that nobody solves: with a batch of 250 a generation takes some 50 ms of CPU."""
GENERATIONS = 10
"""An island that has so many behind it is in a checkpoint: these are made every five."""


def recovery_seconds(cluster: Cluster) -> float:
    """Kill a platform with SIGKILL; returns after how many seconds its island has evolved a generation elsewhere.

    The work so far is given up for one task with an island for each platform. So there is room for every island that
    moves, which otherwise would wait for its turn. The platform is not the one that coordinates. What never comes is
    given up after two minutes. Raises CliError.
    """
    _give_up_all(cluster)
    count = len(cluster.running)
    cluster.ask(
        "submit", run=RUN, reference="onemax", data={"endless": WORK}, islands_per_task=count, evaluations=10**12
    )
    chosen: list[tuple[Daemon, set[int]]] = []

    def can_be_killed() -> object:
        chosen.clear()
        if all(map(_is_settled, cluster.running)):
            coordinator = cluster.ask("status")["cluster"]["coordinator"]
            others = [daemon for daemon in cluster.running if daemon.platform.id != coordinator]
            chosen.extend((daemon, islands) for daemon in others if (islands := set(_in_hand(daemon))))
        return chosen

    cluster.wait(can_be_killed, "an island on each platform", every=0.1)
    victim, lost = chosen[0]
    begun = time.monotonic()
    cluster.kill(victim)
    seen: dict[int, int] = {}

    def all_evolve() -> bool:
        for daemon in cluster.running:
            for island, generation in _in_hand(daemon).items():
                if island in lost and generation > seen.setdefault(island, generation):
                    lost.remove(island)
        return not lost

    try:
        cluster.wait(all_evolve, f"the islands of {victim.platform.id} to evolve elsewhere")
    except CliError as error:
        if error.code is not ExitCode.TIMED_OUT:
            raise
        # As bad as it can be, and no reason to throw away what was measured.
    return time.monotonic() - begun


def _give_up_all(cluster: Cluster) -> None:
    for run in cluster.ask("status")["runs"]:
        if run["state"] not in OVER:
            cluster.ask("command", verb="cancel", run=run["id"])


def _is_settled(daemon: Daemon) -> bool:
    """Whether it has an island of this, and none of the work before."""
    islands: list[dict[str, Any]] = daemon.platform.ask("islands", {})["islands"]
    return {island["run"] for island in islands} == {RUN} and all(i["generation"] >= GENERATIONS for i in islands)


def _in_hand(daemon: Daemon) -> dict[int, int]:
    """Its islands, and the generation of each."""
    islands: list[dict[str, Any]] = daemon.platform.ask("islands", {})["islands"]
    return {island["island"]: island["generation"] for island in islands if island["run"] == RUN}
