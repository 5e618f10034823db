"""Files that are named on a command line: read here, whole and bounded, and sent to the daemon as text or JSON."""

from __future__ import annotations

import contextlib
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

from distevo_ctl.exits import CliError, ExitCode

MIB = 1 << 20
TABLES = (".csv", ".tsv")
"""Endings of files with a table of numbers; by what its columns are separated, their reader finds out."""


def problem_request(reference: str) -> dict[str, Any]:
    """What `--problem` names, as fields of a request: `reference`, and `source` where it is a file.

    Raises CliError when the file is not there or cannot be read.
    """
    file = reference if reference.endswith(".py") else reference.rpartition(":")[0]
    if not file.endswith(".py"):
        return {"reference": reference}
    from distevod.problems.loader import SOURCE_LIMIT_BYTES

    return {"reference": reference, "source": _text(read(Path(file), "problem file", SOURCE_LIMIT_BYTES), file)}


def tasks_request(tasks: str | None) -> dict[str, Any]:
    """What `--tasks` gives, as fields of a request: `spec` for a named set, `data` or `csv`, and `name`, for a file.

    It is a file when it is written like one (a slash in it, or .json, .csv or .tsv at its end), or when there is a file
    of that name; and with a slash in it, it may be a folder of JSON files, each of them one task, called after its
    file. Raises CliError when it is not there or cannot be read, TaskError when it is not JSON.
    """
    if tasks is None:
        return {}
    path = Path(tasks)
    if not (path.suffix.lower() in (".json", *TABLES) or "/" in tasks or _is_file(path)):
        return {"spec": tasks}
    from distevod.problems.task_data import TASKS_LIMIT_BYTES

    _refuse_undecodable(path)
    if "/" in tasks and _is_folder(path):
        return {"data": _tasks_in(path, TASKS_LIMIT_BYTES), "name": path.name}
    content = read(path, "task file", TASKS_LIMIT_BYTES)
    if path.suffix.lower() in TABLES:
        return {"csv": _text(content, tasks), "name": path.stem}
    data = _parsed(content, path)
    if data is None:  # which a request would leave out, as if there were no file
        from orjson import Fragment

        data = Fragment(b"null")
    return {"data": data, "name": path.stem}


def _parsed(content: bytes, path: Path) -> Any:
    from distevo.errors import TaskError
    from distevod.problems.task_data import parse_task_file

    try:
        return parse_task_file(content)
    except TaskError as error:
        raise TaskError(f"{path}: {error}") from error


def _tasks_in(folder: Path, limit: int) -> dict[str, Any]:
    """The tasks of a folder, as ARC's are kept, in sorted order of their ids."""
    called: dict[str, Path] = {}
    tasks, size = {}, 0
    try:
        found = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".json")
    except OSError as error:
        raise CliError(ExitCode.REFUSED, f"cannot read the folder {folder}: {error.strerror}") from None
    for file in found:
        _refuse_undecodable(file)
        if file.stem in called:
            what = f"the task files {called[file.stem]} and {file} are of one name, which is to be that of their task"
            raise CliError(ExitCode.REFUSED, what, "give one of them another")
        called[file.stem] = file
        content = read(file, "task file", limit)
        size += len(content)
        if size > limit:
            raise CliError(
                ExitCode.REFUSED,
                f"the task files in {folder} are larger than {limit // MIB} MiB, the most that is read",
            )
        tasks[file.stem] = _parsed(content, file)
    if not tasks:
        below = sorted({file.parent for file in folder.glob("*/*.json")})
        hint = f"give one of those below it, as {below[0]}/" if below else None
        raise CliError(ExitCode.NOT_FOUND, f"there is no task file (*.json) in the folder {folder}", hint)
    return tasks


def _refuse_undecodable(path: Path) -> None:
    """Its name becomes that of a task, which is text in a request."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        what = f"the name of the task file {str(path)!r} is no text in UTF-8"
        raise CliError(ExitCode.REFUSED, what, "give it another") from None


def _is_file(path: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):  # a name too long, or with a zero byte, is none of a file
        return path.is_file()
    return False


def _is_folder(path: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return path.is_dir()
    return False


def read(path: Path, what: str, limit: int) -> bytes:
    """A file's content, without the mark with which some editors begin UTF-8. Raises CliError."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise CliError(ExitCode.NOT_FOUND, f"there is no {what} {path}") from None
    except (OSError, ValueError) as error:  # a zero byte in the name is a ValueError
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise CliError(ExitCode.REFUSED, f"cannot read the {what} {path}: {reason}") from None
    if len(content) > limit:
        raise CliError(ExitCode.REFUSED, f"the {what} {path} is larger than {limit // MIB} MiB, the most that is read")
    return content.removeprefix(BOM_UTF8)


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise CliError(ExitCode.REFUSED, f"{name} is not text: {error}") from None
