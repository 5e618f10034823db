"""The work of a benchmark: tasks, a budget for each, and the islands that share it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import msgspec

from distevo.errors import TaskError
from distevo.orders import MAX_PLACES
from distevo.run import RunSettings
from distevo_ctl.files import problem_request, read
from distevod.problems.check_process import check_in_process
from distevod.problems.task_data import TASKS_LIMIT_BYTES, parse_task_file

DEFAULT_PROBLEM = "grids"
DEFAULT_EVALUATIONS = 10_000
DEFAULT_ISLANDS = 2
SEED = 1
RUN_SIZE = 200
"""Tasks in one run at most, unless the file has more: the plan, which is written with each change, holds them all."""
RUN_BYTES = TASKS_LIMIT_BYTES // 4
"""Of their data, about, unless the file has more: all of them are tried when the run is submitted."""


class TaskFile(msgspec.Struct, forbid_unknown_fields=True):
    """TASKS.json, where it says more than the tasks."""

    tasks: str | list[str] | dict[str, msgspec.Raw]
    """What `--tasks` of submit takes, ids, or task data by id."""
    problem: str = DEFAULT_PROBLEM
    islands_per_task: int = DEFAULT_ISLANDS
    evaluations: int | None = None
    cpu_seconds: float | None = None


class Work(msgspec.Struct, frozen=True):
    """Tasks that are worked on again and again: a copy of a task is a task of its own, with other random numbers."""

    request: dict[str, Any]
    """How the problem is submitted: `reference`, and `source` where it is a file."""
    problem: str
    """Its name and version."""
    tasks: dict[str, Any]
    """Task data by id, as the problem has made it of the file."""
    islands_per_task: int
    evaluations: int | None
    cpu_seconds: float | None

    @property
    def budget(self) -> dict[str, Any]:
        """Of each task."""
        return {"evaluations": self.evaluations, "cpu_seconds": self.cpu_seconds}

    @property
    def run_size(self) -> int:
        """Tasks in one run: whole rounds of those of the file."""
        most = min(RUN_SIZE, MAX_PLACES // self.islands_per_task)
        rounds = min(most // len(self.tasks), RUN_BYTES // len(msgspec.json.encode(self.tasks)))
        return max(rounds, 1) * len(self.tasks)

    def copies(self) -> Iterator[tuple[str, Any]]:
        """All tasks, then all again, without end. So whoever does more of them does the same mixture.

        A copy is called by numbers: its task's own id may be as long as one can be.
        """
        for number in count(1):
            for place, data in enumerate(self.tasks.values(), 1):
                yield f"{place}.{number}", data

    def runs(self) -> Iterator[dict[str, Any]]:
        """Requests to submit, without end, of whole rounds of the tasks each."""
        copies = self.copies()
        for number in count(1):
            yield {
                **self.request,
                "run": f"benchmark-{number}",
                "made": dict(islice(copies, self.run_size)),
                "islands_per_task": self.islands_per_task,
                "seed": SEED,
                **self.budget,
            }


def read_work(path: Path, given: dict[str, Any]) -> Work:
    """The work that a file describes; what is `given` stands above it, where it is not None.

    The file is a `TaskFile`, or task data by id. Raises CliError, and TaskError or ProblemError, for what cannot be
    used.
    """
    file = _read(path)
    wanted = {key: value for key, value in given.items() if value is not None}
    if "evaluations" in wanted or "cpu_seconds" in wanted:
        file = msgspec.structs.replace(file, evaluations=None, cpu_seconds=None)
    file = msgspec.structs.replace(file, **wanted)
    settings = _settings(path, file)
    request = problem_request(file.problem)
    if isinstance(file.tasks, dict):
        what: dict[str, Any] = {"data": {name: msgspec.json.decode(data) for name, data in file.tasks.items()}}
    else:
        what = {"spec": file.tasks if isinstance(file.tasks, str) else ",".join(file.tasks)}
    checked = check_in_process(request | what)
    if len(checked.tasks) * settings.islands_per_task > MAX_PLACES:
        raise TaskError(f"{path}: its tasks have more than {MAX_PLACES} islands together")
    return Work(
        request=request,
        problem=f"{checked.name} {checked.version}",
        tasks={name: msgspec.json.decode(data) for name, data in checked.tasks.items()},
        islands_per_task=settings.islands_per_task,
        evaluations=settings.evaluations,
        cpu_seconds=settings.cpu_seconds,
    )


def _settings(path: Path, file: TaskFile) -> RunSettings:
    """What the runs will have, so that its bounds are seen before a cluster is started."""
    is_free = file.evaluations is None and file.cpu_seconds is None
    chosen = {
        "seed": SEED,
        "islands_per_task": file.islands_per_task,
        "evaluations": DEFAULT_EVALUATIONS if is_free else file.evaluations,
        "cpu_seconds": file.cpu_seconds,
    }
    try:
        return msgspec.convert(chosen, RunSettings)
    except ValueError as error:
        raise TaskError(f"{path}: {error}") from None


def _read(path: Path) -> TaskFile:
    content = read(path, "task file", TASKS_LIMIT_BYTES)
    try:
        found = parse_task_file(content)
    except TaskError as error:
        raise TaskError(f"{path}: {error}") from error
    if not isinstance(found, dict) or not found:
        raise TaskError(f'{path}: a task file is {{"tasks": ..., "problem": ..., ...}}, or {{"id": data, ...}}')
    if "tasks" not in found:
        return TaskFile(tasks={name: msgspec.Raw(msgspec.json.encode(data)) for name, data in found.items()})
    try:
        return msgspec.json.decode(content, type=TaskFile)
    except msgspec.ValidationError as error:
        raise TaskError(f"{path}: {error}") from None
