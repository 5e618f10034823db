"""`distevod start`: the daemon in the foreground, or started in the background.

A shell waits for the first evaluation from here on, so this module and all that it imports stay light; rich, zmq and
the problems come later, while the workers start.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from distevo.errors import kind_of
from distevo_ctl.exits import CliError, ExitCode, code_of
from distevo_ctl.setting_options import setting_options, settings_of
from distevod.logs import configure
from distevod.paths import control_socket
from distevod.profiling import profiled

if TYPE_CHECKING:
    from distevod.settings import Settings


LAST_STANDARD_FILE = 2
SETTLE_SECONDS = 0.2
"""How long threads that have nothing to do any more may take to end, all together: dozens may hang."""


@click.command()
@setting_options
@click.option("--detach", is_flag=True, help="Start in the background, and return when it answers.")
@click.option("--json", "as_json", is_flag=True, help="With --detach: print JSON.")
@click.option("--log-file", hidden=True, type=click.Path(path_type=Path), help="Where a detached daemon logs.")
def start(detach: bool, as_json: bool, log_file: Path | None, **values: Any) -> None:
    """Start the daemon of this platform.

    In the foreground it logs to standard error and ends cleanly at Ctrl-C, SIGTERM or the end of its terminal, within
    five seconds. What it had in hand is in its last checkpoint, from which the next start goes on. One daemon runs per
    state folder.
    """
    settings = settings_of(values)
    if detach:
        from distevo_ctl.detach import start_detached

        start_detached(settings, values, as_json)
        return
    if as_json:
        raise click.UsageError("--json goes with --detach; in the foreground --log-format json writes a JSON log")
    _run(settings, log_file)


def _run(settings: Settings, log_file: Path | None) -> None:
    import logging

    from distevod.daemon import run_daemon

    _fill_standard_files()
    if log_file is not None:
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    configure(settings.log_format, settings.log_level, log_file)
    failure: Exception | None = None
    try:
        with profiled("daemon"):
            end = run_daemon(settings, control_socket(settings.state_dir, os.environ))
        if end.reason:
            failure = CliError(ExitCode[end.kind.upper()], end.reason)
    except Exception as error:
        failure = error
        if kind_of(error) == "internal_error":
            logging.getLogger("distevod").exception("the daemon failed")
    if _is_held_up():
        _end_now(failure)
    if failure is not None:
        raise failure


def _fill_standard_files() -> None:
    """What was closed when we were started leads nowhere, instead of into the file that takes its number next: workers
    get our standard error as theirs, and write to it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= LAST_STANDARD_FILE:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = os.fdopen(LAST_STANDARD_FILE, "w", closefd=False)


def _is_held_up() -> bool:
    """Whether a thread hangs, in a store that does not answer: the interpreter would wait for it without end."""
    import threading
    import time

    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    waited_for = [thread for thread in others if not thread.daemon]
    end = time.monotonic() + SETTLE_SECONDS
    for thread in waited_for:
        thread.join(max(end - time.monotonic(), 0.0))
    return any(thread.is_alive() for thread in waited_for)


def _end_now(failure: Exception | None) -> NoReturn:
    import logging

    code = ExitCode.OK
    if failure is not None:
        code = failure.code if isinstance(failure, CliError) else code_of(failure)
        with contextlib.suppress(OSError):  # as where the disk below is full; the code still tells
            click.echo(f"error: {failure}", err=True)
    logging.shutdown()
    os._exit(code)
