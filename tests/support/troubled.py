"""A problem whose programs can be trouble: submitted as a file by the tests of workers."""

import ctypes
import os
import time


class Troubled:
    """Whole numbers below 1000, the larger the better.

    Task data: {"trouble": kind, "at": [numbers], "after": calls, "cost": seconds}.
    """

    name, version = "troubled", "1"

    def __init__(self, task):
        self.trouble, self.at = task.get("trouble"), set(task.get("at", [500]))
        self.after, self.calls = task.get("after", 0), 0
        self.cost, self.where = task.get("cost", 0.0), task.get("where", "evaluate")

    def random(self, rng):
        return rng.randrange(1000)

    def mutate(self, genome, rng):
        child = min(999, max(0, genome + rng.randint(-20, 20)))
        if self.where == "mutate":
            self._make_trouble(child)
        return child

    def evaluate(self, genome):
        if self.where == "evaluate":
            self._make_trouble(genome)
        end = time.perf_counter() + self.cost
        while time.perf_counter() < end:
            pass
        return {"fitness": genome, "fit": False}

    def _make_trouble(self, genome):
        self.calls += 1
        if self.calls <= self.after or genome not in self.at:
            return
        if self.trouble == "hang":
            while True:
                time.sleep(1)
        elif self.trouble == "memory":
            kept = []
            while True:
                kept.append(bytearray(1 << 24))
        elif self.trouble == "segfault":
            ctypes.string_at(1)
        elif self.trouble == "exit":
            os._exit(3)

    def encode(self, genome):
        return b"%d" % genome

    def decode(self, data):
        return int(data)
