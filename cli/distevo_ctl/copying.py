"""Copying a cluster into another store, where it goes on under a new id.

The objects go byte for byte, names and all: a plan names owners, and owners' names are those of their checkpoints. Two
are made anew: the plan, in which nobody of the old cluster is there any more, and, last of all, `cluster`. Until that
one is there, no daemon takes what was copied for a cluster, and no other cluster is copied on top of it.

The cluster may live while it is copied. A plan goes with the checkpoints that were listed before it was read, as long
as no island in it changed hands since the plan before: what one of these checkpoints does not hold then, no owner of
an earlier grant can have left behind.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from distevo import checkpoint, sealed
from distevo.checkpoint import decode_checkpoint
from distevo.cluster import ClusterRecord, decode_cluster, encode_cluster
from distevo.errors import CheckpointError, CheckpointVersionError, Conflict, NotFound, Unknown
from distevo.keeper import marks_of
from distevo.names import (
    CHECKPOINTS,
    CLUSTER,
    INBOX_COMMANDS,
    INBOX_RUNS,
    checkpoint_of,
    plan_name,
    quote,
)
from distevo.outbox import DAMAGED_READS
from distevo.plan import MemberState, Plan, decode_plan, encode_plan
from distevo.pruning import is_over
from distevo_ctl.exits import CliError, ExitCode
from distevod.reading import Reader
from distevod.store import Store
from distevod.store.base import is_mutable

AT_ONCE = 8
"""Objects that are copied at a time."""
ROUNDS = 5
"""Most tries to see a plan under which no island changed hands while its checkpoints were copied."""
TRIES = 10
"""Of a write of which nobody knows whether it happened."""
RETRY_SECONDS = 1.0

_ELSEWHERE = "give an empty folder, or a prefix of the bucket that has nothing yet"

Progress = Callable[[int, int], None]
"""(objects that are through, objects of this part)."""


@dataclass
class Copied:
    """What was done."""

    origin: str
    """Id of the cluster that was copied."""
    cluster: str
    """Id of the one that came of it."""
    plan: str = ""
    runs: int = 0
    open_tasks: int = 0
    objects: int = 0
    """Written now."""
    bytes: int = 0
    known: int = 0
    """There already, from an earlier try."""
    bad: dict[str, str] = field(default_factory=dict)
    """Objects that are damaged or missing, and what is wrong with them. Those that are damaged were not copied."""


def copy_cluster(source: Reader, target: Store, progress: Progress = lambda _done, _all: None) -> Copied:
    """Copy the cluster; what an earlier try has copied is not copied again.

    Raises CliError: NOT_FOUND (there is no cluster), REFUSED (the target is not empty), TIMED_OUT (the cluster changes
    faster than it can be copied); StoreError, ObjectError.
    """
    return _Copying(source, target, progress).run()


class _Copying:
    def __init__(self, source: Reader, target: Store, progress: Progress) -> None:
        self._source, self._target, self._progress = source, target, progress
        self._record, plan = self._read_plan()
        self._first = plan
        self._done = Copied(self._record.cluster, secrets.token_hex(8))
        self._there: set[str] = set()
        """Names that the target has."""

    def run(self) -> Copied:
        """Everything, in the order in which it has to be."""
        self._claim(plan_name(0, 0, quote(self._record.cluster)))
        plan = self._copy()
        self._put_in_force(plan)
        return self._done

    # --- the source ------------------------------------------------------------------------------

    def _read_plan(self) -> tuple[ClusterRecord, Plan]:
        """The record as it is now, and the plan that it names."""
        for _ in range(ROUNDS):
            try:
                record = decode_cluster(self._source.read(CLUSTER)[0])
            except NotFound:
                raise CliError(ExitCode.NOT_FOUND, "there is no cluster in the store to copy from") from None
            if record.plan is None:
                raise CliError(ExitCode.REFUSED, "the cluster has no plan yet: there is nothing to copy")
            try:
                return record, decode_plan(self._source.read(record.plan)[0])
            except NotFound:
                continue  # Superseded for so long that it is pruned: the pointer has moved on.
        raise CliError(ExitCode.CORRUPT, f"the plan {record.plan} is missing from the store to copy from")

    def _copy(self) -> Plan:
        """Copy what a plan needs; returns that plan."""
        plan, missing = self._first, set[str]()
        for _ in range(ROUNDS):
            self._copy_checkpoints(plan)
            # Before the plan: what is cleared away by then is in the plan, or missing, and so looked for once more.
            waiting = [name for prefix in (INBOX_RUNS, INBOX_COMMANDS) for name in self._source.list(prefix)]
            self._record, newer = self._read_plan()
            before, missing = missing, self._copy_rest(newer, waiting)
            # What is missing twice is not one that a later plan has no need of.
            if _is_settled(plan, newer) and missing <= before:
                self._done.bad |= dict.fromkeys(sorted(missing), "it is not there")
                return newer
            plan = newer
        raise CliError(
            ExitCode.TIMED_OUT,
            "islands change hands faster than they can be copied",
            "stop the daemons of the cluster, and copy it again",
        )

    def _copy_checkpoints(self, plan: Plan) -> None:
        """All checkpoints that are there at some moment from now on, as far as they hold what is open in a plan."""

        def is_wanted(name: str, data: bytes) -> bool:
            try:
                held = decode_checkpoint(data).islands
            except CheckpointVersionError:
                return True  # No damage: a newer distevo goes on from it.
            except CheckpointError as error:
                self._done.bad[name] = str(error)
                return False
            return not all(is_over(plan, mark.island, mark.grant) for mark in marks_of(held))

        for _ in range(ROUNDS):
            names = [name for name in self._source.list(CHECKPOINTS) if checkpoint_of(name) is not None]
            # One that is gone by now was covered by one that this listing may not have.
            if not self._transfer(names, checkpoint.is_whole, is_wanted):
                return
        raise CliError(ExitCode.TIMED_OUT, "checkpoints come and go faster than they can be copied")

    def _copy_rest(self, plan: Plan, waiting: list[str]) -> set[str]:
        """Runs, results, and what the plan does not know of what waits in the inbox; the names of what is missing."""
        names = [run.object for run in plan.runs.values()]
        names += [task.result for run in plan.runs.values() for task in run.tasks.values() if task.result is not None]
        known = plan.handled.keys() | set(names)
        names += [name for name in waiting if name not in known]

        def is_wanted(name: str, data: bytes) -> bool:
            if sealed.is_whole(data):
                return True
            self._done.bad[name] = "it is damaged: its digest does not match"
            return False

        return self._transfer(names, sealed.is_whole, is_wanted)

    # --- the target ------------------------------------------------------------------------------

    def _claim(self, mark: str) -> None:
        """See that nothing is there but what an earlier try has left, which the object with this name shows."""
        self._there = set(self._target.list(""))
        is_ours = mark in self._there
        if CLUSTER in self._there:
            what = "it is a copy of this one, which is complete" if is_ours else "nothing is copied on top of it"
            raise CliError(ExitCode.REFUSED, f"there is a cluster already in the store to copy to: {what}", _ELSEWHERE)
        others = [name for name in sorted(self._there) if not is_mutable(name)]
        if others and not is_ours:
            what = f"there is {others[0]}, and no cluster that it belongs to"
            raise CliError(ExitCode.REFUSED, f"the store to copy to is not empty: {what}", _ELSEWHERE)
        if is_ours:
            self._done.known = len(others) - 1
        else:
            # A store with plans and no cluster is one in which no daemon begins anew.
            self._create(mark, encode_plan(Plan(epoch=0, version=0)))

    def _put_in_force(self, plan: Plan) -> None:
        """Make the plan in which all are gone, then the object that makes a cluster of everything."""
        self._done.runs = len(plan.runs)
        unfinished = [run for run in plan.runs.values() if not run.state.is_over]
        self._done.open_tasks = sum(task.is_open_in(run.state) for run in unfinished for task in run.tasks.values())
        for member in plan.members.values():
            # Nobody waits for it then, and whoever takes its id has another key.
            member.state, member.gone_s = MemberState.LEFT, 0
        nonce = secrets.token_hex(8)
        plan.epoch, plan.version = self._record.epoch, self._record.plan_version + 1
        self._done.plan = plan_name(plan.epoch, plan.version, nonce)
        self._create(self._done.plan, encode_plan(plan))
        new = {"cluster": self._done.cluster, "plan": self._done.plan, "plan_version": plan.version, "nonce": nonce}
        record = msgspec.structs.replace(self._record, holder="", boot="", **new)
        try:
            self._create(CLUSTER, encode_cluster(record))
        except Conflict:
            raise CliError(
                ExitCode.REFUSED, "somebody has made a cluster in the store to copy to meanwhile", _ELSEWHERE
            ) from None

    def _transfer(
        self, names: Iterable[str], is_whole: Callable[[bytes], bool], is_wanted: Callable[[str, bytes], bool]
    ) -> set[str]:
        """Copy these objects, as far as they are wanted; the names of those that are not there (any more)."""
        fresh = [name for name in names if name not in self._there and name not in self._done.bad]

        def copy(name: str) -> tuple[str, int | None]:
            """(name, bytes written), None for what is not there."""
            try:
                data = self._read(name, is_whole)
            except NotFound:
                return name, None
            if not is_wanted(name, data):
                return name, 0
            self._create(name, data)
            return name, len(data)

        missing = set()
        executor = ThreadPoolExecutor(AT_ONCE)
        try:
            for through, (name, size) in enumerate(executor.map(copy, fresh), 1):
                self._progress(through, len(fresh))
                if size is None:
                    missing.add(name)
                elif size:
                    self._done.objects += 1
                    self._done.bytes += size
        finally:
            executor.shutdown(cancel_futures=True)
        return missing

    def _read(self, name: str, is_whole: Callable[[bytes], bool]) -> bytes:
        """The bytes; again, where the way may have damaged them."""
        for _ in range(DAMAGED_READS):
            data = self._source.read(name)[0]
            if is_whole(data):
                break
        return data

    def _create(self, name: str, data: bytes) -> None:
        """Make an object; one that is there with the same bytes is fine. Raises Conflict, StoreError."""
        for left in reversed(range(TRIES)):
            try:
                self._target.create(name, data)
                break
            except Conflict:
                if self._target.read(name)[0] != data:
                    raise
                break
            except Unknown:
                if not left:
                    raise
                time.sleep(RETRY_SECONDS)
        self._there.add(name)


def _is_settled(before: Plan, after: Plan) -> bool:
    """Whether no island that is open in both plans, and was begun, has changed hands."""
    for name, run in after.runs.items():
        old = before.runs.get(name)
        if old is None or old.first_grant != run.first_grant:
            continue
        for key, task in run.tasks.items():
            if not (task.is_open_in(run.state) and old.tasks[key].is_open_in(old.state)):
                continue
            places = zip(old.tasks[key].islands, task.islands, strict=True)
            if any(was.grant != now.grant and not was.is_nobodys for was, now in places):
                return False
    return True
