"""Recovery: a platform is killed, and its islands evolve elsewhere some time later."""

from __future__ import annotations

import time
from typing import Any

from distevo_ctl.benchmark.platforms import Cluster, Daemon
from distevo_ctl.exits import CliError, ExitCode

Island = tuple[str, str, int]
"""(run, task, number)."""


def recovery_seconds(cluster: Cluster) -> float:
    """Kill a platform that does not coordinate and has islands in hand, with SIGKILL; returns how long it takes until
    each of these has evolved a generation elsewhere, or its task is done. Raises CliError.
    """
    coordinator = cluster.ask("status")["cluster"]["coordinator"]
    found: list[tuple[Daemon, set[Island]]] = []

    def has_islands() -> bool:
        for daemon in cluster.running:
            if daemon.platform.id != coordinator and (islands := set(_in_hand(daemon))):
                found.append((daemon, islands))
                return True
        return False

    cluster.wait(has_islands, "a platform with islands in hand")
    victim, lost = found[0]
    begun = time.monotonic()
    cluster.kill(victim)
    seen: dict[tuple[str, Island], int] = {}

    def all_evolve() -> bool:
        evolving = set()
        for daemon in cluster.running:
            for island, generation in _in_hand(daemon).items():
                if generation > seen.setdefault((daemon.platform.id, island), generation):
                    evolving.add(island)
        lost.difference_update(evolving)
        lost.difference_update({island for island in lost if _is_done(cluster, island)})
        return not lost

    cluster.wait(all_evolve, f"the islands of {victim.platform.id} to evolve elsewhere")
    return time.monotonic() - begun


def _in_hand(daemon: Daemon) -> dict[Island, int]:
    """How far the islands are that evolve there."""
    islands: list[dict[str, Any]] = daemon.platform.ask("islands", {})["islands"]
    return {(i["run"], i["task"], i["island"]): i["generation"] for i in islands if not i["is_resting"]}


def _is_done(cluster: Cluster, island: Island) -> bool:
    try:
        (task,) = cluster.ask("results", run=island[0], task=island[1])["tasks"]
    except CliError as error:
        if error.code is not ExitCode.NOT_FOUND:
            raise
        return False
    return bool(task["state"] == "done")
