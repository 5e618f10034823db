"""The report of a simulation."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from distevo.cost import PRICES


class StoreUse(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to the store in an hour, by class, and what they cost on Google Cloud Storage."""

    inserts_per_hour: float
    lists_per_hour: float
    reads_per_hour: float
    misses_per_hour: float
    deletes_per_hour: float
    dollars_per_day: float

    @classmethod
    def of(cls, requests: Mapping[str, int], seconds: float) -> StoreUse:
        """From the counts of a simulation that lasted so many virtual seconds."""
        hourly = {kind: round(count * 3600 / seconds, 1) for kind, count in requests.items()}
        dear = hourly["insert"] + hourly["list"]
        return cls(
            inserts_per_hour=hourly["insert"],
            lists_per_hour=hourly["list"],
            reads_per_hour=hourly["read"],
            misses_per_hour=hourly["miss"],
            deletes_per_hour=hourly["delete"],
            dollars_per_day=round(24 * (dear * PRICES.write + hourly["read"] * PRICES.read), 4),
        )


class Finding(msgspec.Struct, frozen=True):
    """A violated invariant, and what led to it."""

    invariant: str
    message: str
    at: float
    """Virtual time, seconds."""
    trace: list[str]
    """The last lines before it."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one scenario with one seed."""

    seed: int
    finding: Finding | None
    hash: str
    """Of the whole trace: equal for two runs of the same scenario, seed and version."""
    seconds: float
    """Virtual time that was simulated."""
    members: int
    faults: int
    events: int
    messages: int
    messages_lost: int
    messages_per_member_second: float
    messages_by_command: dict[str, int]
    store: StoreUse
    generations: int
    migrations: int
    takeovers: int
    elections: list[float]
    """Seconds, each time, from a coordinator's end (at first, from the start) to the next one's first write."""
    adoptions: list[float]
    """Seconds from a member's end until its islands are others'."""
    arrivals: list[float]
    """Seconds from the start of a daemon until the plan has it."""
    first_islands: list[float]
    """Seconds from the start of a daemon until it begins its first island."""
    successions: list[float]
    """Seconds from a coordinator's end (at first, from the start) until all follow a plan of the next one's."""
    joins: list[float]
    """Seconds from the start of a daemon until all follow a plan that shows it alive."""
    departures: list[float]
    """Seconds from the end of a daemon until nobody follows a plan that shows it alive."""
    estrangements: list[tuple[float, float, int]]
    """(beginning, seconds, most members) of each period in which the plan called members dead that lived."""
    moves: int
    """How often an island went from one living member to another that was not told to take it over."""
    reliefs: list[float]
    """Seconds from when a member with more islands than workers became slow until it had no more than these."""
    cut_off: int
    """Islands that a member still had when its session was over."""
    owned: dict[str, int]
    """Islands of open tasks that each member has at the end, by id; "" those that wait."""
    runs: dict[str, str]
    """How each run ended."""
    refused: list[tuple[str, str]]
    """What users asked for in vain, as (`extend demo`, why not)."""
    trace: list[str] | None = None
    """Every line, where that was asked for."""
