"""Weighing: what share of the islands each platform gets, by capability, by speed, or as a user's function says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distevo.balance import is_slow
from distevo.errors import said_by
from distevo.outbox import Outbox
from distevo.plan import MemberPlan
from distevo.sharding import Shard, by_capability, shares_of

POPULATION = 1_000_000
"""What a sharding function is asked to divide: the finer, the less is lost to rounding."""


class Weigher:
    """Asks a sharding function, and falls back to capability where that fails: whatever it does, islands are placed."""

    def __init__(self, shard: Shard, outbox: Outbox) -> None:
        self._shard, self._outbox = shard, outbox
        self._asked: list[dict[str, Any]] | None = None
        self._answer: dict[str, float] = {}
        self._has_failed = False

    def weights(self, members: Mapping[str, MemberPlan], threshold: float | None) -> dict[str, float]:
        """The weight of each member. The function is asked again only when something of the platforms has changed."""
        platforms = [_platform(name, member, threshold) for name, member in members.items()]
        if platforms != self._asked:
            self._asked = platforms
            self._answer = self._ask([dict(platform) for platform in platforms])
        return self._answer

    def _ask(self, platforms: list[dict[str, Any]]) -> dict[str, float]:
        names = [platform["id"] for platform in platforms]
        if not platforms:
            return {}
        try:
            weights = shares_of(self._shard(platforms, POPULATION), names)
            if not any(weights.values()):
                raise ValueError("it gives no platform anything")
        except KeyboardInterrupt:  # By who waits for a plan that is made before there is a cluster.
            raise
        except BaseException as error:  # noqa: BLE001 - the user's own code must not stop the cluster
            if not self._has_failed:
                what = "the sharding function failed: platforms are weighed by capability"
                self._outbox.log("error", what, reason=f"{type(error).__name__}: {said_by(error)}")
            self._has_failed = True
            return shares_of(by_capability(self._asked or [], POPULATION), names)
        self._has_failed = False
        return weights


def _platform(name: str, member: MemberPlan, threshold: float | None) -> dict[str, Any]:
    """A platform as a sharding function sees it."""
    return {
        "id": name,
        "kind": member.kind,
        "workers": member.workers,
        "memory_mb": member.memory_mb,
        "batch_size": member.batch_size,
        "speed": 1 / member.slowness if member.slowness > 0 else 1.0,
        "is_slow": is_slow(member, threshold),
    }
