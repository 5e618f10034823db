"""The bare machine: what plain loops do in the places of platforms, which is the most that these could do.

Cores that share caches and clocks, or are two threads of one, do not do twice as much together, whatever runs on them.
"""

from __future__ import annotations

import subprocess
import sys

from distevo_ctl.benchmark.isolation import Hold, Isolation, Places

SECONDS = 5.0
LOOP = """
import sys, time
input()
end, turns = time.monotonic() + float(sys.argv[1]), 0
while time.monotonic() < end:
    rows = [[number * row % 10 for number in range(30)] for row in range(30)]
    seen = {(x, y): value for y, row in enumerate(zip(*rows)) for x, value in enumerate(row)}
    turns += len(seen) == 900
print(turns)
"""
"""Small objects of Python made and dropped, as evaluating programs does; how often is printed."""


def turns_per_second(isolation: Isolation, hold: Hold, platforms: int, workers: int) -> float:
    """How often all loops together go round, one for each worker of each platform. Raises OSError and ToolError."""
    loops: list[subprocess.Popen[str]] = []
    with Places(isolation, hold) as places:
        try:
            for number in range(platforms):
                place = places.make(f"bare-{number + 1}")
                command = [*place.prefix, sys.executable, "-c", LOOP, str(SECONDS)]
                for _ in range(workers):
                    with hold(), place.starting():
                        loops.append(
                            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                        )
            for loop in loops:
                assert loop.stdin is not None
                loop.stdin.write("\n")
                loop.stdin.flush()
            return sum(int(loop.communicate()[0]) for loop in loops) / SECONDS
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()
