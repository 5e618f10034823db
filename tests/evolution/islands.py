"""Islands for tests: their settings, their state, and a problem small enough to be known whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from distevo.checkpoint import Checkpoint, IslandSnapshot, decode_checkpoint, encode_checkpoint
from distevo.events import IslandId
from distevo.problem import Contract
from distevo.run import ProblemUse, Run, RunSettings
from distevo.work import fresh_snapshot
from distevod.evolution.island import IslandSettings

SETTINGS = IslandSettings(islands=1, population_size=40, batch_size=60, generation_seconds=60)


def fresh(contract: Contract, seed: int = 1) -> IslandSnapshot:
    """An island before its first generation."""
    run = Run(
        name="r",
        nonce="0",
        problem=ProblemUse("x", "", contract.name, contract.version),
        settings=RunSettings(seed=seed, cpu_seconds=1.0),
        tasks={"t": msgspec.Raw(b"{}")},
        submitted_through="",
    )
    return fresh_snapshot(run, IslandId("r", "t", 0), 1)


def stored(snapshot: IslandSnapshot) -> IslandSnapshot:
    """As it comes back from a checkpoint."""
    checkpoint = Checkpoint(cluster="c", member="m", boot="b", sequence=1, islands=[snapshot], resource_usage={})
    return decode_checkpoint(encode_checkpoint(checkpoint)).islands[0]


def trajectory(snapshot: IslandSnapshot) -> IslandSnapshot:
    """Without what depends on the machine or on the window of tried keys, which is not part of the state."""
    counters = msgspec.structs.replace(
        snapshot.counters, evaluations=0, duplicates=0, invalid=0, cpu_seconds=0.0, seconds=0.0
    )
    return msgspec.structs.replace(snapshot, counters=counters)


class Tiny:
    """Whole numbers to 199; the even ones are valid."""

    name, version = "tiny", "1"

    def random(self, rng: Any) -> int:
        return int(rng.randrange(200))

    def mutate(self, genome: int, rng: Any) -> int:
        return (genome + int(rng.choice([-3, -2, -1, 1, 2, 3]))) % 200

    def evaluate(self, genome: int) -> float | None:
        return None if genome % 2 else float(genome * 37 % 101)

    def encode(self, genome: int) -> bytes:
        return b"%d" % genome

    def decode(self, data: bytes) -> int:
        return int(data)

    def sweep(self, share: int, shares: int) -> Iterator[tuple[int, float] | None]:
        for genome in range(share, 200, shares):
            fitness = self.evaluate(genome)
            yield None if fitness is None else (genome, fitness)
