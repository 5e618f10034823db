"""OneMax: bit strings, as many ones as possible.

Small enough to be read as a template of a problem, cheap enough to measure what the engine itself costs.
"""

import math
import time
from random import Random
from typing import Any

from distevo.errors import TaskError

DEFAULT_BITS = 64
BITS_LIMIT = 65_536
COST_LIMIT_US = 60_000_000


class OneMax:
    """One bit string length. Task data: `{"bits": 64, "cost_us": 0}`, both optional.

    `cost_us` microseconds of the thread's own CPU time are burnt in each evaluation, for measuring overheads:
    a sleep, or a spin by the wall clock, would let two workers share one core unseen.

    A genome is an `int` of that many bits; its canonical bytes are the text of 0 and 1, highest bit first.
    Behaviour is not given: what a bit string does is the string, and equal strings have equal keys already.

    Raises `TaskError` for other task data.
    """

    name = "onemax"
    version = "1"
    tasks_help = "lengths in bits: `64`, or several: `64,256`"

    def __init__(self, task: Any) -> None:
        if not isinstance(task, dict) or not task.keys() <= {"bits", "cost_us"}:
            raise TaskError(f'a onemax task is {{"bits": 64, "cost_us": 0}}, both optional; got {task!r:.80}')
        bits = task.get("bits", DEFAULT_BITS)
        cost_us = task.get("cost_us", 0)
        if type(bits) is not int or not 1 <= bits <= BITS_LIMIT:
            raise TaskError(f"bits must be a whole number from 1 to {BITS_LIMIT}; got {bits!r:.80}")
        if type(cost_us) not in (int, float) or not 0 <= cost_us <= COST_LIMIT_US:
            raise TaskError(f"cost_us must be microseconds from 0 to {COST_LIMIT_US}; got {cost_us!r:.80}")
        self._bits = bits
        self._cost_seconds = cost_us / 1e6
        # ln(1 - 1/n), the scale of the gaps between flipped bits; a single bit always flips.
        self._log_keep = math.log1p(-1 / bits) if bits > 1 else -math.inf

    @classmethod
    def tasks(cls, spec: str) -> dict[str, Any]:
        """`64` or `64,256`: task data by id, the length. Raises `TaskError` for anything else."""
        found: dict[str, Any] = {}
        for word in spec.split(","):
            text = word.strip()
            if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= BITS_LIMIT):
                raise TaskError(f"{text!r} is no length of 1 to {BITS_LIMIT} bits; give {cls.tasks_help}")
            found[str(int(text))] = {"bits": int(text)}
        return found

    def random(self, rng: Random) -> int:
        """Each bit 0 or 1 with equal chance."""
        return rng.getrandbits(self._bits)

    def mutate(self, genome: int, rng: Random) -> int:
        """Flip each bit with probability 1/n.

        The gap to the next flipped bit is drawn from its geometric distribution (Devroye 1986, X.2): two
        random numbers on average, not n.
        """
        log, draw, scale = math.log, rng.random, self._log_keep
        position = int(log(1.0 - draw()) / scale)
        while position < self._bits:
            genome ^= 1 << position
            position += 1 + int(log(1.0 - draw()) / scale)
        return genome

    def crossover(self, a: int, b: int, rng: Random) -> int:
        """Uniform: each bit from either parent with equal chance."""
        return b ^ ((a ^ b) & rng.getrandbits(self._bits))

    def evaluate(self, genome: int) -> dict[str, Any]:
        """The number of ones; fit when all are."""
        if self._cost_seconds:
            clock = time.thread_time
            end = clock() + self._cost_seconds
            while clock() < end:
                pass
        ones = genome.bit_count()
        return {"fitness": float(ones), "fit": ones == self._bits}

    def encode(self, genome: int) -> bytes:
        """Text of 0 and 1, highest bit first, as long as the task has bits."""
        return f"{genome:0{self._bits}b}".encode()

    def decode(self, data: bytes) -> int:
        """Raises `ValueError` unless `data` has the task's length and holds 0 and 1 only."""
        if len(data) != self._bits or data.strip(b"01"):
            raise ValueError(f"expected {self._bits} characters 0 or 1; got {data!r:.80}")
        return int(data, 2)
