"""Many processes try the same compare-and-swap at the same moment, round after round: each round has one winner.

    python tests/store/rounds.py [--racers 16] [--rounds 1000] [URL]

prints what happened as JSON and exits 1 when a round had no winner or two, or the object is not the winner's. Without
a URL it starts an emulator of Google Cloud Storage, and races there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from distevo.errors import Conflict, Unknown
from distevod.store import Store, open_store

ROOT = Path(__file__).parents[2]


@dataclass
class Report:
    """What the rounds were like."""

    racers: int
    rounds: int = 0
    lost: int = 0
    """Attempts that ended in a conflict."""
    unknown: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)
    """What was not as it must be, in words."""


class Racers:
    """Processes that swap when they are told to."""

    def __init__(self, url: str, count: int) -> None:
        self._processes = [
            subprocess.Popen(
                [sys.executable, __file__, "--race", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
            )
            for _ in range(count)
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            self._hear(process)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def swap(self, token: int) -> list[dict[str, Any]]:
        """What each says of its attempt to replace that token."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(b"%d\n" % token)
            process.stdin.flush()
        return [self._hear(process) for process in self._processes]

    @staticmethod
    def _hear(process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"a racer ended with {process.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said


def race(url: str, racers: int, rounds: int) -> Report:
    """Race on the object `cluster` of a store that has none yet."""
    report, begun = Report(racers), time.monotonic()
    store = open_store(url)
    token = store.create("cluster", b"first")
    with Racers(url, racers) as group:
        for number in range(rounds):
            said = group.swap(token)
            data, newest = store.read("cluster")
            winners = [one for one in said if one["outcome"] == "won"]
            report.lost += sum(one["outcome"] == "lost" for one in said)
            # The answer to the one who won may be lost on the way: then the object tells.
            unknown = [one for one in said if one["outcome"] == "unknown"]
            report.unknown += len(unknown)
            owners = [one for one in winners or unknown if one["nonce"].encode() == data]
            if len(winners) > 1 or len(owners) != 1 or newest <= token:
                report.wrong.append(f"round {number}, from {token} to {newest}, {data!r}: {said}")
            if any(one["token"] != newest for one in winners):
                report.wrong.append(f"round {number}: the token is {newest}, not what the winner was told: {winners}")
            token = newest
            report.rounds += 1
    report.seconds = round(time.monotonic() - begun, 1)
    return report


def race_on(store: Store) -> None:
    """One of the racers: a line in is a token, a line out what became of the attempt."""
    say({"outcome": "ready"})
    for number, line in enumerate(sys.stdin):
        mine: dict[str, Any] = {"nonce": f"{os.getpid()}-{number}"}
        try:
            mine |= {"outcome": "won", "token": store.replace("cluster", mine["nonce"].encode(), int(line))}
        except Conflict:
            mine["outcome"] = "lost"
        except Unknown:
            mine["outcome"] = "unknown"
        say(mine)


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("url", nargs="?", help="an empty store (default: an emulator's)")
    arguments.add_argument("--racers", type=int, default=16)
    arguments.add_argument("--rounds", type=int, default=1000)
    arguments.add_argument("--race", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.race:
        race_on(open_store(given.url))
        return 0
    with contextlib.ExitStack() as stack:
        url = given.url
        if url is None:
            sys.path.insert(0, str(ROOT))
            from tests.support.gcs import Emulator

            emulator = stack.enter_context(Emulator())
            os.environ["STORAGE_EMULATOR_HOST"] = emulator.url
            url = f"gs://{emulator.bucket()}"
        report = race(url, given.racers, given.rounds)
    print(json.dumps(asdict(report)))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
