"""`distevod start --detach`: a daemon in a session of its own, and the word that it answers.

The daemon is a new process, never a fork of this one; its log is `<state folder>/distevod.log`, where its standard
error goes too, so that whatever ends it early can be read there, and is told here.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from distevo_ctl.client import Client
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.own_log import LOG_NAME, TAIL_BYTES, error_in
from distevo_ctl.target import state_dir_option
from distevod.settings import SETTINGS
from distevod.state_lock import AlreadyRunning, holder

if TYPE_CHECKING:
    from distevod.settings import Settings

PATIENCE_SECONDS = 20.0
TAKEN_IN_SECONDS = 15.0
"""A cluster that runs takes a platform in, or refuses it, within ten seconds; one without a coordinator may not."""
LOOK_SECONDS = 0.02
PAGE_SECONDS = 2.0
"""A daemon has its metrics page a moment after it answers; or never, where the port is taken."""
TAIL_LINES = 8


def start_detached(settings: Settings, values: Mapping[str, Any], as_json: bool) -> None:
    """Start a daemon with these settings, wait until it answers, and say what to type next.

    Ctrl-C leaves the daemon running. Raises AlreadyRunning, PathError, and CliError: with the daemon's own exit code
    when it ends instead, INTERRUPTED at Ctrl-C.
    """
    found = holder(settings.state_dir)
    if found is not None:
        raise AlreadyRunning(settings.state_dir, found)
    log = settings.state_dir / LOG_NAME
    is_taken = _is_taken(settings.metrics_port)
    answer = _started(settings, daemon_command(values, log), log)
    if as_json:
        click.echo(json.dumps(answer | {"state_dir": str(settings.state_dir), "log": str(log)}))
        return
    workers = f"{settings.workers} worker" + ("s" if settings.workers > 1 else "")
    click.echo(f"{click.style('distevod runs', fg='green', bold=True)}: {settings.id}, {workers}, pid {answer['pid']}")
    option = state_dir_option(settings.state_dir)
    for what, command in (
        ("give it work", f"distevo-ctl submit --problem grids --tasks training:0-39{option}"),
        ("watch it", f"distevo-ctl watch{option}"),
        ("stop it", f"distevod stop{option}"),
        ("its log", str(log)),
        ("its store", settings.store),
        ("its metrics", answer["metrics"]),
    ):
        if command is not None:
            click.echo(f"  {what:<14}{command}")
    if not answer["is_taken_in"]:
        told = click.style("not taken in", fg="yellow")
        click.echo(f"  {told}  by the cluster yet; its log says why, and `distevo-ctl status{option}` when it is")
    if is_taken:
        click.echo(f"  {'no metrics':<14}port {settings.metrics_port} is taken; --metrics-port 0 picks a free one")


def daemon_command(values: Mapping[str, Any], log: Path) -> list[str]:
    """The command line of a daemon in the foreground with the options that were given (None: not given)."""
    command = [sys.executable, "-P", "-m", "distevo_ctl.daemon", "start", "--log-file", str(log)]
    if values.get("config"):
        command += ["--config", values["config"]]
    for setting in SETTINGS:
        value = values.get(setting.name)
        if isinstance(value, bool):
            command.append(setting.flag if value else f"--no-{setting.flag.removeprefix('--')}")
        elif value is not None:
            command.append(f"{setting.flag}={value}")
    return command


def spawn(command: list[str], log: Path, environ: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a daemon in a session of its own, its output in `log` (made with its folder, private, and added to)."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.touch(mode=0o600)
    with log.open("ab") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=environ
        )


def wait_until_ready(process: subprocess.Popen[bytes], state_dir: Path, log: IO[bytes]) -> dict[str, Any]:
    """Wait until the daemon answers and the cluster has taken it in, or a while for that.

    Returns its answer to `ping`, and "is_taken_in" and "metrics" of its status. `log` is read from where it stands for
    the reason when the daemon ends, as one does whose id another has. Raises CliError.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise _ended(process.returncode, log)
        found = holder(state_dir)
        if found is not None and found.pid == process.pid and found.socket is not None and found.socket.exists():
            try:
                return _settled(state_dir, end)
            except CliError as error:
                if error.code is not ExitCode.NO_DAEMON:
                    raise  # else it has ended, or is about to: the next look says which
        time.sleep(LOOK_SECONDS)
    raise CliError(
        ExitCode.TIMED_OUT,
        f"the daemon (pid {process.pid}) does not answer after {PATIENCE_SECONDS:g} s",
        f"it may still be starting; its log is {log.name}",
    )


def _settled(state_dir: Path, end: float) -> dict[str, Any]:
    """What is known of the daemon once a plan has it, or when that takes longer than it should."""
    with Client(state_dir, patience=max(end - time.monotonic(), LOOK_SECONDS)) as client:
        moment = time.monotonic() + TAKEN_IN_SECONDS
        while not (is_taken_in := _is_taken_in(view := client.ask("status"))) and time.monotonic() < moment:
            time.sleep(LOOK_SECONDS)
        moment = time.monotonic() + PAGE_SECONDS
        while view.get("metrics") is None and time.monotonic() < moment:
            time.sleep(LOOK_SECONDS)
            view = client.ask("status")
        return client.daemon | {"is_taken_in": is_taken_in, "metrics": view.get("metrics")}


def _is_taken_in(status: dict[str, Any]) -> bool:
    return all(member["state"] != "joining" for member in status["members"])


def _is_taken(port: int) -> bool:
    """Whether a daemon cannot have this port for its metrics page, without which it runs. It begins that page after it
    answers, so its log would say so too late."""
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return True
    return False


def _started(settings: Settings, command: list[str], log: Path) -> dict[str, Any]:
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.touch(mode=0o600)
        with log.open("rb") as reading:
            reading.seek(0, 2)
            process = spawn(command, log)
            try:
                return wait_until_ready(process, settings.state_dir, reading)
            except KeyboardInterrupt:
                option = state_dir_option(settings.state_dir)
                raise CliError(
                    ExitCode.INTERRUPTED,
                    f"no longer waiting; the daemon (pid {process.pid}) goes on",
                    f"distevo-ctl status{option} shows when it answers, distevod stop{option} ends it",
                ) from None
    except OSError as error:
        raise CliError(
            ExitCode.USAGE, f"cannot use the state folder {settings.state_dir}: {error.strerror}", "give --state-dir"
        ) from error


def _ended(returncode: int, log: IO[bytes]) -> CliError:
    """What to say of a daemon that ended: its own error if it said one, else the end of its log."""
    lines = log.read()[-TAIL_BYTES:].decode(errors="replace").splitlines()
    hint = f"its log is {log.name}"
    try:
        code = ExitCode(returncode) if returncode > 0 else ExitCode.INTERNAL_ERROR
    except ValueError:
        code = ExitCode.INTERNAL_ERROR
    if (said := error_in(lines)) is not None:
        return CliError(code, said, hint)
    if not lines and shutil.disk_usage(log.name).free == 0:
        what = f"the daemon ended and could not say why: the disk of its log, {log.name}, is full"
        return CliError(code, what, "make room there, or give another --state-dir")
    how = f"with exit code {returncode}" if returncode >= 0 else f"by signal {-returncode}"
    tail = "".join(f"\n  {line}" for line in lines[-TAIL_LINES:])
    return CliError(code, f"the daemon ended {how} before it answered{tail}", hint)
