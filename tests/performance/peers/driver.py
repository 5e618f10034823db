"""What a peer's script takes and prints, the same for each: lines of JSON on standard output.

`{"workers": [pid, ...]}`  once: the processes that evolve
`{"t": ..., "islands": [[generation, offspring, repeats, best], ...]}`  again and again: monotonic time, how far
each island is

It goes on until it is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from tests.performance.peers.hand_loop import NOT_BEGUN, HandIsland, Scored, Stand
from tests.performance.peers.work import ISLANDS, MIGRATION_INTERVAL, WORKS


class Options(NamedTuple):
    """The arguments of a peer's script."""

    work: str
    variant: str
    """Which of the ways to use this peer; what there are is the script's matter."""
    notes: str
    """Where evaluations are written down; empty: nowhere."""
    address: str
    """Of a cluster that runs already; empty: the script has its own."""


def options() -> Options:
    """From the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", choices=WORKS, required=True)
    parser.add_argument("--variant", default="")
    parser.add_argument("--notes", default="")
    parser.add_argument("--address", default="")
    return Options(**vars(parser.parse_args()))


def tell_workers(pids: Sequence[int]) -> None:
    """Print which processes evolve."""
    print(json.dumps({"workers": list(pids)}), flush=True)


def tell_stands(stands: Sequence[Stand]) -> None:
    """Print how far each island is."""
    print(json.dumps({"t": time.monotonic(), "islands": stands}), flush=True)


class IslandActor:
    """The hand-written island as an actor of Ray or Dask."""

    def __init__(self, work: str, seed: int, notes: str) -> None:
        self.island = HandIsland(work, seed, notes)

    def evolve(self, immigrants: list[Scored]) -> tuple[list[Scored], Stand]:
        """To the next migration; returns who emigrates, and how far it is."""
        emigrants = self.island.evolve(MIGRATION_INTERVAL, immigrants)
        return emigrants, self.island.stand

    def where(self) -> int:
        """The process that it lives in."""
        return os.getpid()


async def ring(evolve: Sequence[Callable[[list[Scored]], Awaitable[tuple[list[Scored], Stand]]]]) -> None:
    """Islands that evolve side by side, none waiting for another, each sending to the next."""
    inboxes: list[list[Scored]] = [[] for _ in evolve]
    stands = [NOT_BEGUN] * ISLANDS

    async def live(index: int) -> None:
        while True:
            immigrants, inboxes[index] = inboxes[index], []
            emigrants, stands[index] = await evolve[index](immigrants)
            inboxes[(index + 1) % len(evolve)] = emigrants
            tell_stands(stands)

    await asyncio.gather(*(live(index) for index in range(len(evolve))))
