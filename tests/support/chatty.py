"""A problem that prints at each evaluation, more than an output keeps for itself."""

from random import Random


class Chatty:
    """As many ones as possible."""

    name, version = "chatty", "1"

    def __init__(self, task: dict[str, object]) -> None:
        pass

    def random(self, rng: Random) -> bytes:
        return rng.randbytes(8)

    def mutate(self, genome: bytes, rng: Random) -> bytes:
        place = rng.randrange(len(genome))
        return genome[:place] + rng.randbytes(1) + genome[place + 1 :]

    def evaluate(self, genome: bytes) -> float:
        print("≥" * 9000, flush=True)
        return sum(byte.bit_count() for byte in genome)

    def encode(self, genome: bytes) -> bytes:
        return genome

    def decode(self, data: bytes) -> bytes:
        return data
