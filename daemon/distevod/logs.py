"""Log lines: for people as text, for machines as one JSON object a line; in UTC, to standard error or a file.

    2025-11-24T10:22:31.042Z info    checkpoints: written run=first bytes=8192
    {"time":"2025-11-24T10:22:31.042Z","level":"info","logger":"distevod.checkpoints","message":"written",
     "fields":{"run":"first","bytes":8192}}

Write them with the standard library: `log.info("written", extra=fields(run=name, bytes=size))`.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

FILE_LIMIT = 16 * 1024 * 1024
"""Bytes of a log file before its end is kept as `<name>.1`, in the place of what was there, and it begins anew: at most
twice this is kept. Processes that inherited it go on writing to it, so it stays the same file."""


def fields(**values: object) -> dict[str, dict[str, object]]:
    """The `extra` of a log call: named values of one line. Any name will do, even those that logging reserves."""
    return {"fields": values}


def configure(log_format: str = "text", level: str = "info", file: Path | None = None) -> None:
    """Send the log of this process to standard error, or to `file` (made, and added to, mode 0600).

    May be called again, and then replaces what the call before set up. Exceptions that nobody caught, in any
    thread, and Python's warnings come into the log too. Raises OSError when the file cannot be opened.
    """
    handler: logging.Handler = _File(file) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        with contextlib.suppress(OSError):  # what a full disk did not take was already complained of
            old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def keep_bounded() -> None:
    """To be called now and then: others than this process may write to the log file."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _File):
            # Rather a log too long than none; the next line that is written complains of it.
            with handler.lock or contextlib.nullcontext(), contextlib.suppress(OSError):
                handler.keep_bounded()


class TextFormatter(logging.Formatter):
    """One line for people; a traceback follows on lines of its own, each indented."""

    def format(self, record: logging.LogRecord) -> str:
        name = record.name.removeprefix("distevod").removeprefix(".")
        head = f"{_time(record)} {record.levelname.lower():<7} {name + ': ' if name else ''}"
        values = "".join(f" {key}={_plain(value)}" for key, value in _fields(record).items())
        text = head + _escaped(_message(record)) + values
        return "\n    ".join([text, *map(_escaped, _trace(self, record).splitlines())])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message; fields and exception where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        import json

        body: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if values := _fields(record):
            body["fields"] = values
        if trace := _trace(self, record):
            body["exception"] = trace
        encoder = json.JSONEncoder(default=str, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        try:
            return encoder.encode(body)
        except (TypeError, ValueError):  # NaN, keys that are no text, cycles: nothing that JSON knows
            return encoder.encode({**body, "fields": {key: repr(value) for key, value in values.items()}})


class _File(logging.FileHandler):
    """A log file of bounded size, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        super().__init__(path, encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.keep_bounded()
        except OSError:  # rather a log too long than none
            self.handleError(record)
        super().emit(record)

    def keep_bounded(self) -> None:
        """Begin anew if the file is full. Raises OSError."""
        if not self.stream or (size := os.fstat(self.stream.fileno()).st_size) <= FILE_LIMIT:
            return
        import shutil  # with what it knows of archives, 5 ms that only a full log has to pay

        path = Path(self.baseFilename)
        earlier = path.with_name(path.name + ".1")
        with path.open("rb") as old, earlier.open("wb") as kept:
            earlier.chmod(0o600)
            old.seek(size - FILE_LIMIT)
            old.readline()
            shutil.copyfileobj(old, kept)
        os.truncate(path, 0)


def _time(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"


def _message(record: logging.LogRecord) -> str:
    """The message; a wrong number of arguments spoils the line, and must not lose it."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError) as error:
        return f"{record.msg} {record.args!r} [cannot be put together: {error}]"


def _fields(record: logging.LogRecord) -> dict[str, object]:
    values: dict[str, object] = getattr(record, "fields", {})
    return values


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)


def _plain(value: object) -> str:
    """A value for a text line, in quotes where its end could not be told otherwise."""
    text = _escaped(f"{value:.6g}" if isinstance(value, float) else str(value))
    if text and not any(char in text for char in ' ="'):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    """Text without control characters: what a user's problem says must not forge lines or steer a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None, thread: str = "") -> None:
    if issubclass(kind, KeyboardInterrupt):  # somebody's wish, not a fault
        sys.__excepthook__(kind, error, trace)
        return
    extra = fields(thread=thread) if thread else {}
    logging.getLogger("distevod").critical("uncaught exception", exc_info=(kind, error, trace), extra=extra)


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    error = args.exc_value or args.exc_type()
    _uncaught(args.exc_type, error, args.exc_traceback, args.thread.name if args.thread else "unknown")


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    error = args.exc_value or args.exc_type()
    what = args.err_msg or "exception ignored"
    logging.getLogger("distevod").error(
        what, exc_info=(args.exc_type, error, args.exc_traceback), extra=fields(object=repr(args.object))
    )
