"""Several processes race to swap one object while they are stopped, continued and killed at random.

    python tests/store/race.py [--seconds 60] [--racers 6] [--seed 0] [FOLDER]

prints what happened as JSON and exits 1 when a token had two winners, a win was lost, or a parent was not the
version before.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from distevod.store import FolderStore
from distevod.store.folder import KEEP_VERSIONS

RACER = Path(__file__).with_name("racer.py")
STOPPED_SECONDS = (0.005, 0.3)
"""Long enough for a stopped racer's next version to be made, superseded and pruned by the others."""


@dataclass
class Report:
    """What a race did and what was wrong with it."""

    swaps: int = 0
    """Wins that their winners noted."""
    head: int = 0
    """The newest token at the end."""
    unknown: int = 0
    kills: int = 0
    stops: int = 0
    double_winners: list[int] = field(default_factory=list)
    """Tokens that two racers say they won."""
    overwritten: list[int] = field(default_factory=list)
    """Tokens won whose object is another's."""
    broken_chains: list[int] = field(default_factory=list)
    """Tokens whose object was not made from the one before."""

    @property
    def is_right(self) -> bool:
        return not (self.double_winners or self.overwritten or self.broken_chains)


class Race:
    """The racers and what is done to them."""

    def __init__(self, folder: Path, racers: int, rng: random.Random) -> None:
        self._root, self._folder, self._rng = folder / "store", folder, rng
        self._started = 0
        self.report = Report()
        FolderStore(self._root).create("cluster", json.dumps({"nonce": "first", "parent": None}).encode())
        self._racers = [self._start() for _ in range(racers)]

    def _start(self) -> subprocess.Popen[bytes]:
        self._started += 1
        log = self._folder / f"log-{self._started}"
        return subprocess.Popen([sys.executable, RACER, self._root, log], stderr=subprocess.PIPE)

    def run(self, seconds: float) -> Report:
        """Disturb the racers for so long, end them, and judge."""
        end = time.monotonic() + seconds
        wake: dict[int, float] = {}
        try:
            while (now := time.monotonic()) < end:
                for place in [place for place, due in wake.items() if due <= now]:
                    self._racers[place].send_signal(signal.SIGCONT)
                    del wake[place]
                place = self._rng.randrange(len(self._racers))
                if self._racers[place].poll() is not None:
                    raise RuntimeError(f"a racer failed: {self._end(self._racers[place])}")
                if self._rng.random() < 0.05:
                    self._racers[place].kill()
                    self._end(self._racers[place])
                    self._racers[place] = self._start()
                    wake.pop(place, None)
                    self.report.kills += 1
                elif place not in wake and len(wake) < len(self._racers) - 1:
                    self._racers[place].send_signal(signal.SIGSTOP)
                    wake[place] = now + self._rng.uniform(*STOPPED_SECONDS)
                    self.report.stops += 1
                time.sleep(self._rng.uniform(0.0, 0.04))
        finally:
            for racer in self._racers:
                racer.kill()
                self._end(racer)
        self._judge()
        return self.report

    @staticmethod
    def _end(racer: subprocess.Popen[bytes]) -> str:
        _, said = racer.communicate(timeout=10)
        return said.decode()

    def _judge(self) -> None:
        report = self.report
        report.head = FolderStore(self._root).read("cluster")[1]
        # Below these lie versions that were pruned, and some that a late loser, told `Unknown`, linked again.
        kept = range(max(1, report.head - KEEP_VERSIONS), report.head + 1)
        versions = self._root / "cas" / "cluster"
        objects = {token: json.loads((versions / f"{token:020}").read_bytes()) for token in kept}
        winners: dict[int, dict[str, Any]] = {}
        for log in sorted(self._folder.glob("log-*")):
            for line in log.read_text().splitlines():
                note = json.loads(line)
                token = note.get("won")
                if token is None:
                    report.unknown += 1
                elif token in winners:
                    report.double_winners.append(token)
                else:
                    winners[token] = note
        report.swaps = len(winners)
        for token, note in sorted(winners.items()):
            if token > report.head or (token in objects and objects[token]["nonce"] != note["nonce"]):
                report.overwritten.append(token)
            if token - 1 in winners and winners[token - 1]["nonce"] != note["parent"]:
                report.broken_chains.append(token)
        for token in kept[1:]:
            if objects[token]["parent"] != objects[token - 1]["nonce"]:
                report.broken_chains.append(token)


def race(folder: Path, seconds: float, racers: int, seed: int) -> Report:
    """Race in the empty `folder`."""
    return Race(folder, racers, random.Random(seed)).run(seconds)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("folder", nargs="?", help="where to make the store (default: a temporary folder)")
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--racers", type=int, default=6)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        report = race(Path(folder), given.seconds, given.racers, given.seed)
    print(json.dumps(asdict(report)))
    return 0 if report.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
