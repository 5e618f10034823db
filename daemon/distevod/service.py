"""The service: what a daemon does for whoever talks to its control socket."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from distevo.command import Command, Verb, encode_command
from distevo.diversity_view import all_islands_view, islands_view
from distevo.errors import Conflict, NotFound, ProblemError, StoreUnavailable, TaskError, Unknown, kind_of
from distevo.events import InboxChanged, OwnSubmission
from distevo.names import MAX_ID_BYTES, inbox_command, inbox_run
from distevo.orders import ACCEPTED, name_taken
from distevo.plan import MemberPlan, RunPlan
from distevo.run import (
    DEFAULT_CPU_SECONDS,
    MAX_PRIORITY,
    Budget,
    ProblemUse,
    Run,
    RunSettings,
    WarmStart,
    decode_run,
    encode_run,
)
from distevo.topology import check
from distevo.view import is_ending, run_view, status, task_view, with_result
from distevod import stock
from distevod.earlier import counted, misfit, warm_start_from
from distevod.lanes import in_lane
from distevod.logs import fields
from distevod.problems.check_process import CheckedProblem, check_in_process, memory_limit, step_limit
from distevod.problems.loader import BUILT_IN
from distevod.results import SUPERSEDED_TRIES, SUPERSEDED_WAIT_SECONDS, Results
from distevod.run_names import RunNames, is_run_name
from distevod.runtime import Runtime
from distevod.threads import in_daemon_thread

TAKE_IN_SECONDS = 10.0
"""How long a request to the coordinator waits for the plan to hold what it asked for."""
FOLLOWER_SECONDS = 30.0
"""The same where another coordinates: mail there, its look into the inbox, and this platform's look at the plan."""
NAMES = 5
"""Tries to name a run that was given none, while others submit at the same moment."""
TRIALS_AT_ONCE = 4
"""Problems that are tried at a time: each takes a process, and a core as long as it is not done."""
WRITES = 5
"""Tries to write what somebody has submitted, while nobody knows whether it was."""
WRITE_PAUSE_SECONDS = 0.5
"""After the first of them; twice as long after each further one."""

log = logging.getLogger("distevod.service")

CHECK_FIELDS = ("reference", "source", "spec", "data", "csv", "made", "name")
SETTING_FIELDS = (
    "seed", "islands_per_task", "cpu_seconds", "evaluations", "population_size", "migration", "restart_after", "rungs",
    "priority",
)  # fmt: skip


MOST_INHERITED = 1000
"""Programs of a task that a run may begin with: every coordinator makes their keys anew when it takes the run in."""
MOST_OTHERS = 1000
"""Programs of other tasks that a run may begin with."""


