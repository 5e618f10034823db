"""How fast populations merge, and how much of that time is hashing.

    python tests/performance/merge_speed.py

prints one JSON object.  Four populations of 10,000 programs, a quarter of each known to the others, half of the
fitness numbers ties.  Speeds are programs that go in, per second of CPU time, so that a busy machine counts less;
median and range over the repeats:

    merge       Population to Population, on key and fitness
    hash        the keyed hash of every genome, and nothing else
    bare_hash   the same by calling blake3 without the keyer's function around it
    wire        four blocks of bytes to one Population, every key made again on the way

`wire_to_hash` is the ratio within each repeat.  Genomes of 44 bytes are as long as those of grids, 200 is long.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from itertools import permutations
from random import Random
from typing import Any

import orjson
from blake3 import blake3

from distevo.block import pack, unpack
from distevo.merge import PopulationMerger
from distevo.population import Population
from distevo.program import Program, keyer

POPULATIONS, PROGRAMS = 4, 10_000
GENOME_BYTES = (44, 200)
TARGET_PER_SECOND, TARGET_RATIO = 2e6, 0.45

key_of = keyer("grids", "1")
merge = PopulationMerger.merge_populations


def made(index: int, size: int) -> Program:
    """A program that is a function of `index`, so that two populations that draw one index know one program."""
    genome = f"g1:fill_holes(mirror_h(x),{index})".encode().ljust(size, b"_")
    own = Random(index)
    fitness = own.choice((0.25, 0.5, 0.75)) if index % 2 else own.random()
    return Program.of(genome, key_of(genome), (fitness,), False, own.randbytes(8))


def blocks_of(size: int) -> list[bytes]:
    """Four packed populations with genomes of `size` bytes, the first quarter of each the same programs."""
    shared, own = PROGRAMS // 4, PROGRAMS - PROGRAMS // 4
    indices = ((*range(shared), *range(shared + i * own, shared + (i + 1) * own)) for i in range(POPULATIONS))
    return [pack(list(Population(made(index, size) for index in chosen))) for chosen in indices]


def checked(populations: list[Population], blocks: list[bytes]) -> int:
    """How many programs the union has, once it is known to be right however it is made."""
    best: dict[bytes, Program] = {}
    for program in (program for population in populations for program in population):
        if program.key not in best or program < best[program.key]:
            best[program.key] = program
    expected = sorted(best.values())
    for order in permutations(populations):
        if list(merge(order)) != expected:
            raise AssertionError("the merge depends on the order of its inputs")
    if list(merge(unpack(block, key_of) for block in blocks)) != expected:
        raise AssertionError("the merge of blocks is not that of their populations")
    return len(expected)


def seconds(work: Callable[[], Any]) -> float:
    """Time of one call; what it made is thrown away afterwards."""
    began = time.process_time()
    result = work()
    taken = time.process_time() - began
    del result
    return taken


def spread(values: list[float], digits: int = 3) -> dict[str, float]:
    """Median and range."""
    return {
        "median": round(statistics.median(values), digits),
        "least": round(min(values), digits),
        "most": round(max(values), digits),
    }


def measured(size: int, repeats: int) -> dict[str, Any]:
    """Figures for genomes of `size` bytes, the works of each repeat one after another."""
    blocks = blocks_of(size)
    populations = [Population(unpack(block, key_of)) for block in blocks]
    genomes = [program.genome for population in populations for program in population]
    secret = bytes(32)
    works: dict[str, Callable[[], Any]] = {
        "merge": lambda: merge(populations),
        "hash": lambda: [key_of(genome) for genome in genomes],
        "bare_hash": lambda: [blake3(genome, key=secret).digest() for genome in genomes],
        "wire": lambda: merge(unpack(block, key_of) for block in blocks),
    }
    union = checked(populations, blocks)
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            times[name].append(seconds(work))
    ratios = [h / w for h, w in zip(times["hash"], times["wire"], strict=True)]
    bare = [h / w for h, w in zip(times["bare_hash"], times["wire"], strict=True)]
    return {
        "programs": len(genomes),
        "union": union,
        "million_per_second": {
            name: spread([len(genomes) / taken / 1e6 for taken in values]) for name, values in times.items()
        },
        "wire_to_hash": spread(ratios),
        "wire_to_bare_hash": spread(bare),
    }


def main() -> int:
    """Measure, print; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="few repeats")
    options = parser.parse_args()
    if options.quick:
        options.repeats = 3
    sizes = {str(size): measured(size, options.repeats) for size in GENOME_BYTES}
    ok = all(
        figures["million_per_second"]["merge"]["median"] * 1e6 >= TARGET_PER_SECOND
        and figures["wire_to_hash"]["median"] >= TARGET_RATIO
        for figures in sizes.values()
    )
    result = {
        "target_million_per_second": TARGET_PER_SECOND / 1e6,
        "target_wire_to_hash": TARGET_RATIO,
        "genome_bytes": sizes,
        "ok": ok,
    }
    print(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode())
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
