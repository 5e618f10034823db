"""The mutation check: bugs that a naive build has are put into a copy of the library, one by one; a seed has to notice.

    python tests/performance/mutations.py [--seeds 500] [--only NAME ...] [--jobs 2]

Each mutation changes the node in a copy of the library, never the simulator, and seeds are simulated until one ends
with a finding. Prints JSON: for each mutation the seed that caught it, what was violated, and how many seeds it took.
Exits with 1 when a mutation survives, or when the text that it replaces is no longer there exactly once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import orjson

LIBRARY = Path(__file__).parents[2] / "protocol" / "distevo"

HUNT = """
import json, sys
from distevo.simulator import expand, simulate
for seed in range(int(sys.argv[1])):
    finding = simulate(expand(seed), seed).finding
    if finding is not None:
        print(json.dumps({"seed": seed, "invariant": finding.invariant, "message": finding.message}))
        break
"""


class Edit(NamedTuple):
    """In `file`, `old` becomes `new`."""

    file: str
    old: str
    new: str


class Mutation(NamedTuple):
    """A bug. The number is that of the list of ten; those of sockets are not the simulator's."""

    name: str
    edits: tuple[Edit, ...]


MUTATIONS = [
    Mutation(
        "1 the token is read when a write is sent, not when it is decided",
        (
            Edit(
                "lease.py",
                "encode_cluster(write.record), write.token, answered)",
                "encode_cluster(write.record), self._token, answered)",
            ),
            Edit("lease.py", "if self._write is None and self._last_write == last_write:", "if True:"),
        ),
    ),
    Mutation(
        "1 a plan is loaded under one token and written under another",
        (
            Edit("office.py", "record is self._basis is self._node.lease.record", "True"),
            Edit("office.py", "if self._node.lease.record is not self._basis:", "if False:"),
        ),
    ),
    Mutation(
        "2 an old epoch is renewed with a newer token",
        (
            Edit(
                "lease.py",
                """        else:
            self._outbox.swap_settled()
            self._moved(seen, now)""",
                """        elif write.record.epoch < decode_cluster(seen.data).epoch:
            write.token = seen.token
            self._step(WriteEvent.UNMOVED)
            self._outbox.later(now + RETRY_SECONDS, lambda _: self._send(write, WriteEvent.RETRY))
        else:
            self._outbox.swap_settled()
            self._moved(seen, now)""",
            ),
        ),
    ),
    Mutation(
        "3 a time-out is taken for a success",
        (
            Edit(
                "lease.py",
                "            if answer.outcome is Outcome.DONE:\n                self._step",
                "            if answer.outcome in {Outcome.DONE, Outcome.UNKNOWN}:\n                self._step",
            ),
        ),
    ),
    Mutation(
        "3 a conflict after a retry is taken for a loss",
        (
            Edit(
                "lease.py",
                "if seen.outcome is Outcome.DONE and decode_cluster(seen.data).nonce == write.record.nonce:",
                "if seen.outcome is Outcome.DONE and answer.outcome is not Outcome.CONFLICT and "
                "decode_cluster(seen.data).nonce == write.record.nonce:",
            ),
        ),
    ),
    Mutation(
        "4 whoever was overtaken writes again, over the newer token",
        (
            Edit(
                "lease.py",
                "        elif write.compares_with(seen):\n",
                "        elif seen.outcome is Outcome.DONE:\n            write.token = seen.token\n",
            ),
        ),
    ),
    Mutation(
        "6 whose link it is says HELLO, not the key",
        (Edit("links.py", "fault = fault or self._mistaken(link)", "fault = fault or None"),),
    ),
    Mutation(
        "7 a key that is not known yet is refused for ever",
        (
            Edit("links.py", "elif report.code == Code.NOT_YET_KNOWN:", "elif report.code == -1:"),
            Edit("dialling.py", "LONGEST_WAIT = 30.0", "LONGEST_WAIT = 1e9"),
        ),
    ),
    Mutation(
        "8 a state that was sent once counts as heard",
        (
            Edit(
                "news.py",
                "        if now >= self._repeat_at:\n            self._repeat(now)",
                "        if now >= self._repeat_at:\n            self._repeat_at = float('inf')",
            ),
        ),
    ),
    Mutation(
        "8 a checkpoint that failed counts as durable",
        (Edit("node.py", "self.keeper.failed(event.sequence, event.reason, now)", "self._saved(event.sequence, now)"),),
    ),
    Mutation(
        "8 a checkpoint that is on its way counts as durable, and one is enough",
        (
            Edit(
                "node.py",
                "        self.exchange.saving(sequence, self.keeper.on_its_way)\n",
                "        self.exchange.saving(sequence, self.keeper.on_its_way)\n        self._saved(sequence, now)\n",
            ),
            Edit("keeper.py", "COVERING_SNAPSHOTS = 2", "COVERING_SNAPSHOTS = 1"),
        ),
    ),
    Mutation(
        "checkpoints: what was done for an open task counts as over",
        (Edit("pruning.py", "    return task.state is not TaskState.OPEN", "    return True"),),
    ),
    Mutation(
        "checkpoints: a new owner's hold all that former owners' did",
        (Edit("keeper.py", "return other.sequence <= self.cover.get(other.grant, -1)", "return True"),),
    ),
    Mutation(
        "a new owner looks at no former owner's checkpoints",
        (
            Edit(
                "library.py",
                "        missing = len(owners)\n        found: list[IslandSnapshot] = []",
                "        owners = []\n        missing = len(owners)\n        found: list[IslandSnapshot] = []",
            ),
        ),
    ),
    Mutation(
        "an island keeps its grant when its owner changes",
        (
            Edit(
                "ledger.py",
                "place.owner, place.grant = owner, self._next_grant()",
                "place.owner, place.grant = owner, place.grant or self._next_grant()",
            ),
        ),
    ),
    Mutation(
        "a coordinator that slept sweeps its successor's results",
        (
            Edit("closing.py", "if epoch is None or epoch > self.in_force.epoch:", "if epoch is None:"),
            Edit(
                "closing.py",
                "            if not self.is_open:\n                return\n            # What is being",
                "            # What is being",
            ),
        ),
    ),
    Mutation(
        "members: who is to leave is given islands",
        (Edit("ledger.py", "self.living().items() if not member.is_draining}", "self.living().items()}"),),
    ),
    Mutation(
        "members: who was revoked lives again when it is heard",
        (Edit("ledger.py", "if state is MemberState.ALIVE and entry.key in self.plan.denied:", "if False:"),),
    ),
    Mutation(
        "verdicts: a platform without the problem has the last word on a guess",
        (Edit("verdicts.py", "        if verdict.is_missing:", "        if False:"),),
    ),
    Mutation(
        "verdicts: a guess is a result whatever the second look says",
        (
            Edit(
                "closing.py",
                "if is_unseen or is_same(end.guess.fitness, verdict.fitness):",
                "if True:",
            ),
        ),
    ),
    Mutation(
        "verdicts: when a guess was refuted the worst is the next",
        (
            Edit(
                "reproduction.py",
                "population = Population(program for program in population if program.key not in gone)",
                "population = Population(sorted(program for program in population if program.key not in gone)[-1:])",
            ),
        ),
    ),
    Mutation(
        "merge: what was wished for once is not wished for again",
        (
            Edit(
                "merging.py",
                "return now + self._early >= self._wished_at.get(member, -self._interval) + self._interval",
                "return member not in self._wished_at",
            ),
        ),
    ),
]