class Refusal(Exception):  # noqa: N818 - the word of the exit codes
    """A request that cannot be granted. `kind` is one of the names in the table of exit codes."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Service:
    """Requests by name; each takes and returns JSON values. Raises Refusal, or a DistevoError."""

    def __init__(self, runtime: Runtime, submissions: Path) -> None:
        self._runtime, self._submissions = runtime, submissions
        settings = runtime.settings
        self._trial_mb = memory_limit(settings.memory_mb, settings.workers)
        self._evaluation_timeout_s = settings.evaluation_timeout_seconds
        self._trials = asyncio.Semaphore(TRIALS_AT_ONCE)
        self._names = RunNames(runtime.store, runtime.lanes.reads, runtime.node)
        self._results = Results(runtime.store, runtime.lanes.looks)
        self.requests: dict[str, Callable[[dict[str, Any]], Any]] = {
            "ping": self.ping,
            "status": self.status,
            "submit": self.submit,
            "command": self.command,
            "member": self.member,
            "results": self.results,
            "islands": self.islands,
            "checkpoints": self.checkpoints,
            "prune": self.prune,
            "stop": self.stop,
        }

    async def ping(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Who answers."""
        runtime = self._runtime
        return {"id": runtime.settings.id, "boot": runtime.boot, "pid": os.getpid(), "store": runtime.settings.store}

    async def status(self, _request: dict[str, Any]) -> dict[str, Any]:
        """The whole view, and the workers' process ids by slot."""
        view = status(self._runtime.node, self._runtime.now(), self._runtime.latencies())
        view["workers"] = {str(slot): pid for slot, pid in self._runtime.pool.pids().items()}
        view["checkpoints"] = {
            "saved": self._runtime.checkpoints.saved,
            "bytes": self._runtime.checkpoints.bytes_saved,
            "seconds": round(self._runtime.checkpoints.seconds, 4),
        }
        view["metrics"] = self._runtime.metrics
        return view

    async def stop(self, _request: dict[str, Any]) -> dict[str, Any]:
        """End cleanly; the answer is sent before that begins."""
        asyncio.get_running_loop().call_soon(self._runtime.stop)
        return {"pid": os.getpid()}

    # --- runs ------------------------------------------------------------------------------------

    async def submit(self, request: dict[str, Any]) -> dict[str, Any]:
        """Check a problem and its tasks, and put the run into the store; it is durable when this returns."""
        given = request.get("run")
        if given is not None and not (isinstance(given, str) and is_run_name(given)):
            raise Refusal("usage", f"run name {given!r}: 1 to 64 letters, digits, '.', '_' and '-', no mark first")
        await self._refuse_known(given)
        self._refuse_foreign(request.get("reference"))
        # Of a task file null may be the whole content; of the others it is nothing.
        has = {key for key in CHECK_FIELDS if request.get(key) is not None} | ({"data"} & request.keys())
        checked = await self._check({key: request[key] for key in CHECK_FIELDS if key in has})
        settings = self._settings(request)
        warm_start = await self._warm_start(request, checked, settings)
        await self._refuse_known(given)
        run = Run(
            name=given or await self._names.free(checked.name),
            nonce=secrets.token_hex(8),
            problem=ProblemUse(checked.reference, checked.digest, checked.name, checked.version, checked.source),
            settings=settings,
            tasks=checked.tasks,
            submitted_through=f"{self._runtime.settings.id}-{self._runtime.boot}",
            warm_start=warm_start,
        )
        for tries_left in reversed(range(1 if given else NAMES)):
            outcome = await self._submit(run)
            if outcome != name_taken(run.name) or not tries_left:
                break
            # Somebody elsewhere was first with this name, which nobody here has asked for.
            # With a nonce of its own: it may get the same name again, if the other run is gone by now.
            name = await self._names.free(checked.name)
            run = msgspec.structs.replace(run, name=name, nonce=secrets.token_hex(8))
        if outcome not in {None, ACCEPTED}:
            raise Refusal("refused", outcome)
        plan = self._runtime.node.following.plan.runs.get(run.name)
        if plan is not None and plan.object != inbox_run(run.name, run.nonce):
            plan = None  # Another's, of whose name nothing was known here.
        return {
            "run": run.name,
            "tasks": len(run.tasks),
            "problem": f"{checked.name} {checked.version}",
            "seed": settings.seed,
            "state": plan.state.value if plan else "queued",
            "note": plan.note if plan else "it is in the store, and is run when the coordinator has taken it in",
            "begins_with": None if run.warm_start is None else counted(checked.name, run.warm_start),
        }

    async def _submit(self, run: Run) -> str | None:
        """Hand a run in; as `_hand_in`. Its name is taken here from now on, and everywhere once its object is there."""
        with self._names.submitting(run):
            await in_lane(self._runtime.lanes.reads, self._remember, run.nonce)
            self._runtime.feed(OwnSubmission(run.nonce))
            return await self._hand_in(inbox_run(run.name, run.nonce), encode_run(run))

    async def _warm_start(
        self, request: dict[str, Any], checked: CheckedProblem, settings: RunSettings
    ) -> WarmStart | None:
        """What the run begins with, from the results of an earlier one as the plan in force has them."""
        others = request.get("from_others") or 0
        if request.get("begin_from") is None:
            return None
        if type(others) is not int or not 0 <= others <= MOST_OTHERS:
            raise Refusal("usage", f"from_others is {others!r}: give a count, at most {MOST_OTHERS}")
        source = self._run({"run": request["begin_from"]})
        store, most = self._runtime.store, min(settings.population_size, MOST_INHERITED)
        for tries_left in reversed(range(SUPERSEDED_TRIES)):
            plan = self._runtime.node.following.plan.runs.get(source)
            if plan is None:
                raise Refusal("refused", f"{source} was deleted meanwhile")
            refusal = misfit(source, plan, checked.name, checked.tasks, others)
            if refusal is not None:
                raise Refusal("refused", refusal)
            read = partial(warm_start_from, source, plan, store, checked.tasks, checked.digest, most, others)
            try:
                warm = await in_lane(self._runtime.lanes.looks, read)
                break
            except NotFound as error:
                if not tries_left:
                    raise Refusal("refused", f"a result of {source} is gone: {error}") from error
                # It may have been one of a lower budget; here the plan that names another comes a moment later.
                await asyncio.sleep(SUPERSEDED_WAIT_SECONDS)
        if not warm.programs and not warm.others:
            raise Refusal("refused", f"the results of {source} hold no program that these tasks could begin with")
        if warm.version != checked.version:
            log.warning(
                "a run begins with programs of another version of its problem, which are evaluated anew",
                extra=fields(source=source, version=warm.version, now=checked.version),
            )
        return warm

    async def command(self, request: dict[str, Any]) -> dict[str, Any]:
        """Cancel, pause, resume, extend or delete a run, or change its priority; drain, revoke or unrevoke a member."""
        try:
            verb = Verb(str(request.get("verb")))
        except ValueError as error:
            raise Refusal("usage", f"no such command: {request.get('verb')!r}") from error
        if verb.is_about_member:
            return await self._command_about_member(verb, request)
        run = self._run(request)
        first_grant = self._runtime.node.following.plan.runs[run].first_grant
        budget = None
        if verb is Verb.EXTEND:
            settings = self._settings(request | {"seed": 0}, default_budget=False)
            budget = Budget(settings.cpu_seconds, settings.evaluations)
        priority = request.get("priority")
        if priority is not None and not (type(priority) is int and abs(priority) <= MAX_PRIORITY):
            raise Refusal("usage", f"priority {priority!r}: give a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}")
        command = Command(verb=verb, run=run, first_grant=first_grant, budget=budget, priority=priority)
        await self._carry_out(command, "see distevo-ctl runs")
        if verb is Verb.CANCEL:
            await self._until(lambda: self._still(run, first_grant) is None or not is_ending(self._runtime.node, run))
        plan = self._still(run, first_grant)
        return {"run": run, "state": plan.state.value if plan else "deleted"}

    async def _carry_out(self, command: Command, hint: str) -> None:
        name = inbox_command(f"{time.time_ns() // 10**6:012x}{secrets.token_hex(4)}")
        outcome = await self._hand_in(name, encode_command(command))
        if outcome is None:
            raise Refusal(
                "timed_out",
                f"the coordinator has not carried out {command.verb} yet; it is in the store, and will be done: {hint}",
            )
        if outcome != ACCEPTED:
            raise Refusal("refused", outcome)

    async def results(self, request: dict[str, Any]) -> dict[str, Any]:
        """The results of a run, best so far where a task is not done; with `task`, that one and its data."""
        node, wanted = self._runtime.node, request.get("task")

        def planned() -> RunPlan:
            run = node.following.plan.runs[self._run(request)]
            if wanted is not None and not (isinstance(wanted, str) and wanted in run.tasks):
                raise Refusal("not_found", f"run {request['run']!r} has no task {wanted!r}")
            return run

        for tries_left in reversed(range(SUPERSEDED_TRIES)):
            plan, found = await self._results.of(planned, wanted)
            name = self._run(request)
            answer = {
                "run": run_view(node, name, self._runtime.now()),
                "tasks": [
                    with_result(task_view(node, name, task), found.get(entry.result or ""), plan.problem)
                    for task, entry in plan.tasks.items()
                    if wanted in {None, task}
                ],
            }
            if wanted is None:
                break
            try:
                run = decode_run((await in_lane(self._runtime.lanes.reads, self._runtime.store.read, plan.object))[0])
            except NotFound:
                if not tries_left:
                    raise
                if planned().object == plan.object:
                    # It may be deleted; here the plan that says so comes a moment later.
                    await asyncio.sleep(SUPERSEDED_WAIT_SECONDS)
                continue
            answer["problem"] = msgspec.to_builtins(run.problem)
            answer["data"] = msgspec.json.decode(run.tasks[wanted])
            break
        return answer

    async def islands(self, request: dict[str, Any]) -> dict[str, Any]:
        """The islands in hand, with the diversity of each; of the whole cluster, if `everywhere` is true."""
        view = all_islands_view if request.get("everywhere") is True else islands_view
        return {"islands": view(self._runtime.node)}

    # --- members ---------------------------------------------------------------------------------

    async def _command_about_member(self, verb: Verb, request: dict[str, Any]) -> dict[str, Any]:
        name, member = str(request.get("member")), self._member(request)
        if member is None and verb is not Verb.UNREVOKE:  # which may name a key whose owner left the plan long ago
            known = ", ".join(self._runtime.node.following.plan.members) or "none"
            raise Refusal("not_found", f"there is no platform {name!r}; there are: {known}")
        if len(name) > MAX_ID_BYTES:
            # As an object that no coordinator can read it would lie in the inbox, and in all plans, for ever.
            raise Refusal("not_found", f"{name[:MAX_ID_BYTES]!r}... is longer than any platform's id or key")
        boot = member.boot if member is not None and verb is Verb.DRAIN else ""
        await self._carry_out(Command(verb=verb, member=name, boot=boot), "see distevo-ctl status")
        return await self.member(request)

    async def member(self, request: dict[str, Any]) -> dict[str, Any]:
        """A member as the plan in force shows it: what `drain` waits for. `state` is null where it has no such member.

        `owned`: islands that it has; `waiting`: that it had, and that nobody has now.
        """
        plan, name, member = self._runtime.node.following.plan, str(request.get("member")), self._member(request)
        if member is None:
            return {"member": name, "state": None}
        owner = member.owner(name)
        return {
            "member": name,
            "boot": member.boot,
            "state": member.state.value,
            "is_draining": member.is_draining,
            "is_revoked": member.key in plan.denied,
            "owned": plan.owned(owner),
            "waiting": plan.waiting_after(owner),
        }

    def _member(self, request: dict[str, Any]) -> MemberPlan | None:
        return self._runtime.node.following.plan.members.get(str(request.get("member")))

    # --- checkpoints -----------------------------------------------------------------------------

    async def checkpoints(self, request: dict[str, Any]) -> dict[str, Any]:
        """All checkpoints in the store, read and verified; with what is in them if `verify` is true."""
        look = partial(stock.look, contents=bool(request.get("verify")))
        return {"checkpoints": await in_lane(self._runtime.lanes.looks, look, self._runtime.store)}

    async def prune(self, request: dict[str, Any]) -> dict[str, Any]:
        """All checkpoints, with whether they go, and why; they do if `is_meant` is true."""
        store = self._runtime.store
        delete = store.delete if request.get("is_meant") is True else None
        return {"checkpoints": await in_lane(self._runtime.lanes.looks, stock.prune, store, delete)}

    # --- helpers ---------------------------------------------------------------------------------

    async def _check(self, request: dict[str, Any]) -> CheckedProblem:
        try:
            async with self._trials:
                request |= {"evaluation_timeout_s": self._evaluation_timeout_s}
                step_s = step_limit(self._evaluation_timeout_s)
                return await in_daemon_thread(check_in_process, request, step_s, self._trial_mb)
        except (ProblemError, TaskError) as error:
            raise Refusal("refused", str(error)) from error
        except OSError as error:
            what = f"no process can be started in which to try the problem: {error.strerror}"
            raise Refusal("refused", f"{what}; submit it again when this platform has room for one") from error

    @staticmethod
    def _settings(request: dict[str, Any], default_budget: bool = True) -> RunSettings:
        fields = {key: request[key] for key in SETTING_FIELDS if request.get(key) is not None}
        fields.setdefault("seed", secrets.randbits(32))
        if default_budget and "cpu_seconds" not in fields and "evaluations" not in fields:
            fields["cpu_seconds"] = DEFAULT_CPU_SECONDS
        try:
            settings = msgspec.convert(fields, RunSettings)
            check(settings.migration, settings.islands_per_task)
        except ValueError as error:  # msgspec.ValidationError is one
            raise Refusal("usage", str(error)) from error
        return settings

    def _run(self, request: dict[str, Any]) -> str:
        name = request.get("run")
        runs = self._runtime.node.following.plan.runs
        if not isinstance(name, str) or name not in runs:
            known = ", ".join(list(runs)[-5:]) or "none"
            raise Refusal("not_found", f"there is no run {name!r}; the latest are: {known}")
        return name

    def _still(self, name: str, first_grant: int) -> RunPlan | None:
        """A run as the plan in force has it; None once it is deleted, though another may have its name by then."""
        plan = self._runtime.node.following.plan.runs.get(name)
        return plan if plan is not None and plan.first_grant == first_grant else None

    async def _refuse_known(self, name: str | None) -> None:
        if name is not None and await self._names.is_taken(name):
            raise Refusal("refused", name_taken(name))

    def _refuse_foreign(self, reference: object) -> None:
        if self._runtime.settings.allow_problems == "none" and str(reference) not in BUILT_IN:
            raise Refusal(
                "refused",
                f"{reference!r} does not ship with distevo, and this platform was started with --allow-problems none: "
                f"it runs {', '.join(sorted(BUILT_IN))} only",
            )

    def _remember(self, nonce: str) -> None:
        """Write down that this daemon took the submission: what `--allow-problems own` means after a restart."""
        try:
            with self._submissions.open("a") as file:
                # A line of its own even behind one that a full disk has cut.
                file.write(f"\n{nonce}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write {self._submissions}: {error.strerror}; "
                "make room there, or the folder writable, and submit again"
            ) from error

    async def _hand_in(self, name: str, data: bytes) -> str | None:
        """Put an object into the inbox and wait until the plan has taken it in; None if that takes too long."""
        await self._write_once(name, data)
        node = self._runtime.node
        await self._until(lambda: node.outcome(name) is not None, begin=lambda: self._runtime.feed(InboxChanged()))
        return node.outcome(name)

    async def _write_once(self, name: str, data: bytes) -> None:
        """Create an object of a name that nobody else makes. What may have been written is written again: then it
        exists, and that was ours. Raises Refusal where it exists from before, StoreError when no try succeeds."""
        for attempt in range(WRITES):
            try:
                await in_lane(self._runtime.lanes.reads, self._runtime.store.create, name, data)
            except Conflict as error:
                if attempt == 0:
                    raise Refusal("refused", str(error)) from error
                return
            except Unknown:
                if attempt == WRITES - 1:
                    raise
                await asyncio.sleep(WRITE_PAUSE_SECONDS * 2**attempt)
            else:
                return

    async def _until(self, condition: Callable[[], bool], begin: Callable[[], None] = lambda: None) -> None:
        """Wait until this is true after some event, or for as long as is usual here."""
        seconds = TAKE_IN_SECONDS if self._runtime.node.lease.is_held else FOLLOWER_SECONDS
        happened = asyncio.Event()

        def watch() -> None:
            if condition():
                happened.set()

        self._runtime.watchers.append(watch)
        try:
            begin()
            watch()
            async with asyncio.timeout(seconds):
                await happened.wait()
        except TimeoutError:
            log.warning("a request waited long", extra=fields(seconds=seconds))
        finally:
            self._runtime.watchers.remove(watch)


def kind_of_any(error: Exception) -> str:
    """The name of an error in the table of exit codes."""
    return error.kind if isinstance(error, Refusal) else kind_of(error)
