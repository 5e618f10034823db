"""A process that swaps one object as fast as it can, and notes what it won.

    racer.py ROOT LOG

It reads the object, replaces it with `{"nonce": its own, "parent": the nonce that it read}`, and appends one line to
LOG for each attempt that did not simply lose: `{"won" or "unknown": new token, "nonce": ..., "parent": ...}`.  One
write a line, so that a SIGKILL leaves a line or none.  Versions are pruned as soon as the store allows.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path

from distevo.errors import Conflict, Unknown
from distevod.store import FolderStore


def main(root: str, log: str) -> None:
    store = FolderStore(Path(root), keep_seconds=0.0)
    lines = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in itertools.count():
        data, token = store.read("cluster")
        mine = {"nonce": f"{os.getpid()}-{number}", "parent": json.loads(data)["nonce"]}
        try:
            outcome = {"won": store.replace("cluster", json.dumps(mine).encode(), token)}
        except Conflict:
            continue
        except Unknown:
            outcome = {"unknown": token + 1}
        os.write(lines, json.dumps(outcome | mine).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
