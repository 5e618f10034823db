"""The settings of a daemon: one table, from which flags, variables, the YAML file, checks and the manual are
made.

Reading order: `error` (how a setting is refused), `value` (what a value may be), `table` (every setting, with
its reasons), `file` (the YAML file), `load` (flags > environment > file > preset > default), `manual` (what
`distevod config --explain` prints).
"""

from distevod.settings.error import SettingsError
from distevod.settings.load import Settings, load_settings
from distevod.settings.manual import explain, explain_data
from distevod.settings.table import SETTINGS, Setting

__all__ = ["SETTINGS", "Setting", "Settings", "SettingsError", "explain", "explain_data", "load_settings"]
