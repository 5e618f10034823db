"""How much smaller a checkpoint is than plain JSON of the same content, and what it costs.

    python tests/performance/checkpoint_size.py --tasks training:0-19 --cpu-seconds 1.5

evolves one island of each grid task for that long, as a worker would, checkpoints them all in one object and prints
one JSON object.  Plain JSON has one object for each program, bytes in hexadecimal, no spaces, and no keys, since a
checkpoint makes them again on reading.  Genomes of grids are text, so JSON with genomes as text is given as well;
the target is judged by the smaller saving.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from distevo.block import pack, unpack
from distevo.checkpoint import Checkpoint, Counters, IslandSnapshot, decode_checkpoint, encode_checkpoint
from distevo.problem import Contract
from distevod.evolution.island import Island, IslandSettings
from distevod.evolution.page import Page
from distevod.problems.grids import Grids

TARGET_SAVED = 0.80
LEVELS = (1, 3, 6, 9)
REPEATS = 9


def evolved(task: str, data: Any, population_size: int, cpu_seconds: float, page: Page) -> IslandSnapshot:
    """The state of an island of this task after so many CPU seconds, or when a program is fit."""
    contract = Contract(Grids(data))
    snapshot = IslandSnapshot(
        run="size",
        task=task,
        island=0,
        problem=contract.name,
        version=contract.version,
        grant=1,
        sequence=1,
        cover={},
        seed="00" * 16,
        generation=0,
        cursor=0,
        optimizer=b"",
        population=b"",
        invalid=[],
        suspects=[],
        counters=Counters(),
    )
    settings = IslandSettings(
        islands=1, population_size=population_size, batch_size=500, generation_seconds=1.0, platform="kaggle-1"
    )
    island = Island(contract, settings, snapshot, page)
    while True:
        generation = island.generation()
        if generation.is_fit or generation.snapshot.counters.cpu_seconds >= cpu_seconds:
            return generation.snapshot


def plain_json(checkpoint: Checkpoint, spell: Callable[[bytes], str]) -> bytes:
    """The checkpoint as JSON with one object for each program; `spell` writes a genome."""
    islands = []
    for snapshot in checkpoint.islands:
        island = msgspec.to_builtins(snapshot, str_keys=True, builtin_types=(bytes,))
        island["population"] = [
            {
                "genome": spell(program.genome),
                "fitness": program.fitness,
                "fit": program.fit,
                "behaviour": program.behaviour.hex(),
                "meta": program.meta.hex(),
            }
            for program in unpack(snapshot.population, lambda genome: bytes(32))
        ]
        island["optimizer"] = snapshot.optimizer.hex()
        island["invalid"] = [key.hex() for key in snapshot.invalid]
        island["suspects"] = [key.hex() for key in snapshot.suspects]
        islands.append(island)
    return orjson.dumps(
        {**msgspec.structs.asdict(checkpoint), "islands": islands},
        option=orjson.OPT_NON_STR_KEYS,
    )


def milliseconds(work: Callable[[], object], programs: int) -> dict[str, float]:
    """Median and range of the CPU time for 1,000 programs."""
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        times.append((time.process_time() - began) * 1e3 / programs * 1000)
    return {
        "median": round(statistics.median(times), 3),
        "least": round(min(times), 3),
        "most": round(max(times), 3),
    }


def measured(checkpoint: Checkpoint) -> dict[str, Any]:
    """Sizes in bytes and shares saved, for each level of zlib; CPU times in milliseconds for 1,000 programs."""
    populations = [unpack(snapshot.population, lambda genome: bytes(32)) for snapshot in checkpoint.islands]
    programs = sum(map(len, populations))
    hexadecimal = len(plain_json(checkpoint, bytes.hex))
    text = len(plain_json(checkpoint, bytes.decode))
    levels = {}
    for level in LEVELS:
        data = encode_checkpoint(checkpoint, level)
        levels[str(level)] = {
            "bytes": len(data),
            "bytes_per_program": round(len(data) / programs, 1),
            "saved_against_hexadecimal": round(1 - len(data) / hexadecimal, 4),
            "saved_against_text": round(1 - len(data) / text, 4),
            "encode_ms": milliseconds(lambda level=level: encode_checkpoint(checkpoint, level), programs),
            "decode_ms": milliseconds(lambda data=data: decode_checkpoint(data), programs),
        }
    return {
        "islands": len(checkpoint.islands),
        "programs": programs,
        "pack_ms": milliseconds(lambda: [pack(population) for population in populations], programs),
        "json_bytes_hexadecimal": hexadecimal,
        "json_bytes_text": text,
        "levels": levels,
    }


def main() -> int:
    """Evolve, measure, print; 1 when the target is missed at zlib's usual level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="training:0-19", help="a set of grid tasks")
    parser.add_argument("--cpu-seconds", type=float, default=1.5, help="for each task")
    parser.add_argument("--population-size", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="few tasks")
    options = parser.parse_args()
    if options.quick:
        options.tasks, options.cpu_seconds = "training:0-2", 0.3
    page = Page.create()
    islands = [
        evolved(task, data, options.population_size, options.cpu_seconds, page)
        for task, data in Grids.tasks(options.tasks).items()
    ]
    page.close()
    checkpoint = Checkpoint(
        cluster="size",
        member="here",
        boot="00" * 8,
        sequence=1,
        islands=islands,
        resource_usage={"cpu_seconds": sum(island.counters.cpu_seconds for island in islands)},
    )
    if decode_checkpoint(encode_checkpoint(checkpoint)) != checkpoint:
        raise AssertionError("the checkpoint did not come back as it was written")
    result = measured(checkpoint)
    saved = min(result["levels"]["6"][f"saved_against_{kind}"] for kind in ("hexadecimal", "text"))
    result |= {"target_saved": TARGET_SAVED, "saved": saved, "ok": saved >= TARGET_SAVED}
    print(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode())
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
