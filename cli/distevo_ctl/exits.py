"""How the commands end: one table of exit codes, and the command group that turns every error into one of
them.

Only click is imported here; the kinds of errors of the library and the daemon are looked up when one arrives.
"""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, TextIO

import click


class ExitCode(IntEnum):
    """Exit codes of `distevod` and `distevo-ctl`; their texts are in `MEANINGS`."""

    OK = 0
    INTERNAL_ERROR = 1
    USAGE = 2
    NO_DAEMON = 3
    REFUSED = 4
    NOT_FOUND = 5
    CORRUPT = 6
    TIMED_OUT = 7
    RUN_FAILED = 8
    STORE_UNAVAILABLE = 9
    ALREADY_RUNNING = 10
    CANNOT_LISTEN = 11
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it
    READER_GONE = 141  # 128 + SIGPIPE: what a command that does not catch it ends with


MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.INTERNAL_ERROR: "internal error: a fault of distevo",
    ExitCode.USAGE: "wrong usage: a command, option or setting is unknown, wrong or contradictory",
    ExitCode.NO_DAEMON: "no daemon runs, or it does not answer",
    ExitCode.REFUSED: "refused: the request was understood and cannot be granted",
    ExitCode.NOT_FOUND: "not found: no such run, task, file or object",
    ExitCode.CORRUPT: "corrupt: stored data is damaged",
    ExitCode.TIMED_OUT: "timed out: it may still happen",
    ExitCode.RUN_FAILED: "the run that was waited for failed or was cancelled",
    ExitCode.STORE_UNAVAILABLE: "the store is unavailable",
    ExitCode.ALREADY_RUNNING: "a daemon already runs on this state folder",
    ExitCode.CANNOT_LISTEN: "cannot listen: the address is in use, or is not this machine's, or not yet",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.READER_GONE: "whoever read the output closed it early",
}

EXITS_HELP = "\b\nExit codes:\n" + "\n".join(f"{code:5}  {text}" for code, text in MEANINGS.items())
"""The table for the epilog of --help."""