def hunt(mutation: Mutation, seeds: int) -> dict[str, Any]:
    """Put a mutation into a copy, and simulate until a seed notices."""
    told: dict[str, Any] = {"mutation": mutation.name}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "distevo"
        shutil.copytree(LIBRARY, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for edit in mutation.edits:
            source = (copy / edit.file).read_text()
            if source.count(edit.old) != 1:
                return told | {"error": f"{edit.file} holds {source.count(edit.old)} times: {edit.old}"}
            (copy / edit.file).write_text(source.replace(edit.old, edit.new))
        command = [sys.executable, "-c", HUNT, str(seeds)]
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": folder}, capture_output=True, text=True)
        if done.returncode != 0:
            return told | {"error": done.stderr[-500:]}
        return told | (json.loads(done.stdout) if done.stdout else {"survived": seeds})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--only", nargs="*", default=[], help="those whose names begin so")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="100 seeds")
    options = parser.parse_args()
    seeds = 100 if options.quick else options.seeds
    chosen = [m for m in MUTATIONS if not options.only or m.name.startswith(tuple(options.only))]
    with ThreadPoolExecutor(options.jobs) as pool:
        told = list(pool.map(lambda mutation: hunt(mutation, seeds), chosen))
    print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
    return 0 if all("seed" in entry for entry in told) else 1


if __name__ == "__main__":
    sys.exit(main())
