"""Sharding: what share of a population each platform gets, and how many islands a platform has room for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import isfinite
from numbers import Real
from typing import Any

Weigh = Callable[[float, float, float], float]
"""Makes a platform's weight of its workers, memory in MB and batch size: finite and not negative."""

Shard = Callable[[list[dict[str, Any]], int], Mapping[str, float]]
"""A sharding function, in the form of the tuning guide's `calculate_platform_shard_sizes(platforms, total_population)`:
what part of the total each platform gets, by id; whoever is left out gets nothing. A platform has `id`, `kind`,
`workers`, `memory_mb`, `batch_size`, `speed` (1: the cluster's median; 0.5: takes twice as long for the same work) and
`is_slow` (whether it is slower than `avg_generation_time_threshold`)."""

ISLANDS_PER_4_GB = 3
"""The tuning guide's "4GB = max 3 islands typically"."""

_NUMBERS = ("workers", "memory_mb", "batch_size")


def capability(workers: float, memory_mb: float, batch_size: float) -> float:
    """The weight of a platform: the tuning guide's product of the three."""
    return float(workers) * memory_mb * batch_size


def by_capability(platforms: Sequence[Mapping[str, Any]], _total: int = 1) -> dict[str, float]:
    """Weights by what platforms say they can do; of slow ones less, by as much as they are slower."""
    return {
        platform["id"]: capability(*(platform[key] for key in _NUMBERS))
        * (platform["speed"] if platform["is_slow"] else 1.0)
        for platform in platforms
    }


def by_speed(platforms: Sequence[Mapping[str, Any]], _total: int = 1) -> dict[str, float]:
    """Weights by what platforms were measured to do: workers, times their speed."""
    return {platform["id"]: platform["workers"] * platform["speed"] for platform in platforms}


SHARDINGS: Mapping[str, Shard] = {"capability": by_capability, "speed": by_speed}
"""Those that ship, by the name that the setting `sharding` has for each."""


def shares_of(answer: object, names: Sequence[str]) -> dict[str, float]:
    """What a sharding function answered, for each of these platforms; it may know more of them.

    Raises `ValueError` for what is no answer.
    """
    if not isinstance(answer, Mapping):
        raise ValueError(f"it returned {_shown(answer)}; a mapping of platform id to share is needed")
    for name, share in answer.items():
        # Of any kind, as numpy's: it is the user's function.
        is_number = isinstance(share, Real | Decimal) and not isinstance(share, bool)
        if not is_number or not (isfinite(share) and share >= 0):
            raise ValueError(f"the share of platform {_shown(name)} is {_shown(share)}; give a number, 0 or more")
    return {name: float(answer.get(name, 0)) for name in names}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def calculate_platform_shard_sizes(
    platforms: Sequence[Mapping[str, Any]], total_population: int, weigh: Weigh = capability
) -> dict[str, int]:
    """How many of `total_population` programs each platform gets, by id, in proportion to its weight.

    `platforms`: each with `id`, `workers`, `memory_mb` and `batch_size`. The shares add up to `total_population`:
    what rounding down leaves over goes, one each, to the largest remainders (Hamilton's method), of equal ones to
    the lower id. Raises `ValueError` for what cannot be divided so.
    """
    if type(total_population) is not int or total_population < 0:
        raise ValueError(f"total_population is {total_population!r}; give a count of programs, 0 or more")
    weights: dict[str, Fraction] = {}
    for platform in platforms:
        name = platform.get("id")
        if not isinstance(name, str) or not name:
            raise ValueError(f"a platform's id is {name!r}; give each platform a name of its own")
        if name in weights:
            raise ValueError(f"platform {name!r} is there twice; give each platform an id of its own")
        weights[name] = _weight(name, platform, weigh)
    if total_population == 0:
        return dict.fromkeys(weights, 0)
    total = sum(weights.values())
    if not total:
        raise ValueError(
            f"no platform can take any of {total_population} programs; give at least one that has workers, memory "
            "and a batch size"
        )
    # Fractions, not floats: the remainders decide, and a sum of floats would not be the total.
    quotas = {name: total_population * weight / total for name, weight in weights.items()}
    shares = {name: int(quota) for name, quota in quotas.items()}
    largest_remainders = sorted(quotas, key=lambda name: (shares[name] - quotas[name], name))
    for name in largest_remainders[: total_population - sum(shares.values())]:
        shares[name] += 1
    return shares


def island_room(memory_mb: int) -> int:
    """How many islands fit into this memory: 3 for each 4096 MB, rounded down, and 1 at least."""
    return max(1, memory_mb * ISLANDS_PER_4_GB // 4096)


def island_limit(wish: int | None, memory_mb: int, workers: int = 0) -> tuple[int, str | None]:
    """How many islands a platform may have live, and what to tell its user.

    `wish` is the platform's `islands_per_platform`, None where it has none. The memory cuts it, and no worker is left
    without an island for either. The second item is a warning where the wish was cut, and otherwise None.
    """
    room = max(island_room(memory_mb), workers)
    if wish is None:
        return room, None
    if wish <= room:
        return max(wish, workers), None
    return room, (
        f"islands_per_platform asks for {wish} islands, but memory_mb {memory_mb} has room for {room} "
        f"({ISLANDS_PER_4_GB} for each 4096 MB, and one for each worker): {room} it is; raise memory_mb or lower "
        "islands_per_platform"
    )


def _weight(name: str, platform: Mapping[str, Any], weigh: Weigh) -> Fraction:
    for key in _NUMBERS:
        number = platform.get(key)
        if isinstance(number, bool) or not isinstance(number, int | float) or not (isfinite(number) and number >= 0):
            raise ValueError(f"{key} of platform {name!r} is {number!r}; give a number, 0 or more")
    weight = weigh(*(platform[key] for key in _NUMBERS))
    if not (isfinite(weight) and weight >= 0):
        raise ValueError(f"the weight of platform {name!r} is {weight!r}; a weight is finite and not negative")
    return Fraction(weight)
