"""Trying a problem and its tasks before a run is accepted, in a process of its own.

A submitted problem is code that nobody has seen yet. So the daemon runs `python -m distevod.problems.check`, hands it
a JSON request on standard input, and gets a JSON answer on standard output (`check_wire` has both); `check_process` is
the daemon's side of it. Here the problem is imported, asked for its tasks, made with each of them, and tried (`trial`).

What the user's code prints goes to standard error.
"""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from inspect import signature
from typing import Any, NoReturn

import msgspec

from distevo.errors import DistevoError, ProblemError, TaskError
from distevo.problem import Contract
from distevod.printed import never_raise
from distevod.problems.check_wire import Answer, CheckRequest, Failure, Phase, Problem
from distevod.problems.loader import ProblemRef, described, load, resolve
from distevod.problems.task_data import TASKS_LIMIT_BYTES, as_json, check_depth, check_id, is_id
from distevod.problems.trial import Say, try_members

MOST_TASKS = 100_000
DEFAULT_TASK = "default"
SAID_LIMIT, SAID_END = 4000, 500
"""Characters that are told of what went wrong, and how many of these are its last, which say where."""

_FILE_FORM = 'give a JSON file {"id": data, ...}'
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def check(request: CheckRequest, say: Say) -> tuple[ProblemRef, Contract, dict[str, bytes]]:
    """Import the problem, make its tasks, construct each, and try all members on the first.

    Returns what it is, the first task's contract, and JSON task data by id. Raises `ProblemError` and `TaskError`;
    what the user's code raised is in their message.
    """
    say("importing")
    ref = resolve(request.reference, request.source)
    problem = load(ref)
    try:
        with suppress(ValueError):  # a class made in C shows no signature
            signature(problem).bind({})
    except TypeError as error:
        raise ProblemError(
            f"{problem.__name__} cannot be made with a task's data ({error}); add: def __init__(self, task)"
        ) from error
    say("reading the tasks")
    file = ref.reference.rpartition(":")[0] if ref.source is not None else None
    tasks = {name: as_json(name, data) for name, data in _tasks(problem, request, file).items()}
    if sum(map(len, tasks.values())) > TASKS_LIMIT_BYTES:
        raise TaskError(f"the tasks are larger than {TASKS_LIMIT_BYTES:,} bytes of JSON")
    first: Contract | None = None
    for name, data in tasks.items():
        check_depth(name, data)
        say(f"constructing task {name!r}")
        try:
            # From the JSON, not from what `tasks` returned: this is what workers will get.
            instance = problem(msgspec.json.decode(data))
        except TaskError as error:
            if _needs_tasks(problem, request):
                raise TaskError(f"{problem.__name__} needs tasks{_tasks_hint(problem)}") from error
            raise TaskError(f"task {name!r}: {error}") from error
        except (ProblemError, MemoryError):
            raise
        except BaseException as error:
            raise TaskError(
                f"task {name!r}: {problem.__name__}() failed: {described(error, file)}{_data_hint(data, request)}"
            ) from error
        if first is None:
            first = Contract(instance)
        del instance  # It may be large, and a worker has two at most: the next one, too.
    assert first is not None
    try_members(first, say, file, request.evaluation_timeout_s)
    return ref, first, tasks


def _tasks(problem: Any, request: CheckRequest, file: str | None) -> dict[str, Any]:
    """Task data by id, checked as far as ids go."""
    hint = _tasks_hint(problem)
    if request.spec is not None:
        made = _called(problem, "tasks", file, request.spec, otherwise=f"has no named sets; {_FILE_FORM}")
    elif request.csv is not None:
        name = request.name or DEFAULT_TASK
        made = _called(problem, "tasks_from_csv", file, request.csv, name, otherwise="takes no CSV files" + hint)
    elif request.data is not msgspec.UNSET:
        made = request.data
        if hasattr(problem, "tasks_from_file"):
            made = _named(_called(problem, "tasks_from_file", file, made, otherwise=""), request)
        elif not isinstance(made, dict):
            raise TaskError(f"the task file holds no object of tasks by id; {_FILE_FORM}")
    elif request.made is not None:
        made = request.made
    else:
        made = {DEFAULT_TASK: {}}
    if not isinstance(made, dict):
        raise ProblemError(f"{problem.__name__} made {type(made).__name__} of the tasks; it must be a dict by id")
    if not 1 <= len(made) <= MOST_TASKS:
        raise TaskError(f"there are {len(made)} tasks; must be 1 to {MOST_TASKS:,}{hint}")
    for name in made:
        check_id(name)
    return made


