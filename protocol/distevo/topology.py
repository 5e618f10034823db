"""Topologies: to which islands of its task an island's emigrants go.

The words are pagmo's, but for `ring`: pagmo's leads both ways, as `bidirectional_ring` does here. It has no `random`.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable
from functools import lru_cache

from blake3 import blake3

from distevo.policies import REPLACEMENTS, SELECTIONS
from distevo.run import MigrationSettings

NEXT_TARGETS = 8
"""So many of an island's targets are its partners, the next ones after it: where all send to all, nobody is the partner
of all."""

_DRAW_BYTES = 8


def targets(settings: MigrationSettings, island: int, islands: int, rng_seed: str) -> list[int]:
    """The islands that `island`, one of `islands`, sends to: ascending, each once, never itself.

    `rng_seed` names the run and the task: from it alone the random topology is made, so that all members agree.
    Raises `ValueError` for an unknown topology.
    """
    make = TOPOLOGIES.get(settings.topology)
    if make is None:
        raise ValueError(_unknown("topology", settings.topology, TOPOLOGIES))
    return sorted({target for target in make(settings, island, islands, rng_seed) if target != island})


@lru_cache(maxsize=256)
def partners(settings: MigrationSettings, islands: int, rng_seed: str) -> tuple[frozenset[int], ...]:
    """With whom each island exchanges programs, in either direction: whoever is a partner of one has it as a partner.

    Errors as in `targets`.
    """
    found: list[set[int]] = [set() for _ in range(islands)]
    for island in range(islands):
        to = targets(settings, island, islands, rng_seed)
        later = bisect(to, island)
        for target in [*to[later:], *to[:later]][:NEXT_TARGETS]:
            found[island].add(target)
            found[target].add(island)
    return tuple(map(frozenset, found))


def receivers(settings: MigrationSettings, islands: int, rng_seed: str) -> frozenset[int]:
    """The islands to which some other sends. Errors as in `targets`."""
    if settings.topology == "free_form":
        # Looked through once: there may be a million of them.
        edges = ((source, target) for source, target in settings.edges if max(source, target) < islands)
        return frozenset(target for source, target in edges if source != target)
    found: set[int] = set()
    for island in range(islands):
        found.update(targets(settings, island, islands, rng_seed))
        if len(found) == islands:
            break
    return frozenset(found)


def check(settings: MigrationSettings, islands: int) -> None:
    """Raises `ValueError`, saying what to do instead, for settings that no task with `islands` islands can have."""
    for what, name, names in (
        ("topology", settings.topology, TOPOLOGIES),
        ("selection", settings.selection, SELECTIONS),
        ("replacement", settings.replacement, REPLACEMENTS),
    ):
        if name not in names:
            raise ValueError(_unknown(what, name, names))
    is_free = settings.topology == "free_form"
    if is_free and not settings.edges:
        raise ValueError("the topology free_form has no edges; give some, or choose the topology unconnected")
    if settings.edges and not is_free:
        raise ValueError(
            f"edges are given, and the topology {settings.topology} has its own; choose free_form for them"
        )
    if len(settings.edges) > islands * islands:
        raise ValueError(f"there are {len(settings.edges)} edges, more than {islands} islands can have; give each once")
    for source, target in settings.edges:
        if source == target:
            raise ValueError(f"the edge {source} -> {target} leads back to its own island; leave it out")
        if not (0 <= source < islands and 0 <= target < islands):
            raise ValueError(
                f"the edge {source} -> {target} names an island that is not there: with {islands} islands a task they "
                f"are 0 to {islands - 1}; change the edge, or islands_per_task"
            )


def _unconnected(_settings: MigrationSettings, _island: int, _islands: int, _rng_seed: str) -> list[int]:
    return []


def _ring(_settings: MigrationSettings, island: int, islands: int, _rng_seed: str) -> list[int]:
    return [(island + 1) % islands]


def _bidirectional_ring(_settings: MigrationSettings, island: int, islands: int, _rng_seed: str) -> list[int]:
    return [(island - 1) % islands, (island + 1) % islands]


def _fully_connected(_settings: MigrationSettings, _island: int, islands: int, _rng_seed: str) -> list[int]:
    return list(range(islands))


def _random(settings: MigrationSettings, island: int, islands: int, rng_seed: str) -> list[int]:
    """`degree` of the others, each set equally likely: Floyd's sampling, its draws taken from BLAKE3's output."""
    others = islands - 1
    degree = min(settings.degree, others)
    draws = blake3(f"{island}\n{rng_seed}".encode()).digest(length=_DRAW_BYTES * degree)
    chosen: set[int] = set()
    for number, last in enumerate(range(others - degree, others)):
        draw = int.from_bytes(draws[_DRAW_BYTES * number : _DRAW_BYTES * (number + 1)], "little") % (last + 1)
        chosen.add(last if draw in chosen else draw)
    # The others are numbered without the island itself.
    return [other + (other >= island) for other in chosen]


def _free_form(settings: MigrationSettings, island: int, islands: int, _rng_seed: str) -> list[int]:
    return [target for source, target in settings.edges if source == island and target < islands]


TOPOLOGIES: dict[str, Callable[[MigrationSettings, int, int, str], list[int]]] = {
    "unconnected": _unconnected,
    "ring": _ring,
    "bidirectional_ring": _bidirectional_ring,
    "fully_connected": _fully_connected,
    "random": _random,
    "free_form": _free_form,
}
"""By the name that the settings give."""


def _unknown(what: str, name: str, names: Iterable[str]) -> str:
    return f"the {what} {name!r} is unknown; choose one of {', '.join(names)}"
