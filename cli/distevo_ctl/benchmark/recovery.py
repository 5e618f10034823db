"""Recovery: a platform is killed, and its islands evolve elsewhere some time later."""

from __future__ import annotations

import time
from typing import Any

from distevo_ctl.benchmark.platforms import Cluster, Daemon
from distevo_ctl.wait import OVER

RUN = "recovery"
WORK = {"bits": 4096, "cost_us": 100}
"""Bit strings that nobody solves: with a batch of 250 a generation takes some 50 ms of CPU."""
GENERATIONS = 10
"""An island that has so many behind it is in a checkpoint: these are made every five."""


def recovery_seconds(cluster: Cluster) -> float:
    """Kill a platform with SIGKILL; returns after how many seconds its island has evolved a generation elsewhere.

    The work so far is given up for one task with an island for each platform. So there is room for every island that
    moves, which otherwise would wait for its turn. The platform is not the one that coordinates. Raises CliError.
    """
    _give_up_all(cluster)
    count = len(cluster.running)
    cluster.ask(
        "submit", run=RUN, reference="onemax", data={"endless": WORK}, islands_per_task=count, evaluations=10**12
    )
    cluster.wait(lambda: all(map(_is_settled, cluster.running)), "an island on each platform", every=0.1)
    coordinator = cluster.ask("status")["cluster"]["coordinator"]
    victim = next(daemon for daemon in cluster.running if daemon.platform.id != coordinator)
    lost = set(_in_hand(victim))
    begun = time.monotonic()
    cluster.kill(victim)
    seen: dict[int, int] = {}

    def all_evolve() -> bool:
        for daemon in cluster.running:
            for island, generation in _in_hand(daemon).items():
                if island in lost and generation > seen.setdefault(island, generation):
                    lost.remove(island)
        return not lost

    cluster.wait(all_evolve, f"the islands of {victim.platform.id} to evolve elsewhere")
    return time.monotonic() - begun


def _give_up_all(cluster: Cluster) -> None:
    for run in cluster.ask("status")["runs"]:
        if run["state"] not in OVER:
            cluster.ask("command", verb="cancel", run=run["id"])


def _is_settled(daemon: Daemon) -> bool:
    """Whether it has its island, and none of the work before."""
    islands: list[dict[str, Any]] = daemon.platform.ask("islands", {})["islands"]
    return [island["run"] for island in islands] == [RUN] and islands[0]["generation"] >= GENERATIONS


def _in_hand(daemon: Daemon) -> dict[int, int]:
    """Its islands, and the generation of each."""
    islands: list[dict[str, Any]] = daemon.platform.ask("islands", {})["islands"]
    return {island["island"]: island["generation"] for island in islands if island["run"] == RUN}
