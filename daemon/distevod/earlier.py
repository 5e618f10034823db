"""What a new run takes over from an earlier one of the same store: `submit --from`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from distevo.block import unpack
from distevo.checkpoint import IslandSnapshot, decode_checkpoint
from distevo.errors import NotFound, ObjectError
from distevo.plan import RunPlan, TaskState
from distevo.program import keyer
from distevo.result import Result, decode_result
from distevo.run import WarmStart, decode_run
from distevo.warm_start import inherit
from distevod.reading import AT_ONCE, Reader


def misfit(name: str, earlier: RunPlan, problem: str, tasks: Collection[str], others: int) -> str | None:
    """Why a run of `problem` with these tasks cannot begin from this one, in words for its submitter; or None."""
    if earlier.problem.name != problem:
        return (
            f"{name} is a run of {earlier.problem.name}, and its programs mean nothing to {problem}: "
            "a run begins from one of the same problem"
        )
    finished = {task for task, entry in earlier.tasks.items() if entry.result is not None}
    if not finished:
        return f"{name} has no results yet: wait for its first, or cancel it, which makes results of what it has begun"
    if not others and finished.isdisjoint(tasks):
        return (
            f"of these tasks {name} has no result: it has those of {', '.join(sorted(finished)[:5])}"
            f"{', …' if len(finished) > 5 else ''}; --from-others N takes what solved other tasks"
        )
    return None


def warm_start_from(
    name: str, earlier: RunPlan, store: Reader, tasks: Mapping[str, msgspec.Raw], digest: str, most: int, others: int
) -> WarmStart:
    """What `distevo.warm_start.inherit` makes of the results that the plan names; only those it needs are read.

    `tasks`: data by id; `digest`: of the problem's code. Programs of tasks for which one of these was another are to be
    evaluated anew; so are those of a failed task that has none as its result: its best were not worth that again.

    Raises StoreError (NotFound where the run was deleted meanwhile), and ObjectError or CheckpointError for a result
    that cannot be read.
    """
    wanted = {
        task: entry.result
        for task, entry in earlier.tasks.items()
        if entry.result is not None and (task in tasks or (others and entry.fit))
    }

    def read(name: str) -> tuple[Result, list[IslandSnapshot]]:
        result, states = decode_result(store.read(name)[0])
        return result, decode_checkpoint(states).islands

    known = _tasks_of(earlier, store) if earlier.problem.digest == digest else {}
    with ThreadPoolExecutor(AT_ONCE) as executor:
        found = dict(zip(wanted, executor.map(read, wanted.values()), strict=True))
    refuted = {
        task
        for task, (result, _) in found.items()
        if result.key is None and earlier.tasks[task].state is TaskState.FAILED
    }
    changed = [
        task for task in found if task in tasks and (task in refuted or not _is_same(known.get(task), tasks[task]))
    ]
    states = {task: islands for task, (_, islands) in found.items()}
    return inherit(name, earlier.problem, states, tasks, most, others, changed, earlier.islands_per_task)


def _tasks_of(earlier: RunPlan, store: Reader) -> Mapping[str, msgspec.Raw]:
    """The task data of a run; none where its object cannot be read any more."""
    try:
        return decode_run(store.read(earlier.object)[0]).tasks
    except (ObjectError, NotFound):
        return {}


def _is_same(known: msgspec.Raw | None, data: msgspec.Raw) -> bool:
    return known is not None and (known == data or msgspec.json.decode(known) == msgspec.json.decode(data))


def counted(problem: str, warm: WarmStart) -> dict[str, Any]:
    """A warm start in numbers, for whoever submitted it."""
    key_of = keyer(problem, warm.version)
    return {
        "run": warm.run,
        "tasks": len(warm.programs),
        "programs": sum(len(unpack(block, key_of)) for block in warm.programs.values()),
        "others": len(unpack(warm.others, key_of)) if warm.others else 0,
        "version": warm.version,
        "anew": len(warm.anew),
    }
