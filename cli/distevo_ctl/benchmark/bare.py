"""The bare machine: what plain loops do in the places of platforms, which is the most that these could do.

Cores that share caches and clocks, or are two threads of one, do not do twice as much together, whatever runs on them.
"""

from __future__ import annotations

import subprocess
import sys

from distevo_ctl.benchmark.isolation import Hold, Isolation, Places
from distevo_ctl.hosts.tools import ToolError

SECONDS = 5.0
LOOP = """
import sys, time
print("ready", flush=True)
input()
end, turns = time.monotonic() + float(sys.argv[1]), 0
while time.monotonic() < end:
    rows = [[number * row % 10 for number in range(30)] for row in range(30)]
    seen = {(x, y): value for y, row in enumerate(zip(*rows)) for x, value in enumerate(row)}
    turns += len(seen) == 900
print(turns)
"""
"""Small objects of Python made and dropped, as evaluating programs does, once told to; how often is printed."""


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
                            subprocess.Popen(
                                command,
                                stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE,
                                text=True,
                            )
                        )
            for loop in loops:  # They go round at the same time, or they would not be in each other's way.
                assert loop.stdout is not None
                if not loop.stdout.readline():
                    _said(loop)
            for loop in loops:
                assert loop.stdin is not None
                loop.stdin.write("\n")
                loop.stdin.flush()
            return sum(int(_said(loop)) for loop in loops) / SECONDS
        finally:
            for loop in loops:
                with loop:
                    loop.kill()


def _said(loop: subprocess.Popen[str]) -> str:
    """What it prints until it ends. Raises ToolError if it does not end well."""
    said, complaint = loop.communicate()
    if loop.returncode != 0:
        raise ToolError(f"a plain loop ended with {loop.returncode}: {complaint.strip()}")
    return said
