"""The stock of checkpoints in a store: what is there, whether it is sound, and what may go."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from distevo.checkpoint import Checkpoint, decode_checkpoint
from distevo.cluster import decode_cluster
from distevo.errors import CheckpointError, CheckpointVersionError, NotFound
from distevo.keeper import Mark, marks_of
from distevo.names import CHECKPOINTS, CLUSTER
from distevo.plan import Plan, decode_plan
from distevo.pruning import judge
from distevod.reading import AT_ONCE, Reader

NEWER = CheckpointVersionError.__name__
"""The `kind` of a checkpoint that is undamaged, and of a later format."""
TRIES = 5
"""Of reading a plan that is superseded, and pruned, meanwhile."""


def look(store: Reader, *, contents: bool = False) -> list[dict[str, Any]]:
    """All checkpoints, read and verified; with their `contents`, if these are wanted. Raises StoreError."""
    return [entry for entry, _ in _read_all(store, contents)]


def prune(store: Reader, delete: Callable[[str], None] | None) -> list[dict[str, Any]]:
    """All checkpoints, each with whether it `goes` and the `reason`. Those that go are deleted, if `delete` is given.

    Raises NotFound where there is no plan to judge by, ObjectError, StoreError.
    """
    plan = _plan(store)  # Before the checkpoints: `judge` says why.
    found = {entry["name"]: (entry, marks) for entry, marks in _read_all(store, False)}
    verdicts = judge(plan, {name: marks for name, (_, marks) in found.items() if marks is not None})
    for name, (entry, marks) in found.items():
        if marks is None:
            entry |= {"goes": False, "reason": "is of a newer distevo" if entry["kind"] == NEWER else "is damaged"}
        else:
            entry |= verdicts[name]._asdict()
    if delete is not None:
        with ThreadPoolExecutor(AT_ONCE) as executor:
            list(executor.map(delete, [name for name, (entry, _) in found.items() if entry["goes"]]))
    return [entry for entry, _ in found.values()]


def _plan(store: Reader) -> Plan:
    for left in reversed(range(TRIES)):
        record = decode_cluster(store.read(CLUSTER)[0])
        if record.plan is None:
            break
        try:
            return decode_plan(store.read(record.plan)[0])
        except NotFound:
            if not left:
                raise
    raise NotFound("the cluster has no plan yet")


def _read_all(store: Reader, contents: bool) -> list[tuple[dict[str, Any], list[Mark] | None]]:
    """What is told of each, and what it holds; None where that cannot be read."""

    def read(name: str) -> tuple[dict[str, Any], list[Mark] | None] | None:
        try:
            data, _ = store.read(name)
        except NotFound:
            return None  # Deleted between listing and reading, as covered ones are.
        entry: dict[str, Any] = {"name": name, "bytes": len(data)}
        try:
            checkpoint = decode_checkpoint(data)
        except CheckpointError as error:
            return entry | {"ok": False, "error": str(error), "kind": type(error).__name__}, None
        entry |= {"ok": True, "islands": len(checkpoint.islands), "sequence": checkpoint.sequence}
        return entry | (_contents(checkpoint) if contents else {}), marks_of(checkpoint.islands)

    with ThreadPoolExecutor(AT_ONCE) as executor:
        return [found for found in executor.map(read, store.list(CHECKPOINTS)) if found is not None]


def _contents(checkpoint: Checkpoint) -> dict[str, Any]:
    islands = [
        {
            "run": island.run,
            "task": island.task,
            "island": island.island,
            "grant": island.grant,
            "generation": island.generation,
            "evaluations": island.counters.evaluations,
        }
        for island in checkpoint.islands
    ]
    return {"contents": islands, "resource_usage": checkpoint.resource_usage}
