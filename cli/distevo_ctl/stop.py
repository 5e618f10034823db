"""`distevod stop`: ask the daemon to end, and wait until it has."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import click

from distevo.errors import LAST_WRITES_LOST
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.own_log import last_end, log_size
from distevo_ctl.target import start_command, target_options
from distevod.state_lock import Holder, holder

ASK_SECONDS = 2.0
STOP_SECONDS = 8.0
"""A daemon ends within 5 s of being asked."""
SIGNAL_SECONDS = 6.0
LOOK_SECONDS = 0.02


@click.command()
@target_options
def stop(state_dir: Path, as_json: bool) -> None:
    """Stop the daemon, with a last checkpoint.

    Evaluations are given up after 1 s, and what was in hand goes on at the next start. A daemon that does not answer
    is sent SIGTERM, which means the same, unless it runs on another machine or in another container. The exit code is
    9 if its log says that the store took no last checkpoint.
    """
    found = holder(state_dir)
    if found is None:
        said = last_end(state_dir)
        hint = f"the last one ended with: {said}" if said else None
        raise CliError(ExitCode.NO_DAEMON, f"no daemon runs on {state_dir}", hint)
    if not found.pid:  # os.kill(0) would reach our own process group
        raise CliError(ExitCode.NO_DAEMON, f"the daemon on {state_dir} is just starting", "try again in a moment")
    begun = time.monotonic()
    pid, logged, daemon = found.pid, log_size(state_dir), _asked(state_dir)
    if (daemon is None or not _gone(state_dir, found, STOP_SECONDS)) and holder(state_dir) == found:
        if not found.is_here:
            raise CliError(
                ExitCode.NO_DAEMON if daemon is None else ExitCode.TIMED_OUT,
                f"the daemon on {state_dir} does not {'answer' if daemon is None else 'end'}, and is no process here",
                "it runs on another machine or in another container, where `distevod stop` can send it a signal",
            )
        with contextlib.suppress(ProcessLookupError):  # it ended this moment
            os.kill(pid, signal.SIGTERM)
        if not _gone(state_dir, found, SIGNAL_SECONDS):
            raise CliError(
                ExitCode.TIMED_OUT,
                f"the daemon (pid {pid}) does not end",
                f"`kill -9 {pid}` ends it; the next start goes on from its last checkpoint",
            )
    seconds = round(time.monotonic() - begun, 3)
    again = f"`{start_command(state_dir, daemon)}` goes on from there"
    said = last_end(state_dir, logged)
    if said == LAST_WRITES_LOST:
        raise CliError(ExitCode.STORE_UNAVAILABLE, f"stopped (pid {pid}), and not cleanly: {said}", again)
    if as_json:
        click.echo(json.dumps({"stopped": True, "pid": pid, "seconds": seconds, "ended_with": said}))
    else:
        ended = f"; it ended by itself with: {said}" if said else ""
        click.echo(f"stopped (pid {pid}, {seconds:.1f} s){ended}; {again}")


def _asked(state_dir: Path) -> dict[str, Any] | None:
    """Ask the daemon to stop; who it is (its answer to `ping`), or None if it did not take the request."""
    from distevo_ctl.client import Client

    try:
        with Client(state_dir, ASK_SECONDS) as client:
            client.ask("stop", seconds=ASK_SECONDS)
            return client.daemon
    except CliError as error:
        if error.code in (ExitCode.NO_DAEMON, ExitCode.TIMED_OUT):
            return None
        raise


def _gone(state_dir: Path, daemon: Holder, seconds: float) -> bool:
    """Whether the daemon let go of its state folder, and its process ended, within that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holder(state_dir) != daemon and not (daemon.is_here and _is_alive(daemon.pid)):
            return True
        time.sleep(LOOK_SECONDS)
    return False


def _is_alive(pid: int) -> bool:
    """Whether the process works still. One that ended stays as a zombie where nobody asks for its exit code."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(b") ")[2][:1] != b"Z"
