"""The service: what a daemon does for whoever talks to its control socket."""

from __future__ import annotations

import asyncio
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
from distevo.errors import NotFound
from distevo.names import MAX_ID_BYTES, inbox_command
from distevo.orders import ACCEPTED
from distevo.plan import MemberPlan, RunPlan
from distevo.run import MAX_PRIORITY, Budget, decode_run
from distevo.view import is_ending, run_view, status, task_view, with_result
from distevod import stock
from distevod.inbox import Inbox
from distevod.lanes import in_lane
from distevod.refusal import Refusal
from distevod.results import SUPERSEDED_TRIES, SUPERSEDED_WAIT_SECONDS, Results
from distevod.run_names import RunNames
from distevod.runtime import Runtime
from distevod.submission import Submissions, run_settings


class Service:
    """Requests by name; each takes and returns JSON values. Raises Refusal, or a DistevoError."""

    def __init__(self, runtime: Runtime, nonces: Path) -> None:
        """`nonces`: the file that says which submissions this daemon has taken."""
        self._runtime = runtime
        self._inbox = Inbox(runtime)
        self._names = RunNames(runtime.store, runtime.lanes.reads, runtime.node)
        self._submissions = Submissions(runtime, self._names, self._inbox, nonces)
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
        return await self._submissions.submit(request)

    async def command(self, request: dict[str, Any]) -> dict[str, Any]:
        """Cancel, pause, resume, extend or delete a run, or change its priority; drain, revoke or unrevoke a member."""
        try:
            verb = Verb(str(request.get("verb")))
        except ValueError as error:
            raise Refusal("usage", f"no such command: {request.get('verb')!r}") from error
        if verb.is_about_member:
            return await self._command_about_member(verb, request)
        run = self._names.known(request.get("run"))
        first_grant = self._runtime.node.following.plan.runs[run].first_grant
        budget = None
        if verb is Verb.EXTEND:
            settings = run_settings(request | {"seed": 0}, default_budget=False)
            budget = Budget(settings.cpu_seconds, settings.evaluations)
        priority = request.get("priority")
        if priority is not None and not (type(priority) is int and abs(priority) <= MAX_PRIORITY):
            raise Refusal("usage", f"priority {priority!r}: give a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}")
        command = Command(verb=verb, run=run, first_grant=first_grant, budget=budget, priority=priority)
        await self._carry_out(command, "see distevo-ctl runs")
        if verb is Verb.CANCEL:
            await self._inbox.until(
                lambda: self._still(run, first_grant) is None or not is_ending(self._runtime.node, run)
            )
        plan = self._still(run, first_grant)
        return {"run": run, "state": plan.state.value if plan else "deleted"}

    async def _carry_out(self, command: Command, hint: str) -> None:
        name = inbox_command(f"{time.time_ns() // 10**6:012x}{secrets.token_hex(4)}")
        outcome = await self._inbox.hand_in(name, encode_command(command))
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
            run = node.following.plan.runs[self._names.known(request.get("run"))]
            if wanted is not None and not (isinstance(wanted, str) and wanted in run.tasks):
                raise Refusal("not_found", f"run {request['run']!r} has no task {wanted!r}")
            return run

        for tries_left in reversed(range(SUPERSEDED_TRIES)):
            plan, found = await self._results.of(planned, wanted)
            name = self._names.known(request.get("run"))
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

    def _still(self, name: str, first_grant: int) -> RunPlan | None:
        """A run as the plan in force has it; None once it is deleted, though another may have its name by then."""
        plan = self._runtime.node.following.plan.runs.get(name)
        return plan if plan is not None and plan.first_grant == first_grant else None
