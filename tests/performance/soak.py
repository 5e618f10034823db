"""A soak: a cluster of six platforms of three kinds, a stream of runs, and a fault every 20 seconds.

    python tests/performance/soak.py [--minutes 30] [--seed 1] [--trials 1] [--quick]

Two platforms reach each other (one of them is the relay), two sit behind NAT and reach the relay alone, two reach
nobody and share nothing but the store. Faults come in turn, in an order of chance: a daemon is killed (SIGKILL) and
started again, a platform is frozen and goes on, hosts are cut off from the others and joined again, each for 2 to 12 s;
a third of the kills and pauses strike whoever coordinates. Everything that is drawn comes from the seed.

On the way, four times a second: no named result changes, goes away or is worse than what a checkpoint of an island's
owner held; the epoch never falls; no island is in two hands under one grant; no island is without a living owner for
longer than tests/support/soak/orphans.py states; no daemon ends by itself. At the end, without faults, every run that
was confirmed is done within three minutes, each of its tasks has its one result in the store, and every daemon ends
well. One platform of each kind is never killed (its pauses and partitions are the more): its daemon's memory may not
grow by more than 0.2 MiB a minute, from its fifth minute on and once that was looked at for ten.

Prints JSON; with 1 as exit status, and the timeline on standard error, when anything was wrong. The store and the logs
then stay where that says. Needs root.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.daemon import DaemonError
from tests.support.hosts.requirements import missing
from tests.support.quantiles import summary
from tests.support.soak.faults import Striker, draw
from tests.support.soak.gauges import Gauges
from tests.support.soak.judge import Judge, Violation
from tests.support.soak.orphans import BOUND_SECONDS, Orphans
from tests.support.soak.platforms import Platforms, Unexpected
from tests.support.soak.stream import Stream
from tests.support.soak.timeline import Timeline

LOOK_SECONDS = 0.25
HANDS_SECONDS, MEMORY_SECONDS, COUNTS_SECONDS = 5.0, 5.0, 10.0
FINISH_SECONDS = 180.0
"""What three open runs take at most, after the last fault."""
GROWTH_LIMIT, GROWTH_MINUTES = 0.2, 10.0
"""MiB a minute, and how long a platform has to be looked at before its memory is judged. Some ten runs end in a minute,
and each leaves about 6 kB behind: its place in the plan."""


class Soak:
    """One of them."""

    def __init__(self, folder: Path, seconds: float, seed: int) -> None:
        self._seconds = seconds
        self.timeline = Timeline()
        self.platforms = Platforms(folder, self.timeline)
        self._rng = random.Random(seed)
        self._due: dict[str, float] = {}
        self.figures: dict[str, Any] = {}

    def run(self) -> None:
        """All of it. Raises Violation, Unexpected or DaemonError."""
        with self.platforms:
            striker = Striker(self.platforms, draw(self._rng, self._seconds), self.timeline)
            stream = Stream(self.platforms, self._rng, self.timeline)
            judge, gauges = Judge(self.platforms, stream, self.timeline), Gauges(self.platforms)
            orphans = Orphans(judge.is_spent)
            try:
                self._watch(striker, stream, judge, gauges, orphans)
            finally:
                self.figures |= {
                    "faults": dict(sorted(striker.counts.items())),
                    "elections": judge.elections,
                    "adoptions": len(orphans.adoptions),
                    "adoption": summary(orphans.adoptions, digits=2) if orphans.adoptions else None,
                    "longest_without_owner_s": round(orphans.longest, 2),
                    "bound_without_owner_s": round(BOUND_SECONDS, 2),
                    "counted": gauges.counts(),
                    "memory": gauges.memory(),
                    "runs_confirmed": len(stream.confirmed),
                    "runs_not_confirmed": len(stream.unconfirmed),
                    "errors_logged": self.platforms.errors(),
                }
                stream.close()
            self.platforms.stop()
            self._judge_memory()

    def _watch(self, striker: Striker, stream: Stream, judge: Judge, gauges: Gauges, orphans: Orphans) -> None:
        while True:
            now = self.timeline.now
            self.platforms.look()
            plan, coordinator = judge.look()
            if wrong := orphans.sweep(plan, self.platforms.owners, striker.coordinator_struck_at, now):
                raise Violation(wrong)
            striker.tick(now, coordinator)
            if self._is_due("hands", HANDS_SECONDS, now):
                judge.look_at_hands()
            if self._is_due("memory", MEMORY_SECONDS, now):
                gauges.read_memory(now)
            if self._is_due("counts", COUNTS_SECONDS, now):
                gauges.read_counts()
            if now < self._seconds or not striker.is_over:
                stream.tick(plan)
            elif not (left := judge.unfinished(plan)) and stream.is_settled:
                self.figures |= judge.end(plan)
                return
            elif not stream.is_settled:
                stream.settle()
            elif now > self._seconds + FINISH_SECONDS:
                raise Violation(f"not over {FINISH_SECONDS:g} s after the last fault: {', '.join(left)}")
            time.sleep(max(0.0, LOOK_SECONDS - (self.timeline.now - now)))

    def _is_due(self, what: str, every: float, now: float) -> bool:
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every
        return True

    def _judge_memory(self) -> None:
        for name, found in self.figures["memory"].items():
            if found["minutes"] >= GROWTH_MINUTES and found["mb_per_minute"] > GROWTH_LIMIT:
                raise Violation(f"the daemon of {name} grows by {found['mb_per_minute']} MiB a minute")


def measure(minutes: float, seed: int) -> dict[str, Any]:
    """One soak."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    soak = Soak(folder, 60 * minutes, seed)
    wrong = None
    try:
        soak.run()
    except (Violation, Unexpected, DaemonError) as error:
        wrong = f"{type(error).__name__}: {error}"
        print("\n".join([*soak.timeline.lines, wrong, f"logs and store: {folder}"]), file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return {"seed": seed, "minutes": minutes, "wrong": wrong, **soak.figures}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=1, help="soaks, each with the next seed")
    parser.add_argument("--quick", action="store_true", help="one of two minutes")
    arguments = parser.parse_args()
    if lack := missing():
        sys.exit(lack)
    trials, minutes = (1, 2.0) if arguments.quick else (arguments.trials, arguments.minutes)
    found = [measure(minutes, arguments.seed + number) for number in range(trials)]
    print(orjson.dumps({"benchmark": "soak", "trials": found}, option=orjson.OPT_INDENT_2).decode())
    sys.exit(any(trial["wrong"] is not None for trial in found))


if __name__ == "__main__":
    main()
