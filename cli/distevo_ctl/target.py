"""Which daemon a command means: `--state-dir`, or the one whose folder the environment names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from distevod.paths import absolute

F = TypeVar("F", bound=Callable[..., Any])


def target_options(command: F) -> F:
    """Give a command `--state-dir` and `--json`; they arrive as `state_dir: Path` and `as_json: bool`."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON, errors too.")(command)
    return click.option(
        "--state-dir",
        metavar="FOLDER",
        callback=lambda _context, _option, value: state_dir_of(value),
        help="The state folder of the daemon that is meant; else the one that a daemon of yours uses by itself.",
    )(command)


def state_dir_of(given: str | None) -> Path:
    """The state folder that a daemon with the same option, variables and settings file would use.

    Raises SettingsError, PathError.
    """
    if given:
        return absolute(given, Path.cwd(), os.environ)
    from distevod.settings import load_settings

    return load_settings({}, os.environ).state_dir
