"""The settings as options of a command, made from their table: `@setting_options` and `settings_of`."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from distevod.settings import SETTINGS, Setting, Settings, load_settings
from distevod.settings.value import Choice, Switch, Whole

F = TypeVar("F", bound=Callable[..., Any])


def setting_options(command: F) -> F:
    """Give a command one option for each setting, and --config. What is not given arrives as None."""
    for setting in reversed(SETTINGS):
        command = _option(setting)(command)
    return click.option("--config", metavar="FILE", help="YAML file of settings.")(command)


def settings_of(values: Mapping[str, Any]) -> Settings:
    """The settings from a command's parameters (others among them do not matter), environment and file.

    Raises SettingsError, PathError.
    """
    flags = {setting.name: values.get(setting.name) for setting in SETTINGS}
    config = values.get("config")
    return load_settings(flags, os.environ, Path(config) if config else None)


def _option(setting: Setting) -> Callable[[F], F]:
    """The option of one setting. Its text goes to the settings unchecked, so that all of them refuse
    alike."""
    if isinstance(setting.value, Switch):
        flag = setting.flag
        return click.option(f"{flag}/--no-{flag.removeprefix('--')}", default=None, help=setting.meaning)
    if isinstance(setting.value, Choice):
        metavar = "|".join(setting.value.words)
    else:
        metavar = "N" if isinstance(setting.value, Whole) else setting.unit.upper() or setting.name.upper()
    return click.option(setting.flag, metavar=metavar, help=setting.meaning)
