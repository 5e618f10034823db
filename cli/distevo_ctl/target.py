"""Which daemon a command means: `--state-dir`, before or after the command, or the one whose folder the environment
names."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from distevo.errors import DistevoError
from distevod.paths import absolute, working_folder

F = TypeVar("F", bound=Callable[..., Any])

JSON_HELP = "Print JSON, errors too."
STATE_DIR_HELP = "The state folder of the daemon that is meant; else the one that a daemon of yours uses by itself."


def target_options(command: F) -> F:
    """Give a command `--state-dir` and `--json`; they arrive as `state_dir: Path` and `as_json: bool`.

    What the command is not given itself it takes from its group (`group_options`).
    """
    command = click.option(
        "--json", "as_json", is_flag=True, help=JSON_HELP,
        callback=lambda context, _option, value: value or bool(context.find_root().params.get("as_json")),
    )(command)  # fmt: skip
    return click.option(
        "--state-dir", metavar="FOLDER", help=STATE_DIR_HELP,
        callback=lambda context, _option, value: state_dir_of(value or context.find_root().params.get("state_dir")),
    )(command)  # fmt: skip


def group_options() -> list[click.Parameter]:
    """The same two options for the group, before its commands."""
    return [
        click.Option(["--state-dir"], metavar="FOLDER", help=STATE_DIR_HELP),
        click.Option(["--json", "as_json"], is_flag=True, help=JSON_HELP),
    ]


def state_dir_of(given: str | None) -> Path:
    """The state folder that a daemon with the same option, variables and settings file would use.

    Raises SettingsError, PathError.
    """
    if given:
        return absolute(given, working_folder(), os.environ)
    from distevod.settings import load_settings

    return load_settings({}, os.environ).state_dir


def start_command(state_dir: Path, daemon: Mapping[str, Any] | None = None) -> str:
    """What starts a daemon on this folder again, with id and store of the last, whose answer to `ping` is `daemon`."""
    command = f"distevod start --detach{state_dir_option(state_dir)}"
    if daemon is None:
        return command
    from distevod.settings import load_settings

    try:
        found = load_settings({"state_dir": str(state_dir)}, os.environ)
    except DistevoError:
        found = None
    for option, value, by_itself in (
        ("--id", daemon["id"], found and found.id),
        ("--store", daemon["store"], found and found.store),
    ):
        if value != by_itself:
            command += f" {option} {shlex.quote(value)}"
    return command


def state_dir_option(state_dir: Path) -> str:
    """What a command that we suggest needs to mean this folder: nothing, where it is the one found by itself."""
    try:
        is_found = state_dir_of(None) == state_dir
    except DistevoError:  # the environment or its settings file is wrong: only the option helps
        is_found = False
    return "" if is_found else f" --state-dir {shlex.quote(str(state_dir))}"
