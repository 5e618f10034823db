"""Submissions: from a problem that somebody hands over to a run in the store, where it is durable."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from distevo.errors import NotFound, ProblemError, StoreUnavailable, TaskError
from distevo.events import OwnSubmission
from distevo.names import inbox_run
from distevo.orders import ACCEPTED, name_taken
from distevo.run import DEFAULT_CPU_SECONDS, ProblemUse, Run, RunSettings, WarmStart, encode_run
from distevo.topology import check
from distevod.earlier import counted, misfit, warm_start_from
from distevod.inbox import Inbox
from distevod.lanes import in_lane
from distevod.logs import fields
from distevod.problems.check_process import CheckedProblem, check_in_process, memory_limit, step_limit
from distevod.problems.loader import BUILT_IN
from distevod.refusal import Refusal
from distevod.results import SUPERSEDED_TRIES, SUPERSEDED_WAIT_SECONDS
from distevod.run_names import RunNames, is_run_name
from distevod.runtime import Runtime
from distevod.threads import in_daemon_thread

NAMES = 5
"""Tries to name a run that was given none, while others submit at the same moment."""
TRIALS_AT_ONCE = 4
"""Problems that are tried at a time: each takes a process, and a core as long as it is not done."""
MOST_INHERITED = 1000
"""Programs of a task that a run may begin with: every coordinator makes their keys anew when it takes the run in."""
MOST_OTHERS = 1000
"""Programs of other tasks that a run may begin with."""

CHECK_FIELDS = ("reference", "source", "spec", "data", "csv", "made", "name")
SETTING_FIELDS = (
    "seed", "islands_per_task", "cpu_seconds", "evaluations", "population_size", "migration", "restart_after", "rungs",
    "priority",
)  # fmt: skip

log = logging.getLogger("distevod.service")


class Submissions:
    """Checks a problem and its tasks, finds the run a name, and hands it in."""

    def __init__(self, runtime: Runtime, names: RunNames, inbox: Inbox, nonces: Path) -> None:
        """`nonces`: the file that says what this daemon has taken."""
        self._runtime, self._names, self._inbox, self._nonces = runtime, names, inbox, nonces
        settings = runtime.settings
        self._trial_mb = memory_limit(settings.memory_mb, settings.workers)
        self._evaluation_timeout_s = settings.evaluation_timeout_seconds
        self._trials = asyncio.Semaphore(TRIALS_AT_ONCE)

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
        settings = run_settings(request)
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
        """As `Inbox.hand_in`. Its name is taken here from now on, and everywhere once its object is there."""
        with self._names.submitting(run):
            await in_lane(self._runtime.lanes.reads, self._remember, run.nonce)
            self._runtime.feed(OwnSubmission(run.nonce))
            return await self._inbox.hand_in(inbox_run(run.name, run.nonce), encode_run(run))

    async def _warm_start(
        self, request: dict[str, Any], checked: CheckedProblem, settings: RunSettings
    ) -> WarmStart | None:
        """What the run begins with, from the results of an earlier one as the plan in force has them."""
        others = request.get("from_others") or 0
        if request.get("begin_from") is None:
            return None
        if type(others) is not int or not 0 <= others <= MOST_OTHERS:
            raise Refusal("usage", f"from_others is {others!r}: give a count, at most {MOST_OTHERS}")
        source = self._names.known(request["begin_from"])
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
            with self._nonces.open("a") as file:
                # A line of its own even behind one that a full disk has cut.
                file.write(f"\n{nonce}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write {self._nonces}: {error.strerror}; "
                "make room there, or the folder writable, and submit again"
            ) from error


def run_settings(request: dict[str, Any], default_budget: bool = True) -> RunSettings:
    """The settings of a run as a request has them. Raises Refusal where they are none."""
    given = {key: request[key] for key in SETTING_FIELDS if request.get(key) is not None}
    given.setdefault("seed", secrets.randbits(32))
    if default_budget and "cpu_seconds" not in given and "evaluations" not in given:
        given["cpu_seconds"] = DEFAULT_CPU_SECONDS
    try:
        settings = msgspec.convert(given, RunSettings)
        check(settings.migration, settings.islands_per_task)
    except ValueError as error:  # msgspec.ValidationError is one
        raise Refusal("usage", str(error)) from error
    return settings
