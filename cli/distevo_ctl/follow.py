"""Following a daemon: its status again and again, over its restarts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distevo_ctl.client import Client
from distevo_ctl.exits import CliError, ExitCode

ABSENCE_SECONDS = 15.0
"""How long a daemon that was there may be away: systemd starts one anew within seconds."""
RETRY_SECONDS = 0.5


def follow(state_dir: Path, interval: float, *, first: Client | None = None) -> Iterator[tuple[Client, dict[str, Any]]]:
    """A connection and the status, every `interval` seconds, without end.

    Raises CliError when no daemon is there at first, or none comes back within 15 s.
    """
    client = first or Client(state_dir)
    seen = time.monotonic()
    try:
        while True:
            try:
                status = client.ask("status", seconds=ABSENCE_SECONDS)
            except CliError as error:
                if error.code not in (ExitCode.NO_DAEMON, ExitCode.TIMED_OUT):
                    raise
                client = _again(client, state_dir, seen + ABSENCE_SECONDS)
                continue
            seen = time.monotonic()
            yield client, status
            time.sleep(interval)
    finally:
        client.close()


def has_plan(status: dict[str, Any]) -> bool:
    """Whether the daemon knows the plan; one that was just started knows of no run yet."""
    return status["cluster"]["plan"] is not None


def run_in(status: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The view of one run in a status; None when it is not there."""
    return next((run for run in status["runs"] if run["id"] == name), None)


def _again(client: Client, state_dir: Path, end: float) -> Client:
    client.close()
    while True:
        try:
            return Client(state_dir)
        except CliError:
            if time.monotonic() > end:
                raise
            time.sleep(RETRY_SECONDS)