def _named(made: Any, request: CheckRequest) -> Any:
    """The tasks of a file; if it is one task, and the file does not say which, its id is the file's name."""
    is_named = isinstance(request.data, dict) and DEFAULT_TASK in request.data
    is_one = isinstance(made, dict) and list(made) == [DEFAULT_TASK]
    if is_named or not is_one or not request.name or not is_id(request.name):
        return made
    return {request.name: made[DEFAULT_TASK]}


def _needs_tasks(problem: Any, request: CheckRequest) -> bool:
    """Whether a problem with named sets refused to be made without any task."""
    return not request.has_tasks and hasattr(problem, "tasks")


def _tasks_hint(problem: Any) -> str:
    help_text = getattr(problem, "tasks_help", None)
    return f"; give {help_text}" if isinstance(help_text, str) else ""


def _data_hint(data: bytes, request: CheckRequest) -> str:
    """What may be wrong: there were no tasks, or a task's data is no mapping, as where a file holds one task's data."""
    if not request.has_tasks:
        return "; its data is {}, since no tasks were given: give --tasks"
    if data.startswith(b"{"):
        return ""
    return f'; its data is {data[:40].decode(errors="replace")}: a task file is {{"id": data of that task, ...}}'


def _called(problem: Any, member: str, file: str | None, *arguments: Any, otherwise: str) -> Any:
    function = getattr(problem, member, None)
    if function is None:
        raise TaskError(f"problem {problem.__name__} {otherwise}")
    try:
        return function(*arguments)
    except (DistevoError, MemoryError):
        raise
    except BaseException as error:
        raise ProblemError(f"{problem.__name__}.{member} failed: {described(error, file)}") from error


def _said(text: str) -> str:
    """What went wrong as it may be sent and shown, whatever the problem's own code put into it: UTF-8, and no book."""
    if len(text) > SAID_LIMIT:
        text = f"{text[: SAID_LIMIT - SAID_END]} ... {text[-SAID_END:]}"
    return text.encode(errors="backslashreplace").decode()


def _die_with_parent(parent: int) -> None:
    """So that a daemon that is killed leaves no check behind. Linux only; elsewhere the time-out is the bound."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            raise SystemExit(0)


def main() -> NoReturn:
    """`python -m distevod.problems.check MEMORY_MB PARENT_PID`."""
    memory_mb, parent = map(int, sys.argv[1:3])
    _die_with_parent(parent)
    limit = memory_mb << 20
    # As in workers: what a problem fills, and not libraries and reserved space.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    payload = sys.stdin.buffer.read()
    # The user's prints, and those of C libraries, must not spoil the answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    never_raise()
    phase = "starting"

    def say(step: str) -> None:
        nonlocal phase
        phase = step
        answers.write(msgspec.json.encode(Phase(step)) + b"\n")

    try:
        ref, contract, tasks = check(msgspec.json.decode(payload, type=CheckRequest), say)
        answer = Answer(
            ok=True,
            problem=Problem(
                contract.name, contract.version, ref.reference, ref.source, ref.digest, contract.has_verify
            ),
            tasks={name: msgspec.Raw(data) for name, data in tasks.items()},
        )
    except TaskError as error:
        answer = Answer(ok=False, error=Failure("task", _said(str(error))))
    except ProblemError as error:
        answer = Answer(ok=False, error=Failure("problem", _said(str(error))))
    except MemoryError:
        answer = Answer(ok=False, error=Failure("problem", f"needs more than {memory_mb} MB while {phase}"))
    answers.write(msgspec.json.encode(answer) + b"\n")
    sys.stderr.flush()
    os._exit(0)  # not through the user's atexit handlers and threads


if __name__ == "__main__":
    main()
