"""The distribution plan: what would live where, before there is a cluster.

It is the plan that a coordinator makes for these platforms when a run comes in: the same hosts, the same weights and
the same placement, and no second algorithm beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import inf
from typing import Any

import msgspec

from distevo.events import IslandId
from distevo.hosts import hosts_of, most_islands
from distevo.instructions import Log
from distevo.outbox import Outbox
from distevo.placement import OpenIsland, place
from distevo.plan import MemberPlan
from distevo.run import DEFAULT_ISLANDS
from distevo.sharding import Shard, by_capability, island_limit
from distevo.speech import member_of
from distevo.weighing import Weigher


class Platform(StrEnum):
    """The kinds of platforms that have presets."""

    KAGGLE = "kaggle"
    COLAB = "colab"
    PAPERSPACE = "paperspace"
    LOCAL = "local"
    SERVER = "server"


class DistributionPlan(msgspec.Struct, frozen=True):
    """Which islands each platform gets."""

    islands: dict[str, list[IslandId]]
    """By platform, in the order in which it would begin them; their `run` is empty."""
    live: dict[str, int]
    """By platform, how many of them it would have in work at a time, at most; the others are its queue."""
    waiting: list[IslandId]
    """Islands that no queue has room for yet: they get a place as those before them end."""
    warnings: list[str]
    """Of platforms whose memory has no room for what they are to have, and of a sharding function that failed."""

    @property
    def counts(self) -> dict[str, int]:
        """Islands of each platform."""
        return {platform: len(islands) for platform, islands in self.islands.items()}


def create_distribution_plan(
    task: str | Sequence[str],
    available_platforms: Sequence[Mapping[str, Any]],
    islands_per_platform: Mapping[Platform, int] | Mapping[str, int] | None = None,
    *,
    islands_per_task: int | None = None,
    cpu_seconds: float | None = None,
    shard: Shard = by_capability,
) -> DistributionPlan:
    """Where the islands of a task, or of several, would live: the tuning guide's `create_distribution_plan`.

    `available_platforms`: each with `id`, `workers`, `memory_mb` and `batch_size`, and perhaps `kind` and
    `islands_per_platform`; other keys do not matter, so that a preset can be given as it is. `islands_per_platform`:
    by kind, how many islands a platform has in work at a time; above what a platform says itself, and below what its
    memory has room for. `islands_per_task`: without it one task gets as many islands as all can have in work, and of
    several each as many as a run gives by itself. `cpu_seconds`: the budget of each task, where it has one. `shard`:
    how platforms are weighed. Raises `ValueError` for platforms, kinds, tasks and numbers that are none.
    """
    if islands_per_task is not None:
        _check_count("islands_per_task", islands_per_task)
    if cpu_seconds is not None and not 0 < cpu_seconds < inf:
        raise ValueError(f"cpu_seconds is {cpu_seconds!r}; give a number above 0")
    members = {}
    for platform in available_platforms:
        name, member = _member(platform, islands_per_platform or {})
        if name in members:
            raise ValueError(f"platform {name!r} is there twice; give each platform an id of its own")
        members[name] = member
    for kind in islands_per_platform or {}:
        if kind not in {*Platform, *(member.kind for member in members.values())}:
            raise ValueError(
                f"islands_per_platform has {str(kind)!r}, no kind of platform; kinds are {', '.join(Platform)}"
            )
    live = {name: most_islands(member) for name, member in members.items()}
    if islands_per_task is None:
        islands_per_task = sum(live.values()) if isinstance(task, str) else DEFAULT_ISLANDS
    tasks = [task] if isinstance(task, str) else list(task)
    if len(set(tasks)) < len(tasks):
        twice = next(name for at, name in enumerate(tasks) if name in tasks[:at])
        raise ValueError(f"task {twice!r} is there twice; give each task an id of its own")
    seconds = None if cpu_seconds is None else cpu_seconds / max(islands_per_task, 1)
    islands = [
        OpenIsland(IslandId("", name, index), owner="", seconds=seconds, is_begun=False)
        for name in tasks
        for index in range(islands_per_task)
    ]
    outbox = Outbox()
    owners = place(hosts_of(members, Weigher(shard, outbox), threshold=None), islands)
    found: dict[str, list[IslandId]] = {name: [] for name in members}
    for island in islands:
        if owner := owners.get(island.id):
            found[member_of(owner)].append(island.id)
    warnings = [
        f"{name}: {warning}"
        for name, member in members.items()
        if (warning := island_limit(member.islands, member.memory_mb, member.workers)[1]) is not None
    ]
    # Said by who weighs, of a sharding function that failed.
    warnings += [f"{say.message}: {say.fields['reason']}" for say in outbox.take() if isinstance(say, Log)]
    return DistributionPlan(found, live, [island.id for island in islands if island.id not in owners], warnings)


def _member(platform: Mapping[str, Any], islands: Mapping[Any, int]) -> tuple[str, MemberPlan]:
    name, kind = platform.get("id"), str(platform.get("kind", Platform.LOCAL))
    if not isinstance(name, str) or not name:
        raise ValueError(f"a platform's id is {name!r}; give each platform a name of its own")
    numbers = {key: platform.get(key) for key in ("workers", "memory_mb", "batch_size")}
    wish = islands.get(kind, platform.get("islands_per_platform"))
    for key, number in {**numbers, **({} if wish is None else {"islands_per_platform": wish})}.items():
        _check_count(f"{key} of platform {name!r}", number)
    return name, MemberPlan(boot="0", kind=kind, islands=wish, **numbers)  # type: ignore[arg-type]


def _check_count(what: str, number: object) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"{what} is {number!r}; give a whole number, 1 or more")