class CliError(Exception):
    """A command cannot do what it was asked: the exit code, what is wrong, and what to do instead."""

    def __init__(self, code: ExitCode, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class ExitCodeGroup(click.Group):
    """A command group that ends with a code of the table, whatever happens.

    Errors go to standard error: as text, or as one JSON object when the command line has --json. A traceback
    is shown only with --debug or with DISTEVO_DEBUG set. A command's whole-number
    result, or `ctx.exit(code)`, is its exit code. This group adds --debug and --version.
    """

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes.setdefault("epilog", EXITS_HELP)
        super().__init__(*args, **attributes)
        self.params.append(
            click.Option(["--debug"], is_flag=True, expose_value=False, help="Show an error's traceback.")
        )
        click.version_option(package_name="distevo", message="%(prog)s %(version)s")(self)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(given, prog_name, complete_var, standalone_mode=False, **extra)
        import signal

        # Whoever ignores the end of its children leaves that to what it starts, and nobody can be told then how a
        # process has ended: neither workers and trials of problems, nor a daemon in the background.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if sys.stdout is None:  # closed before we began: what is shown goes nowhere
            sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", closefd=False)
        if isinstance(sys.stdout, io.TextIOWrapper) and (
            sys.stdout.errors == "strict"
            or (sys.stdout.encoding, sys.stdout.errors) == ("ascii", "surrogateescape")  # of the locale C
        ):
            # Not every locale's encoding has all that we print: rather a question mark in a table than no table.
            sys.stdout.reconfigure(errors="replace")
        try:
            result = super().main(given, prog_name, complete_var, standalone_mode=False, **extra)
            with _reader_watched():
                sys.stdout.flush()  # now, while somebody still catches what goes wrong
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - outermost: nothing stands above it
            sys.exit(_end(error, given))
        sys.exit(int(result) if isinstance(result, int) else ExitCode.OK)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _reader_watched():  # --help is printed in here
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_watched():
            return super().invoke(ctx)


class _ReaderGone(Exception):  # noqa: N818 - not an error
    """Standard output is closed. Under its own name click would end with 1, which is for internal errors."""


@contextlib.contextmanager
def _reader_watched() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise _ReaderGone from None


def _end(error: BaseException, args: list[str]) -> ExitCode:
    """Say what went wrong; the exit code for it."""
    _settle(sys.stdout)
    if isinstance(error, _ReaderGone):
        return ExitCode.READER_GONE
    options = args[: args.index("--")] if "--" in args else args
    debug = "--debug" in options or os.environ.get("DISTEVO_DEBUG", "0") not in ("", "0")
    code, message, hint = _described(error)
    with contextlib.suppress(OSError):  # nobody reads, or the disk below is full; the code still tells
        if "--json" in options:
            _say_json(error if debug else None, code, message, hint)
        else:
            _say_text(error, debug, message, hint)
    _settle(sys.stderr)
    return code


def _settle(stream: TextIO | None) -> None:
    """Write what still waits for an output, or give it up. The interpreter would try once more at its end,
    and turn a failure there into a complaint and an exit code of its own (docs of `signal`, on SIGPIPE)."""
    if not stream:  # closed before we began
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _described(error: BaseException) -> tuple[ExitCode, str, str | None]:
    """Exit code, message and hint of whatever came out of a command."""
    if isinstance(error, CliError):
        return error.code, error.message, error.hint
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return ExitCode.INTERRUPTED, "interrupted", None
    if isinstance(error, click.ClickException):
        ctx = getattr(error, "ctx", None)
        return ExitCode.USAGE, error.format_message(), f"see {ctx.command_path} --help" if ctx else None
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ExitCode.REFUSED, f"cannot write: {error.strerror}", "make room, and try again"
    code = code_of(error)
    if code is not ExitCode.INTERNAL_ERROR:
        return code, str(error), None
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return code, f"internal error: {what}", "--debug before the command shows the traceback"


def code_of(error: BaseException) -> ExitCode:
    """The exit code for an error of the library or the daemon, by the nearest of its classes in the table."""
    from distevo import errors
    from distevod.paths import PathError
    from distevod.settings.error import SettingsError
    from distevod.state_lock import AlreadyRunning
    from distevod.transport.errors import ListenError

    codes: dict[type, ExitCode] = {
        errors.DistevoError: ExitCode.REFUSED,
        errors.BlockError: ExitCode.CORRUPT,
        errors.CheckpointError: ExitCode.CORRUPT,
        errors.CheckpointVersionError: ExitCode.REFUSED,  # undamaged: a newer distevo reads it
        errors.ObjectError: ExitCode.CORRUPT,
        errors.ObjectVersionError: ExitCode.REFUSED,
        errors.StoreError: ExitCode.STORE_UNAVAILABLE,
        errors.StoreUrlError: ExitCode.USAGE,
        errors.NotFound: ExitCode.NOT_FOUND,
        errors.BadName: ExitCode.REFUSED,
        # Nobody can do anything about those but we.
        errors.LocalProtocolError: ExitCode.INTERNAL_ERROR,
        errors.RemoteProtocolError: ExitCode.INTERNAL_ERROR,
        SettingsError: ExitCode.USAGE,
        PathError: ExitCode.USAGE,
        AlreadyRunning: ExitCode.ALREADY_RUNNING,
        ListenError: ExitCode.CANNOT_LISTEN,
    }
    return next((codes[kind] for kind in type(error).__mro__ if kind in codes), ExitCode.INTERNAL_ERROR)


def _say_json(traced: BaseException | None, code: ExitCode, message: str, hint: str | None) -> None:
    import json

    body: dict[str, object] = {"code": int(code), "name": code.name.lower(), "message": message, "hint": hint}
    if traced:
        body["traceback"] = _traceback(traced)
    click.echo(json.dumps({"error": body}), err=True)


def _say_text(error: BaseException, debug: bool, message: str, hint: str | None) -> None:
    if debug:
        click.echo(_traceback(error), err=True, nl=False)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(message, err=True)  # the whole help; "error:" before it would only frighten
        return
    is_wanted = isinstance(error, CliError) and error.code is ExitCode.INTERRUPTED  # by whoever typed Ctrl-C
    lead = "" if is_wanted else f"{click.style('error:', fg='red', bold=True)} "
    click.echo(f"{lead}{message}", err=True)
    if hint:
        click.echo(f"  {hint}", err=True)


def _traceback(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))
