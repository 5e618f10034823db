"""What a checkpoint costs: how long it keeps evolution and the daemon's loop, and how long until it is durable.

    python tests/performance/checkpoint_speed.py [--tasks training:0-5] [--latency 0.05] [FOLDER]

evolves one island of each grid task, as a worker would, and prints one JSON object. All islands go into one object, at
zlib's level 3, through the checkpoint manager, into a folder and into a bucket: an emulator, behind a proxy that lets
each request take `--latency` seconds longer. What a bucket takes for a checkpoint is compared with what it takes for an
object of one byte, so that the link and the emulator are not counted.

`worker` is what a generation does for the sake of checkpoints, on the thread that evolves; nothing else ever stops it.
`loop` is the daemon's event loop while a checkpoint is made: for an island as it was reported, and for one with
immigrants that no report holds yet.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from distevo.block import pack, unpack
from distevo.checkpoint import Checkpoint, IslandSnapshot
from distevo.events import IslandId
from distevo.keeper import Keeper
from distevo.outbox import Outbox
from distevo.program import keyer
from distevo.work import IslandWork
from distevod.checkpoints import AsyncCheckpointManager
from distevod.evolution.page import Page
from distevod.problems.grids import Grids
from distevod.store import Store, open_store
from tests.performance.checkpoint_size import evolved
from tests.support.gcs import Emulator, Proxy
from tests.support.quantiles import summary

LEVEL = 3
IMMIGRANTS = 5
TARGETS = {
    "worker_ms_per_1000_programs": 0.15,
    "loop_ms_per_island": 1.0,
    "folder_ms_per_1000_programs": 2.5,
    "bucket_ms_over_link_per_1000_programs": 5.0,
}


def timed(action: Callable[[], object], repeats: int) -> list[float]:
    """Milliseconds of each call."""
    took = []
    for _ in range(repeats):
        begun = time.perf_counter()
        action()
        took.append((time.perf_counter() - begun) * 1e3)
    return took


def on_loop(islands: Sequence[IslandSnapshot], with_immigrants: bool, repeats: int) -> list[float]:
    """Milliseconds for each island, of each checkpoint that a node makes of all of them."""
    took = []
    for repeat in range(repeats):
        works = [IslandWork(IslandId(s.run, s.task, s.island), grant=1, snapshot=s) for s in islands]
        for work in works:
            programs = list(work.population())
            if with_immigrants:
                work.pending.append((1, random.Random(repeat).sample(programs, min(IMMIGRANTS, len(programs)))))
        keeper = Keeper("here", "ab", 5, 5.0, 1.0, Outbox())
        begun = time.perf_counter()
        keeper.save("cluster", [work.settle_immigrants() for work in works], {}, 0.0)
        took.append((time.perf_counter() - begun) * 1e3 / len(works))
    return took


def until_durable(store: Store, checkpoint: Checkpoint, repeats: int) -> list[float]:
    """Milliseconds of each of several checkpoints, one after another."""
    with ThreadPoolExecutor(1) as executor:
        manager = AsyncCheckpointManager("here", store, executor, compression_level=LEVEL)

        async def save() -> list[float]:
            took = []
            for sequence in range(repeats + 1):
                begun = time.perf_counter()
                await manager.save_checkpoint_async(msgspec.structs.replace(checkpoint, sequence=sequence))
                took.append((time.perf_counter() - begun) * 1e3)
            return took[1:]  # The first one opens the connection.

        return asyncio.run(save())


def one_byte(store: Store, repeats: int) -> list[float]:
    """Milliseconds of each of several objects that hold next to nothing."""
    return timed(lambda: store.create(f"plans/{random.getrandbits(64)}", b"x"), repeats + 1)[1:]


def measured(islands: list[IslandSnapshot], folder: str | None, latency: float, repeats: int) -> dict[str, Any]:
    """All figures."""
    populations = [unpack(s.population, keyer(s.problem, s.version)) for s in islands]
    programs = sum(map(len, populations))
    thousands = programs / 1000
    packing = timed(lambda: [pack(population) for population in populations], repeats)
    checkpoint = Checkpoint(
        cluster="speed", member="here", boot="ab", sequence=1, islands=islands, resource_usage={}
    )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=folder) as root:
        in_folder = until_durable(open_store(root), checkpoint, repeats)
        disk = one_byte(open_store(root), repeats)
    with Emulator() as emulator, Proxy(emulator.port) as proxy:
        os.environ["STORAGE_EMULATOR_HOST"] = proxy.url
        store = open_store(f"gs://{emulator.bucket()}/speed")
        proxy.latency = latency
        link = one_byte(store, repeats)
        in_bucket = until_durable(store, checkpoint, repeats)
    plain, merging = on_loop(islands, False, repeats), on_loop(islands, True, repeats)
    figures = {
        "worker_ms_per_1000_programs": statistics.median(packing) / thousands,
        "loop_ms_per_island": max(statistics.median(plain), statistics.median(merging)),
        "folder_ms_per_1000_programs": statistics.median(in_folder) / thousands,
        "bucket_ms_over_link_per_1000_programs": (statistics.median(in_bucket) - statistics.median(link)) / thousands,
    }
    return {
        "islands": len(islands),
        "programs": programs,
        "worker": summary([ms / len(islands) for ms in packing], "ms_per_island", 4),
        "loop": summary(plain, "ms_per_island", 4),
        "loop, with immigrants": summary(merging, "ms_per_island", 4),
        "durable in a folder": summary(in_folder, "ms"),
        "an object of one byte in the folder": summary(disk, "ms"),
        "durable in a bucket": summary(in_bucket, "ms"),
        "an object of one byte in the bucket": summary(link, "ms"),
        "latency_ms": latency * 1e3,
        "figures": {name: round(figure, 4) for name, figure in figures.items()},
        "targets": TARGETS,
        "ok": all(figures[name] <= most for name, most in TARGETS.items()),
    }


def main() -> int:
    """Evolve, measure, print; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="where to make the folder store (default: a temporary folder)")
    parser.add_argument("--tasks", default="training:0-5", help="a set of grid tasks")
    parser.add_argument("--cpu-seconds", type=float, default=1.5, help="for each task")
    parser.add_argument("--population-size", type=int, default=200)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that a request to the bucket takes longer")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="few repeats")
    options = parser.parse_args()
    if options.quick:
        options.cpu_seconds, options.repeats = 0.3, 10
    page = Page.create()
    islands = [
        evolved(task, data, options.population_size, options.cpu_seconds, page)
        for task, data in Grids.tasks(options.tasks).items()
    ]
    page.close()
    result = measured(islands, options.folder, options.latency, options.repeats)
    print(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode())
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
