"""Files that are named on a command line: read here, whole and bounded, and sent to the daemon as text or JSON."""

from __future__ import annotations

import contextlib
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

from distevo_ctl.exits import CliError, ExitCode

MIB = 1 << 20


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

    It is a file when it is written like one (a slash in it, or .json or .csv at its end), or when there is a file of
    that name. Raises CliError when it is not there or cannot be read, TaskError when it is not JSON.
    """
    if tasks is None:
        return {}
    path = Path(tasks)
    if not (path.suffix.lower() in (".json", ".csv") or "/" in tasks or _is_file(path)):
        return {"spec": tasks}
    from distevo.errors import TaskError
    from distevod.problems.check import TASKS_LIMIT_BYTES, parse_task_file

    content = read(path, "task file", TASKS_LIMIT_BYTES)
    if path.suffix.lower() == ".csv":
        return {"csv": _text(content, tasks), "name": path.stem}
    try:
        data = parse_task_file(content)
    except TaskError as error:
        raise TaskError(f"{path}: {error}") from error
    if data is None:  # which a request would leave out, as if there were no file
        from orjson import Fragment

        data = Fragment(b"null")
    return {"data": data, "name": path.stem}


def _is_file(path: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):  # a name too long, or with a zero byte, is none of a file
        return path.is_file()
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
