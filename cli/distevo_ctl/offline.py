"""A cluster seen from its store, where no daemon runs: `--store URL`. Nothing is ever written.

It is asked like a daemon (`client.Client`), as far as objects have the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from distevo.checkpoint import decode_checkpoint
from distevo.cluster import ClusterRecord, decode_cluster
from distevo.errors import NotFound, ObjectError, ObjectVersionError
from distevo.events import IslandId
from distevo.keeper import id_of
from distevo.names import CHECKPOINTS, CLUSTER, INBOX, RESULTS, checkpoint_of
from distevo.plan import Plan, decode_plan
from distevo.stored_view import Found, Sight, Stored, islands, renewal_patience, runs, status, task
from distevo.view import Unreadable
from distevo_ctl.exits import CliError, ExitCode
from distevod import stock
from distevod.reading import Reader, attempt, attempt_all
from distevod.results import decode
from distevod.store import open_store

LOOKS = 5
"""Most looks that are made one after another because the plan changed meanwhile, or a checkpoint was covered."""
POLL_SECONDS = 0.25
"""Between two looks at whether the lease was renewed."""

T = TypeVar("T")


def open_reader(url: str) -> Reader:
    """The store at `url`, to be looked at only. Raises CliError (NOT_FOUND) or StoreUnavailable."""
    try:
        return open_store(url, read_only=True)
    except NotFound as error:
        hint = "--store names the folder or bucket that the cluster's daemons were started with"
        raise CliError(ExitCode.NOT_FOUND, str(error), hint) from error


class Offline:
    """The answers of a store. `daemon` is what a client knows of whom it asks."""

    def __init__(self, store: Reader, url: str) -> None:
        self._store = store
        self.daemon = {"store": url}
        self._record: ClusterRecord | Unreadable | None = None
        self._token = 0
        self._read_at = 0.0
        self._moved_at = 0.0
        self._has_moved = False
        self._appeared: dict[str, float | None] | None = None
        """When each checkpoint was first listed; None: it was there from the beginning."""
        self._decoded: dict[str, Any] = {}
        """Objects written once, by name: plan and checkpoints of the last look."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """The answer to a request; fields as a daemon takes them. Raises CliError, StoreError."""
        match do:
            case "status":
                return status(self.look(), self._sight())
            case "islands":
                return {"islands": islands(self.look())}
            case "results":
                return self._results(fields["run"], fields.get("task"))
            case "checkpoints":
                return {"checkpoints": stock.look(self._store, contents=fields["verify"])}
            case _:
                raise CliError(ExitCode.REFUSED, f"a store without a daemon does not answer {do!r}")

    def watch_lease(self, seconds: float | None) -> None:
        """Watch the lease until it is renewed, or for so long; None: for as long as a holder that is well may take."""
        self._read_record()
        self._list_checkpoints()
        if not isinstance(self._record, ClusterRecord) or not self._record.holder:
            return
        end = time.monotonic() + (renewal_patience(self._record) if seconds is None else seconds)
        while not self._has_moved and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, POLL_SECONDS))
            self._read_record()

    @property
    def is_renewed(self) -> bool:
        """Whether the lease was seen to be renewed."""
        return self._has_moved

    def look(self) -> Found:
        """All that is to be seen now, under one plan."""
        for _ in range(LOOKS):
            found = self._look()
            before = self._plan_name()
            self._read_record()
            if self._plan_name() == before and not self._has_vanished(found):
                break
        return found

    # --- one look --------------------------------------------------------------------------------

    def _look(self) -> Found:
        self._read_record()
        unreadable: list[Unreadable] = []
        kept: dict[str, Any] = {}

        def read(name: str, decode: Callable[[bytes], T], *, may_be_gone: bool = False) -> T | None:
            """The object; None, and a line in `unreadable`, if there is none to be had."""
            made = self._decoded[name] if name in self._decoded else attempt(self._store, name, decode)
            kept[name] = made
            if isinstance(made, Unreadable):
                if not (made.is_missing and may_be_gone):
                    unreadable.append(made)
                return None
            found: T = made
            return found

        record = self._record
        if isinstance(record, Unreadable):
            unreadable.append(record)
        pointer = self._plan_name()
        plan: Plan | None = read(pointer, decode_plan) if pointer is not None else None
        stored = []
        for names in self._list_checkpoints():
            lacking: set[IslandId] | None = None
            """Once the newest of this boot is read, the islands that it had last and that nothing read so far has."""
            for name in names:
                if lacking is not None and not lacking:
                    break
                checkpoint = read(name, decode_checkpoint, may_be_gone=lacking is not None)
                if checkpoint is None:
                    continue
                held = {id_of(snapshot) for snapshot in checkpoint.islands}
                # What one object has no room for lies in those that were written before it.
                if lacking is None:
                    lacking = _had_last(plan, f"{checkpoint.member}-{checkpoint.boot}")
                elif not held & lacking:
                    continue
                lacking -= held
                stored.append(Stored(name, checkpoint, self._age(name)))
        # A miss is looked up again: what vanished between list and read was covered by something newer.
        self._decoded = {name: made for name, made in kept.items() if not isinstance(made, Unreadable)}
        return Found(
            record=record if isinstance(record, ClusterRecord) else None,
            plan=plan,
            checkpoints=stored,
            results=self._store.list(RESULTS),
            inbox=self._store.list(INBOX),
            unreadable=unreadable,
        )

    def _has_vanished(self, found: Found) -> bool:
        """Whether a checkpoint could not be read because something newer had covered it by then."""
        return any(entry.is_missing and entry.name.startswith(CHECKPOINTS) for entry in found.unreadable)

    def _age(self, name: str) -> float | None:
        appeared = (self._appeared or {}).get(name)
        return None if appeared is None else time.monotonic() - appeared

    def _read_record(self) -> None:
        try:
            data, token = self._store.read(CLUSTER)
        except NotFound:
            data, token = b"", 0
        now = self._read_at = time.monotonic()
        if self._token == 0:
            self._moved_at = now
        elif token != self._token:
            self._moved_at, self._has_moved = now, True
        if token != self._token or self._record is None:
            self._token = token
            self._record = self._read_as_record(data) if token else None

    @staticmethod
    def _read_as_record(data: bytes) -> ClusterRecord | Unreadable:
        try:
            return decode_cluster(data)
        except ObjectError as error:
            return Unreadable(CLUSTER, str(error), isinstance(error, ObjectVersionError))

    def _plan_name(self) -> str | None:
        return self._record.plan if isinstance(self._record, ClusterRecord) else None

    def _list_checkpoints(self) -> list[list[str]]:
        """The names of each boot's checkpoints, the newest first."""
        owners: dict[str, list[tuple[int, str]]] = {}
        for name in self._store.list(CHECKPOINTS):
            if (made := checkpoint_of(name)) is not None:
                owners.setdefault(made[0], []).append((made[1], name))
        names = [[name for _, name in sorted(found, reverse=True)] for found in owners.values()]
        now = time.monotonic()
        known, first = self._appeared, self._appeared is None
        self._appeared = {
            name: None if first else now if known is None or name not in known else known[name]
            for found in names
            for name in found
        }
        return names

    def _sight(self) -> Sight:
        now = time.monotonic()
        return Sight(self._read_at - self._moved_at, self._has_moved, now - self._read_at)

    # --- results ---------------------------------------------------------------------------------

    def _results(self, name: str, wanted: str | None) -> dict[str, Any]:
        for _ in range(LOOKS):
            found = self.look()
            answer, is_lacking = self._results_of(found, name, wanted)
            if not is_lacking:
                return answer
            self._read_record()
            if self._plan_name() == (found.record.plan if found.record is not None else None):
                break  # else what that plan named may be gone with it
        if wanted is not None and "data" not in answer:
            raise NotFound(f"the object of run {name!r} is not there")
        return answer

    def _results_of(self, found: Found, name: str, wanted: str | None) -> tuple[dict[str, Any], bool]:
        """The answer under one plan, and whether an object that it names is not there."""
        import msgspec

        from distevo.run import decode_run

        _check(found.record.plan if found.record is not None else None, found.unreadable)
        planned = found.plan.runs if found.plan is not None else {}
        if name not in planned:
            known = ", ".join(list(planned)[-5:]) or "none"
            raise CliError(ExitCode.NOT_FOUND, f"there is no run {name!r}; the latest are: {known}")
        plan = planned[name]
        if wanted is not None and wanted not in plan.tasks:
            raise CliError(ExitCode.NOT_FOUND, f"run {name!r} has no task {wanted!r}")
        entries = {key: entry for key, entry in plan.tasks.items() if wanted in {None, key}}
        named = [entry.result for entry in entries.values() if entry.result is not None]
        results = attempt_all(self._store, named, decode)
        answer: dict[str, Any] = {
            "run": next(run for run in runs(found) if run["id"] == name),
            "tasks": [task(found, name, key, results.get(entry.result or "")) for key, entry in entries.items()],
        }
        is_lacking = any(isinstance(result, Unreadable) and result.is_missing for result in results.values())
        if wanted is not None:
            try:
                run = decode_run(self._store.read(plan.object)[0])
            except NotFound:
                return answer, True
            answer["problem"] = msgspec.to_builtins(run.problem)
            answer["data"] = msgspec.json.decode(run.tasks[wanted])
        return answer, is_lacking


def _had_last(plan: Plan | None, owner: str) -> set[IslandId]:
    """The islands of open tasks that an owner has, or was the last to have."""
    return {
        IslandId(name, task, index)
        for name, run in (plan.runs.items() if plan is not None else ())
        for task, entry in run.tasks.items()
        if entry.is_open_in(run.state)
        for index, place in enumerate(entry.islands)
        if (place.owner or "".join(place.former[-1:])) == owner
    }


def check_readable(view: dict[str, Any]) -> None:
    """Raise CliError when the plan of a status from a store cannot be read: nothing else means much then."""
    _check(view["cluster"]["plan"], [Unreadable(**entry) for entry in view["store"]["unreadable"]])


def _check(plan: str | None, unreadable: list[Unreadable]) -> None:
    for entry in unreadable:
        if entry.name in {CLUSTER, plan}:
            code = ExitCode.REFUSED if entry.is_newer else ExitCode.CORRUPT
            raise CliError(code, f"{entry.name} cannot be read: {entry.error}")
